"""The Slurm script that trains, run here on a tiny store or with stand-ins for fastrot and torchrun."""

import json
import os
import shutil
from pathlib import Path

import pytest
from torch.distributed.run import get_args_parser

from fastrot.cli import build_parser
from fastrot.config import from_mapping, to_yaml
from tests.conftest import MakeStore
from tests.scripts.conftest import RunScript

# The run's folder is run/ in the folder of the test.
FOLDER = {"fastrot": 'echo "$PWD/run"'}
ECHO = {**FOLDER, "torchrun": 'echo "$@"'}


def state(job: str | None = "123456", restarts: int = 0, **values: object) -> str:
    return json.dumps({"state": "running", "job": job, "restarts": restarts, "step": 7, **values})


def ending_with(code: int, text: str = "") -> dict[str, str]:
    """Return stand-ins for a run that leaves ``text`` as its state and ends with ``code``."""
    write = f"mkdir -p run; echo '{text}' > run/state.json; " if text else ""
    return {**FOLDER, "torchrun": f"{write}exit {code}"}


def write_state(folder: Path, text: str) -> None:
    folder.mkdir()
    (folder / "state.json").write_text(text)


@pytest.mark.slow
def test_a_run_trains_from_a_staged_copy_and_goes_on(
    slurm: RunScript, make_store: MakeStore, tmp_path: Path
) -> None:
    store = make_store().path
    config = from_mapping(
        {
            "name": "tiny",
            "data": {"store": str(store), "frames": 4, "crop": 32},
            "model": {"depth": 10, "width": 4},
            "train": {"batch": 4, "iterations": 6, "log_every": 1, "precision": "fp32"},
        }
    )
    (tmp_path / "tiny.yaml").write_text(to_yaml(config))
    done = slurm(
        "pretrain.sbatch",
        *("tiny.yaml", "train.iterations=2"),
        STORE=store,
        STAGE=tmp_path / "nvme",
        SLURM_JOB_ID=os.getpid(),
    )
    assert done.returncode == 0, done.stderr
    run = tmp_path / "runs" / "tiny"
    assert f"store: {tmp_path / 'nvme' / store.name}-" in (run / "config.yaml").read_text()
    steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert steps == [1, 2]


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        ({}, "WARN - -"),
        ({"NCCL_DEBUG": "INFO", "GLOO_SOCKET_IFNAME": "eth0"}, "INFO eth0 eth0"),
        ({"GLOO_SOCKET_IFNAME": "eth0", "NCCL_SOCKET_IFNAME": "^lo"}, "WARN eth0 ^lo"),
        ({"NCCL_SOCKET_IFNAME": "^docker0"}, "WARN - ^docker0"),
    ],
)
def test_every_node_gets_the_networks_variables(
    slurm: RunScript, given: dict[str, str], seen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NCCL_DEBUG", "GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
        monkeypatch.delenv(name, raising=False)
    torchrun = 'echo "$NCCL_DEBUG ${GLOO_SOCKET_IFNAME:--} ${NCCL_SOCKET_IFNAME:--}"'
    standins = {**FOLDER, "torchrun": torchrun}
    done = slurm("pretrain.sbatch", "c.yaml", standins=standins, STORE="/data/store", **given)
    assert (done.returncode, done.stdout) == (0, f"{seen}\n"), done.stderr


def test_many_nodes_meet_at_the_first_one(slurm: RunScript, tmp_path: Path) -> None:
    done = slurm(
        "pretrain.sbatch",
        "c.yaml",
        "optim.lr_batch=32",
        standins={**ECHO, "scontrol": "printf 'dgx1\\ndgx2\\n'"},
        STORE="/data/store",
        COMMAND="finetune",
        SLURM_JOB_NODELIST="dgx[1-2]",
        SLURM_JOB_NUM_NODES=2,
        SLURM_GPUS_ON_NODE=8,
        SRUN_OPTIONS="--quiet",
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
    # Without it a site's default may bind all processes of the node to one core.
    assert "srun --cpu-bind=none --quiet torchrun" in (tmp_path / "calls").read_text()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (state(state="done"), 0),
        (state(state="preempted"), 75),
        (state(state="failed"), 3),
        (state(state="running"), 3),
        (state(state="preempted", job="654321"), 3),
        (state(state="preempted", job=None), 3),
        (state(state="preempted", restarts=1), 3),
        (state(state="done", job="12345"), 3),
        ("", 3),
        ('{"state": "don', 3),
    ],
)
def test_the_exit_code_is_the_runs_own_where_this_job_wrote_its_state(
    slurm: RunScript, text: str, code: int
) -> None:
    done = slurm("pretrain.sbatch", "c.yaml", standins=ending_with(3, text), STORE="store")
    assert done.returncode == code, done.stderr


