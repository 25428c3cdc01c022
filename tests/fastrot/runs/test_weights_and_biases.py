"""Weights & Biases shows the numbers in metrics.jsonl, and can neither stop a run nor hang it.

A stand-in takes wandb's place; the last tests run the real one, offline, where it is installed.
"""

import importlib.util
import json
import os
import signal
import struct
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from fastrot.config import to_yaml
from fastrot.runs.run_folder import RunFolder
from fastrot.training.run import train
from pipelines.errors import UsageError


class Service:
    """A stand-in for the module wandb, and for its run."""

    Error = type("Error", (Exception,), {})

    def __init__(self):
        self.inits, self.logged, self.codes = [], [], []
        self.mode, self.credentials, self.broken = "offline", False, None
        self.offline, self.url = True, None

    def setup(self):
        return SimpleNamespace(settings=SimpleNamespace(mode=self.mode))

    def login(self, *, prompt, verify):
        assert not prompt  # a job would wait for an answer
        return self.credentials

    def Settings(self, **values):  # noqa: N802
        return values

    def init(self, **values):
        self.inits.append(values)
        if self.broken == "init":
            raise self.Error("the server does not respond\nmore")
        if self.broken == "start":
            raise BrokenPipeError("the service does not start")
        return self

    def log(self, values, *, step):
        if self.broken == "log":
            raise BrokenPipeError("the service is gone")
        self.logged.append((step, values))

    def finish(self, *, exit_code):
        self.codes.append(exit_code)


@pytest.fixture
def service(monkeypatch):
    stand_in = Service()
    monkeypatch.setitem(sys.modules, "wandb", stand_in)
    return stand_in


@pytest.fixture
def config(tiny_config):
    return tiny_config(train={"iterations": 2}, log={"wandb": "rotations"})


def metrics(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_what_is_logged_are_the_metrics(service, config):
    folder = train(config, quiet=True).folder
    (init,) = service.inits
    assert (init["project"], init["name"], init["dir"]) == ("rotations", "tiny", folder)
    assert init["config"]["optim"]["lr"] == 0.05
    assert init["settings"]["console"] == "off"
    assert str(folder.parent) not in str(init["config"])
    assert config.data.store not in str(init["config"])
    lines = metrics(folder)
    assert [step for step, _ in service.logged] == [line["step"] for line in lines] == [1, 2]
    assert [values["loss"] for _, values in service.logged] == [line["loss"] for line in lines]
    assert service.codes == [0]
    assert f"project rotations, run {init['id']} (offline" in (folder / "train.log").read_text()


def test_a_resumed_run_keeps_its_id_and_another_run_has_its_own(service, config):
    train(config, quiet=True)
    longer = replace(config, train=replace(config.train, iterations=3))
    train(longer, resume=True, quiet=True)
    train(replace(config, name="other"), quiet=True)
    first, resumed, other = (init["id"] for init in service.inits)
    assert first == resumed != other
    assert [init["resume"] for init in service.inits] == ["allow"] * 3


def test_only_the_first_process_logs(service, config, runtime):
    with RunFolder(config, writes=False) as folder:
        folder.open(config, runtime, step=0)
        folder.record({"step": 1, "loss": 1.0})
    assert not service.inits
    assert not service.logged


def test_a_run_that_is_stopped_has_failed(service, config, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("fastrot.training.trainer.Trainer.advance", stop)
    with pytest.raises(KeyboardInterrupt):
        train(config, quiet=True)
    assert service.codes == [1]


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ("init", "the server does not respond"),
        ("start", "the service does not start"),
        ("log", "the service is gone"),
    ],
)
def test_a_service_that_fails_does_not_end_the_training(service, config, broken, reason):
    service.broken = broken
    folder = train(config, quiet=True).folder
    log = (folder / "train.log").read_text()
    assert log.count("warning: Weights & Biases has failed") == 1
    assert f"({reason}); metrics.jsonl has all numbers" in log
    assert [line["step"] for line in metrics(folder)] == [1, 2]


