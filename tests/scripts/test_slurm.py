"""The Slurm scripts, run here: a stand-in for srun starts what it is given, on a tiny store."""

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from torch.distributed.run import get_args_parser

from fastrot.cli import build_parser
from fastrot.config import to_yaml
from pipelines.store import Store

ROOT = Path(__file__).parents[2]
SLURM = ROOT / "scripts" / "slurm"
SCRIPTS = sorted(SLURM.glob("*.sbatch")) + sorted((ROOT / "scripts").glob("*.sh"))

STANDINS = {
    # Options of srun's own come first, then the command.
    "srun": 'echo "srun $*" >> "$CALLS"; while [[ "$1" == --* ]]; do shift; done; exec "$@"',
    "scontrol": "echo localhost",
    "fastrot": 'exec "$PYTHON" -m fastrot "$@"',
    "torchrun": 'exec "$PYTHON" -m torch.distributed.run "$@"',
}


@pytest.fixture
def slurm(tmp_path):
    """Return a function that runs a script as Slurm would, with stand-ins for its commands."""
    programs = tmp_path / "bin"
    programs.mkdir()

    def run(script, *arguments, standins=STANDINS, **variables):
        for name, body in standins.items():
            path = programs / name
            path.write_text(f"#!/usr/bin/env bash\n{body}\n")
            path.chmod(path.stat().st_mode | stat.S_IXUSR)
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("SLURM_")},
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHON": sys.executable,
            "PYTHONPATH": str(ROOT),
            "CALLS": str(tmp_path / "calls"),
            **{key: str(value) for key, value in variables.items()},
        }
        return subprocess.run(
            ["bash", str(SLURM / script), *map(str, arguments)],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_has_nothing_to_say(script):
    done = subprocess.run(
        [Path(sys.executable).parent / "shellcheck", script],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_two_parts_prepare_one_store(slurm, videos, tmp_path):
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


def test_a_part_that_is_submitted_again_keeps_its_number(slurm, tmp_path):
    echo = {**STANDINS, "fastrot": 'echo "$@"'}
    done = slurm(
        "prepare.sbatch",
        standins=echo,
        SOURCE="videos",
        STORE="store",
        SLURM_ARRAY_TASK_ID=3,
        SLURM_ARRAY_TASK_MAX=7,
        PARTS=8,
    )
    args = build_parser().parse_args(done.stdout.split())
    assert (args.command, str(args.source), str(args.out)) == ("prepare", "videos", "store")
    assert args.shard == (3, 8)


def test_a_run_trains_from_a_staged_copy_and_goes_on(slurm, tiny_store_config, tmp_path):
    store, config = tiny_store_config
    variables = {
        "STORE": store,
        "STAGE": tmp_path / "nvme",
        "SLURM_JOB_ID": os.getpid(),
        "SLURM_JOB_NODELIST": "node1",
        "SLURM_JOB_NUM_NODES": 1,
    }
    (tmp_path / "nvme").mkdir()
    (tmp_path / "nvme" / f"{store.name}.part").mkdir()  # what a killed copy leaves
    done = slurm("pretrain.sbatch", config, "train.iterations=2", **variables)
    assert done.returncode == 0, done.stderr
    run = tmp_path / "runs" / "tiny"
    assert f"store: {tmp_path / 'nvme' / store.name}" in (run / "config.yaml").read_text()
    steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert steps == [1, 2]
    assert not (tmp_path / "nvme" / f"{store.name}.part").exists()


def test_many_nodes_meet_at_the_first_one(slurm, tmp_path):
    quiet = {**STANDINS, "torchrun": 'echo "$@"', "scontrol": "printf 'dgx1\\ndgx2\\n'"}
    done = slurm(
        "pretrain.sbatch",
        "c.yaml",
        "optim.lr_batch=32",
        standins=quiet,
        STORE="/data/store",
        COMMAND="finetune",
        SLURM_JOB_ID=123456,
        SLURM_JOB_NODELIST="dgx[1-2]",
        SLURM_JOB_NUM_NODES=2,
        SLURM_GPUS_ON_NODE=8,
    )
    assert done.returncode == 0, done.stderr
    words = done.stdout.split()
    torchrun, ours = words[: words.index("-m")], words[words.index("-m") + 2 :]
    agent = get_args_parser().parse_args([*torchrun, "program"])
    assert (agent.nnodes, agent.nproc_per_node, agent.rdzv_backend) == ("2", "8", "c10d")
    assert (agent.rdzv_id, agent.rdzv_endpoint) == ("123456", "dgx1:23456")
    args = build_parser().parse_args(ours)
    assert (args.command, args.config, args.resume) == ("finetune", "c.yaml", True)
    assert args.overrides == ["optim.lr_batch=32", "data.store=/data/store"]


def test_a_copy_of_an_older_store_is_staged_again_and_an_equal_one_is_kept(
    slurm, make_store, tmp_path
):
    store, staged = tmp_path / "store", tmp_path / "nvme" / "store"
    staged.parent.mkdir()
    shutil.copytree(make_store().path, store)
    echo = {**STANDINS, "torchrun": 'echo "$@"'}
    variables = {"STORE": store, "STAGE": tmp_path / "nvme", "SLURM_JOB_ID": 1}
    variables |= {"SLURM_JOB_NODELIST": "node1", "SLURM_JOB_NUM_NODES": 1}
    copied = []
    for mark in ("first", "same", "changed"):
        if mark == "changed":
            with (store / "manifest.jsonl").open("a") as manifest:
                manifest.write("{}\n")
        (store / ".lock").write_text(mark)
        (store / "shards" / "mark").write_text(mark)  # not looked at, but copied with the rest
        done = slurm("pretrain.sbatch", "c.yaml", standins=echo, **variables)
        assert done.returncode == 0, done.stderr
        assert f"data.store={staged}" in done.stdout
        copied.append((staged / "shards" / "mark").read_text())
    assert copied == ["first", "first", "changed"]
    assert (staged / "manifest.jsonl").read_text() == (store / "manifest.jsonl").read_text()


def test_reproduce_shares_the_runs_out(slurm):
    echo = {**STANDINS, "fastrot": 'echo "$@"'}
    done = slurm("reproduce.sbatch", standins=echo, SLURM_ARRAY_TASK_ID=2, SLURM_ARRAY_TASK_MAX=16)
    words = done.stdout.split()
    assert words == ["reproduce", "all", "--preset", "paper", "--shard", "2/16"]
    assert build_parser().parse_args(words).shard == (2, 16)


@pytest.mark.parametrize(
    ("script", "message"),
    [("prepare.sbatch", "set it to the folder of the videos"), ("pretrain.sbatch", "STORE")],
)
def test_what_is_not_given_is_asked_for(slurm, script, message):
    done = slurm(script)
    assert done.returncode != 0
    assert message in done.stderr


@pytest.fixture
def tiny_store_config(make_store, tmp_path):
    """Return a store and a config's file of a run that takes a second."""
    from fastrot.config import from_mapping

    store = make_store().path
    config = from_mapping(
        {
            "name": "tiny",
            "data": {"store": str(store), "frames": 4, "crop": 32},
            "model": {"depth": 10, "width": 4},
            "train": {"batch": 4, "iterations": 6, "log_every": 1},
        }
    )
    path = tmp_path / "tiny.yaml"
    path.write_text(to_yaml(config))
    return store, path
