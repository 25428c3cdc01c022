"""The scripts that share work out over a Slurm array, and what all Slurm scripts have in common."""

import subprocess
import sys
from pathlib import Path

import pytest

from fastrot.cli import build_parser
from pipelines.store.reading import Store
from tests.scripts.conftest import ROOT, RunScript

SLURM = ROOT / "scripts" / "slurm"
SCRIPTS = sorted(SLURM.glob("*.sbatch")) + sorted((ROOT / "scripts").glob("*.sh"))

# Slurm gives each job of an array its index.
SECOND_OF_16 = {"SLURM_ARRAY_TASK_ID": 2, "SLURM_ARRAY_TASK_MAX": 16}
ECHO = {"fastrot": 'echo "$@"'}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_has_nothing_to_say(script: Path) -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "shellcheck", script],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("script", sorted(SLURM.glob("*.sbatch")), ids=lambda path: path.name)
def test_a_whole_node_comes_with_its_memory(script: Path) -> None:
    """--exclusive alone gives all cores, but only the memory that was asked for (sbatch's manual)."""
    heads = [line for line in script.read_text().splitlines() if line.startswith("#SBATCH")]
    assert ("#SBATCH --exclusive" in heads) == ("#SBATCH --mem=0" in heads)


def test_two_parts_prepare_one_store(slurm: RunScript, videos: Path, tmp_path: Path) -> None:
    for part in (1, 2):
        done = slurm(
            "prepare.sbatch",
            *("--size", 40, "--codec", "raw", "--workers", 1),
            SOURCE=videos,
            STORE=tmp_path / "store",
            SLURM_ARRAY_TASK_ID=part,
            SLURM_ARRAY_TASK_MAX=2,
            SRUN_OPTIONS="--container-image=x --quiet",
        )
        assert done.returncode == 0, done.stderr
    assert len(Store.open(tmp_path / "store")) == 6
    assert "srun --container-image=x --quiet fastrot prepare" in (tmp_path / "calls").read_text()


def test_a_part_that_is_submitted_again_keeps_its_number(slurm: RunScript) -> None:
    done = slurm(
        "prepare.sbatch",
        standins=ECHO,
        SOURCE="videos",
        STORE="store",
        SLURM_ARRAY_TASK_ID=3,
        SLURM_ARRAY_TASK_MAX=7,
        PARTS=8,
    )
    args = build_parser().parse_args(done.stdout.split())
    assert (args.command, str(args.source), str(args.out)) == ("prepare", "videos", "store")
    assert args.shard == (3, 8)


@pytest.mark.parametrize("script", ["prepare.sbatch", "reproduce.sbatch"])
def test_srun_is_given_the_jobs_cores(slurm: RunScript, script: str) -> None:
    cores = {"srun": 'echo "cores: $SRUN_CPUS_PER_TASK"'}
    variables = {**SECOND_OF_16, "SOURCE": "videos", "STORE": "store", "SLURM_CPUS_PER_TASK": 32}
    done = slurm(script, standins=cores, **variables)
    assert done.stdout == "cores: 32\n"


def test_reproduce_shares_the_runs_out(slurm: RunScript) -> None:
    done = slurm("reproduce.sbatch", standins=ECHO, **SECOND_OF_16)
    words = done.stdout.split()
    assert words == ["reproduce", "all", "--preset", "paper", "--shard", "2/16"]
    assert build_parser().parse_args(words).shard == (2, 16)


def test_reproduce_makes_one_table_with_further_options(slurm: RunScript) -> None:
    variables = {**SECOND_OF_16, "TARGET": "table2", "PRESET": "demo"}
    done = slurm("reproduce.sbatch", "--nproc", 8, "seed=1", standins=ECHO, **variables)
    args = build_parser().parse_args(done.stdout.split())
    assert (args.target, args.preset, args.shard) == ("table2", "demo", (2, 16))
    assert (args.nproc, args.changes) == (8, ["seed=1"])


@pytest.mark.parametrize(
    ("script", "where"),
    [
        ("prepare.sbatch", {"STORE": "store"}),
        ("reproduce.sbatch", {}),
        ("reproduce.sbatch", {"arguments": ["--out", "results"]}),
    ],
)
def test_results_that_would_go_with_the_container_are_refused(
    slurm: RunScript, tmp_path: Path, script: str, where: dict[str, object]
) -> None:
    variables = {"SOURCE": "videos", **SECOND_OF_16, **where}
    arguments = variables.pop("arguments", [])
    assert isinstance(arguments, list)
    image = "--container-image=x --quiet"
    done = slurm(script, *arguments, standins=ECHO, SRUN_OPTIONS=image, **variables)
    assert done.returncode == 2
    assert "would be deleted with the container" in done.stderr
    assert not (tmp_path / "calls").exists()
    workdir = f"{image} --container-workdir=/shared"
    done = slurm(script, *arguments, standins=ECHO, SRUN_OPTIONS=workdir, **variables)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("out", [["--out", "/shared/results"], ["--out=/shared/results"]])
def test_results_on_a_mounted_file_system_are_accepted(slurm: RunScript, out: list[str]) -> None:
    done = slurm(
        "reproduce.sbatch",
        *("--nproc", 8, *out),
        standins=ECHO,
        SRUN_OPTIONS="--container-image=x",
        **SECOND_OF_16,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("script", "message"),
    [("prepare.sbatch", "set it to the folder of the videos"), ("pretrain.sbatch", "STORE")],
)
def test_what_is_not_given_is_asked_for(slurm: RunScript, script: str, message: str) -> None:
    done = slurm(script)
    assert done.returncode != 0
    assert message in done.stderr