def test_a_state_of_an_earlier_start_of_the_job_is_not_believed(slurm: RunScript) -> None:
    for restarts, code in ((0, 3), (1, 75)):
        standins = ending_with(3, state(state="preempted", restarts=restarts))
        done = slurm(
            "pretrain.sbatch", "c.yaml", standins=standins, STORE="store", SLURM_RESTART_COUNT=1
        )
        assert done.returncode == code


def test_what_torchrun_ends_well_is_well(slurm: RunScript) -> None:
    standins = ending_with(0, state(state="failed", job="1"))
    assert slurm("pretrain.sbatch", "c.yaml", standins=standins, STORE="store").returncode == 0


@pytest.mark.parametrize(
    ("how", "restarts", "wanted", "requeued"),
    [
        ("preempted", 0, "1", True),
        ("preempted", 19, "1", True),
        ("preempted", 20, "1", False),
        ("preempted", 0, "", False),
        ("done", 0, "1", False),
        ("failed", 0, "1", False),
    ],
)
def test_a_preempted_job_is_requeued_where_that_is_asked_for(
    slurm: RunScript, tmp_path: Path, how: str, restarts: int, wanted: str, requeued: bool
) -> None:
    done = slurm(
        "pretrain.sbatch",
        "c.yaml",
        standins=ending_with(1, state(state=how, restarts=restarts)),
        STORE="store",
        REQUEUE=wanted,
        **({"SLURM_RESTART_COUNT": restarts} if restarts else {}),
    )
    assert done.returncode == {"preempted": 75, "done": 0, "failed": 1}[how]
    assert ("scontrol requeue 123456\n" in (tmp_path / "calls").read_text()) == requeued
    assert ("already requeued 20 times" in done.stderr) == (restarts == 20)


def test_a_wrong_config_ends_the_job_before_anything_starts(
    slurm: RunScript, tmp_path: Path
) -> None:
    done = slurm("pretrain.sbatch", "c.yaml", STORE="store", STAGE=tmp_path / "nvme")
    assert done.returncode == 1
    assert "config c.yaml does not exist" in done.stderr
    assert "torchrun" not in (tmp_path / "calls").read_text()
    assert not (tmp_path / "nvme").exists()


@pytest.mark.parametrize(
    ("folder", "options", "refused"),
    [
        ("runs/a", "--container-image=x", True),
        ("runs/a", "--quiet --container-mounts=/shared --container-image=x", True),
        ("runs/a", "--container-image=x --container-workdir=/shared", False),
        ("/shared/runs/a", "--container-image=x", False),
        ("runs/a", "--quiet", False),
    ],
)
def test_a_run_that_would_go_with_its_container_is_refused(
    slurm: RunScript, folder: str, options: str, refused: bool
) -> None:
    standins = {**ECHO, "fastrot": f"echo {folder}"}
    done = slurm("pretrain.sbatch", "c.yaml", standins=standins, STORE="s", SRUN_OPTIONS=options)
    assert done.returncode == (2 if refused else 0), done.stderr
    assert ("would be deleted with the container" in done.stderr) == refused


@pytest.fixture
def store(make_store: MakeStore, tmp_path: Path) -> Path:
    """Return a copy of a small store that the test may change."""
    return Path(shutil.copytree(make_store().path, tmp_path / "a" / "store"))


def staged(printed: str) -> Path:
    """Return the store that torchrun was given."""
    (word,) = [word for word in printed.split() if word.startswith("data.store=")]
    return Path(word.removeprefix("data.store="))


