"""Who chooses the number of torch's threads; torchrun is the real one."""

import os
import subprocess
import sys

import pytest

from fastrot.distributed.thread_count import choose_threads

WORKER = {"LOCAL_WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "none"}


@pytest.mark.parametrize(
    ("asked", "variable", "number", "chosen_by"),
    [
        (None, None, 6, "its share of the cores"),
        (None, "3", 3, "OMP_NUM_THREADS"),
        (None, "1", 1, "OMP_NUM_THREADS"),
        (None, " 4,2", 4, "OMP_NUM_THREADS"),
        (2, "3", 2, "train.threads"),
        (2, None, 2, "train.threads"),
        # OpenMP itself ignores these.
        (None, "0", 6, "its share of the cores"),
        (None, "-1", 6, "its share of the cores"),
        (None, "many", 6, "its share of the cores"),
        (None, "", 6, "its share of the cores"),
    ],
)
def test_the_config_wins_over_the_variable_which_wins_over_the_cores(
    asked, variable, number, chosen_by
):
    environment = {} if variable is None else {"OMP_NUM_THREADS": variable}
    chosen = choose_threads(asked, 6, environment)
    assert (chosen.number, chosen.chosen_by) == (number, chosen_by)
    assert str(chosen) == f"{number} ({chosen_by})"


def test_a_worker_of_torchrun_keeps_any_other_number():
    assert choose_threads(None, 6, {**WORKER, "OMP_NUM_THREADS": "2"}).number == 2


def test_where_the_parents_variables_are_hidden_a_workers_1_is_torchruns(monkeypatch):
    monkeypatch.setattr(os, "getppid", lambda: 2**30)  # above any process's number
    assert choose_threads(None, 6, {**WORKER, "OMP_NUM_THREADS": "1"}).number == 6
    # A single process's 1 is never torchrun's.
    alone = {**WORKER, "LOCAL_WORLD_SIZE": "1", "OMP_NUM_THREADS": "1"}
    assert choose_threads(None, 6, alone).number == 1


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks Linux")
@pytest.mark.parametrize(
    ("users", "expected"), [(None, "6 (its share of the cores)"), ("1", "1 (OMP_NUM_THREADS)")]
)
def test_torchruns_own_1_is_told_from_the_users(tmp_path, users, expected):
    program = tmp_path / "worker.py"
    program.write_text(
        "import os\n"
        "from fastrot.distributed.thread_count import choose_threads\n"
        "assert os.environ['OMP_NUM_THREADS'] == '1'\n"
        "os.write(1, f'{choose_threads(None, 6)}\\n'.encode())\n"  # a line at once, next to the other's
    )
    environment = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    if users is not None:
        environment["OMP_NUM_THREADS"] = users
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", program],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [expected] * 2