@pytest.mark.parametrize("credentials", [True, False])
def test_online_it_needs_credentials_before_anything_is_written(service, config, credentials):
    service.mode, service.credentials = "online", credentials
    if credentials:
        assert train(config, quiet=True).steps == 2
        return
    with pytest.raises(UsageError, match="run wandb login, or set WANDB_MODE=offline"):
        train(config, quiet=True)
    assert not (Path(config.out) / config.name).exists()


def test_without_wandb_the_run_says_so_and_off_it_needs_none(tiny_config, config, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    train(tiny_config(name="off", train={"iterations": 1}), quiet=True)
    with pytest.raises(UsageError, match="pip install wandb"):
        train(config, quiet=True)
    assert not (Path(config.out) / config.name).exists()


def test_an_empty_project_is_refused(tiny_config):
    with pytest.raises(UsageError, match=r"log\.wandb is empty"):
        tiny_config(log={"wandb": " "})


OFFLINE = {"WANDB_MODE": "offline", "WANDB_ERROR_REPORTING": "false", "CUDA_VISIBLE_DEVICES": ""}

installed = pytest.mark.skipif(
    importlib.util.find_spec("wandb") is None, reason="needs the real wandb"
)


BLOCK, HEADER = 32768, 7


def packets(file):
    """Yield the records of a file in LevelDB's log format, after W&B's header of seven bytes."""
    data, at, whole = file.read_bytes(), HEADER, b""
    assert data.startswith(b":W&B")
    while at + HEADER <= len(data):
        if BLOCK - at % BLOCK < HEADER:  # the end of a block has no room for a header
            at += BLOCK - at % BLOCK
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        whole += data[at + HEADER : at + HEADER + length]
        at += HEADER + length
        if kind in (1, 4):  # a full record, or the last part of one
            yield whole
            whole = b""


def recorded(file):
    """Return the steps and losses in the file of an offline run."""
    from wandb.proto import wandb_internal_pb2

    found = []
    for packet in packets(file):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(packet)
        items = {
            item.key or "/".join(item.nested_key): json.loads(item.value_json)
            for item in record.history.item
        }
        if items:
            found.append((items["_step"], items["loss"]))
    return found


def command(config, *options):
    file = Path(config.out) / "config.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(to_yaml(config))
    return [sys.executable, "-m", "fastrot", "pretrain", str(file), *options]


@pytest.mark.slow
@installed
def test_the_real_one_records_the_run_offline_and_its_resumed_part(config, tmp_path):
    for iterations in (2, 4):
        words = command(config, f"train.iterations={iterations}", "--resume")
        environment = {**os.environ, **OFFLINE, "HOME": str(tmp_path)}
        done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, done.stderr
        assert "wandb:" not in done.stdout + done.stderr
    folder = Path(config.out) / config.name
    number = (folder / "wandb_id").read_text()
    files = sorted((folder / "wandb").glob(f"offline-run-*-{number}/run-{number}.wandb"))
    assert len(files) == 2
    found = [pair for file in files for pair in recorded(file)]
    assert found == [(line["step"], pytest.approx(line["loss"])) for line in metrics(folder)]
    assert [step for step, _ in found] == [1, 2, 3, 4]


@pytest.mark.slow
@installed
def test_the_real_one_leaves_ctrl_c_and_its_exit_code_alone(config, tmp_path):
    """Ctrl-C reaches the whole process group, as in a terminal."""
    words = command(config, "train.iterations=100000")
    environment = {**os.environ, **OFFLINE, "HOME": str(tmp_path)}
    job = subprocess.Popen(
        words, env=environment, start_new_session=True, stdout=subprocess.DEVNULL, stderr=-1
    )
    log = Path(config.out) / config.name / "train.log"
    deadline = time.monotonic() + 120
    while not log.exists() or "step 2/" not in log.read_text():
        assert time.monotonic() < deadline
        assert job.poll() is None
        time.sleep(0.05)
    os.killpg(job.pid, signal.SIGINT)
    _, error = job.communicate(timeout=60)
    assert job.returncode == 130, error
    assert "checkpoint saved" in log.read_text()
    (file,) = (log.parent / "wandb").glob("offline-run-*/*.wandb")
    assert recorded(file)[:2] == [
        (line["step"], pytest.approx(line["loss"])) for line in metrics(log.parent)[:2]
    ]