def test_a_copy_of_an_older_store_is_staged_again_and_an_equal_one_is_kept(
    slurm: RunScript, store: Path, tmp_path: Path
) -> None:
    copied = []
    for mark in ("first", "same", "changed"):
        if mark == "changed":
            with (store / "manifest.jsonl").open("a") as manifest:
                manifest.write("{}\n")
        (store / ".lock").write_text(mark)
        (store / "shards" / "mark").write_text(mark)  # not looked at, but copied with the rest
        done = slurm(
            "pretrain.sbatch", "c.yaml", standins=ECHO, STORE=store, STAGE=tmp_path / "new" / "nvme"
        )
        assert done.returncode == 0, done.stderr
        copy = staged(done.stdout)
        assert copy.parent == tmp_path / "new" / "nvme"
        copied.append((copy / "shards" / "mark").read_text())
        # What a killed copy leaves is no part of the next one.
        Path(f"{copy}.part").mkdir(exist_ok=True)
        (Path(f"{copy}.part") / "left").touch()
    assert copied == ["first", "first", "changed"]
    assert (copy / "manifest.jsonl").read_text() == (store / "manifest.jsonl").read_text()
    assert not (copy / "left").exists()


def test_stores_of_one_name_have_copies_of_their_own(
    slurm: RunScript, store: Path, tmp_path: Path
) -> None:
    other = tmp_path / "b" / "store"
    other.mkdir(parents=True)
    (other / "manifest.jsonl").write_text("another one\n")
    copies = []
    for each in (store, other, f"{other}/", store):
        done = slurm(
            "pretrain.sbatch", "c.yaml", standins=ECHO, STORE=each, STAGE=tmp_path / "nvme"
        )
        copies.append(staged(done.stdout))
    assert copies[0] == copies[3] != copies[1] == copies[2]
    assert (copies[0] / "manifest.jsonl").read_text() == (store / "manifest.jsonl").read_text()
    assert (copies[1] / "manifest.jsonl").read_text() == "another one\n"


@pytest.mark.parametrize("spare", [-(10**9), 10**6])
def test_space_is_looked_at_before_copying(
    slurm: RunScript, store: Path, tmp_path: Path, spare: int
) -> None:
    with (store / "shards" / "large").open("wb") as file:
        file.truncate(2 * 10**9)
    files = [store, *store.rglob("*")]
    free = sum(path.stat().st_size for path in files) + spare
    full = {**ECHO, "df": f"echo Avail; echo {free}", "cp": 'echo "copied $*"; mkdir "$3"'}
    nvme = tmp_path / "nvme"
    done = slurm("pretrain.sbatch", "c.yaml", standins=full, STORE=store, STAGE=nvme)
    if spare < 0:
        assert done.returncode == 1
        assert f"the copy of {store} needs 2.1GB, but only 1.1GB are free" in done.stderr
    else:
        assert done.returncode == 0, done.stderr
    assert ("copied" in done.stdout) == (spare > 0)


def test_a_store_that_is_not_there_costs_no_copy(
    slurm: RunScript, store: Path, tmp_path: Path
) -> None:
    variables = {"STORE": store, "STAGE": tmp_path / "nvme"}
    copy = staged(slurm("pretrain.sbatch", "c.yaml", standins=ECHO, **variables).stdout)
    shutil.rmtree(store)
    done = slurm("pretrain.sbatch", "c.yaml", standins=ECHO, **variables)
    assert done.returncode != 0
    assert str(store) in done.stderr
    assert (copy / "manifest.jsonl").exists()


def test_a_run_that_is_done_is_not_staged_for(
    slurm: RunScript, store: Path, tmp_path: Path
) -> None:
    write_state(tmp_path / "run", state(state="done", job="1"))
    done = slurm("pretrain.sbatch", "c.yaml", standins=ECHO, STORE=store, STAGE=tmp_path / "nvme")
    assert done.returncode == 0, done.stderr
    assert staged(done.stdout) == store  # fastrot itself finds that nothing is left to do
    assert not (tmp_path / "nvme").exists()


def test_staging_is_outside_the_container(slurm: RunScript, store: Path, tmp_path: Path) -> None:
    options = "--container-image=x --container-mounts=/shared"
    done = slurm(
        "pretrain.sbatch",
        "c.yaml",
        standins=ECHO,
        STORE=store,
        STAGE=tmp_path / "nvme",
        SRUN_OPTIONS=options,
    )
    assert done.returncode == 0, done.stderr
    calls = (tmp_path / "calls").read_text().split("\nsrun ")
    (copying,) = [call for call in calls if "cp -r" in call]
    assert options not in copying
    assert all(options in call for call in calls if call is not copying)
