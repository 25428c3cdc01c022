"""Damage during a run: clips replaced and reported, checkpoints truncated, disks full."""

import errno
import json
import os
import secrets
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fastrot.cli import main
from fastrot.config import to_yaml
from fastrot.runs.checkpoint import load_checkpoint, save_checkpoint
from fastrot.runs.run_folder import RunFolder
from fastrot.training.resume import config_hash
from fastrot.training.run import train
from pipelines.errors import FastrotError, UsageError
from pipelines.store.reading import Store
from tests.processes import ranks


def records(config):
    text = (Path(config.out) / config.name / "metrics.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def log(config):
    return (Path(config.out) / config.name / "train.log").read_text()


def checkpoints(config):
    return Path(config.out) / config.name / "checkpoints"


@pytest.fixture
def damaged_store(make_store, tmp_path):
    shutil.copytree(make_store().path, tmp_path / "store")
    store = Store.open(tmp_path / "store")
    with store.shard_path(1).open("r+b") as file:  # one video of split train1
        file.seek(int(store.offset[1]))
        file.write(bytes(int(store.bytes[1])))
    return store


def test_replaced_clips_are_named_and_counted_and_ranks_stay_in_step(tiny_config, damaged_store):
    data = {"store": str(damaged_store.path)}
    config = tiny_config(name="one", data=data, train={"log_every": 2, "accumulate": 2})
    result = train(config, quiet=True)
    rows = [row for line in records(config) if "replaced" in line for row in line["replaced"]]
    # 24 clips of 4 videos: six epochs, in each of which the one broken video was planned once.
    assert result.replaced == len(rows) == 6
    assert [row["video"] for row in rows] == [damaged_store.name(1)] * 6
    losses = [line for line in records(config) if "loss" in line]
    assert [line["clips_replaced"] for line in losses] == [2, 4, 6]
    assert log(config).count("replaced by clip") == 6
    assert damaged_store.name(1) in log(config)

    two = replace(config, name="two", train=replace(config.train, accumulate=1))
    with ranks(two) as runs:
        assert [run.wait() for run in runs] == [0, 0]
    both = [row for line in records(two) if "replaced" in line for row in line["replaced"]]
    assert both == rows
    for mine, theirs in zip(losses, (x for x in records(two) if "loss" in x), strict=True):
        assert theirs["loss"] == pytest.approx(mine["loss"], rel=1e-4)


def test_too_many_stop_the_run_with_its_checkpoint(tiny_config, damaged_store):
    data = {"store": str(damaged_store.path), "broken_share": 0.003}
    config = tiny_config(data=data, train={"checkpoint_every": 1, "iterations": 20})
    with pytest.raises(FastrotError, match=r"4 clips cannot be read, more than data.broken_share"):
        train(config, quiet=True)
    assert load_checkpoint(checkpoints(config) / "last.pt")["step"] >= 1


def break_file(path, how):
    data = bytearray(path.read_bytes())
    if how == "truncated":
        data = data[: len(data) // 2]
    elif how == "flipped":
        with zipfile.ZipFile(path) as archive:
            largest = max(archive.infolist(), key=lambda entry: entry.file_size)
        data[largest.header_offset + 200] ^= 1
    elif how == "foreign":
        torch.save({"state_dict": {}}, path)
        return
    else:
        data = bytearray()
    path.unlink()  # the step's checkpoint is the same file by another name
    path.write_bytes(data)


@pytest.mark.parametrize("how", ["truncated", "flipped", "foreign", "empty"])
def test_a_broken_checkpoint_is_named_and_the_newest_good_one_used(tiny_config, how):
    config = tiny_config(train={"iterations": 5, "checkpoint_every": 1})
    straight = train(tiny_config(name="straight"), quiet=True)
    train(config, quiet=True)
    kept = sorted(path.name for path in checkpoints(config).iterdir())
    assert kept == ["last.pt", "step-00000004.pt", "step-00000005.pt"]  # train.keep is 2
    for name in ("last.pt", "step-00000005.pt"):
        break_file(checkpoints(config) / name, how)
    longer = replace(config, train=replace(config.train, iterations=6))
    resumed = train(longer, resume=True, quiet=True)
    assert f"using {checkpoints(config) / 'step-00000004.pt'} instead" in log(config)
    assert "last.pt is" in log(config)
    first, second = (load_checkpoint(each.last)["model"] for each in (straight, resumed))
    assert all(torch.equal(first[name], second[name]) for name in first)
    for path in checkpoints(config).iterdir():
        break_file(path, how)
    with pytest.raises(
        FastrotError, match=r"no checkpoint of the run.*last\.pt.*step-00000006\.pt"
    ):
        train(replace(longer, train=replace(longer.train, iterations=7)), resume=True, quiet=True)


def test_a_changed_run_goes_on_anyway_with_the_new_values(tiny_config):
    config = tiny_config(train={"iterations": 3})
    train(config, quiet=True)
    changed = tiny_config(optim={"lr": 0.5, "step_size": 5, "momentum": 0.5})
    file = Path(config.out) / "changed.yaml"
    file.write_text(to_yaml(changed))
    with pytest.raises(UsageError, match=r"optim\.lr was 0\.05, is now 0\.5.*--resume-anyway"):
        train(changed, resume=True, quiet=True)
    assert main(["pretrain", str(file), "--resume-anyway"]) == 0
    assert "resuming with changes: optim.lr was 0.05, is now 0.5; optim.momentum" in log(changed)
    rates = {line["step"]: line["lr"] for line in records(changed)}
    assert [rates[step] for step in (3, 4, 5, 6)] == pytest.approx([0.05, 0.5, 0.5, 0.05])
    saved = load_checkpoint(checkpoints(changed) / "last.pt")
    assert saved["optimizer"]["param_groups"][0]["momentum"] == 0.5
    other = tiny_config(model={"width": 8}, train={"iterations": 9})
    with pytest.raises(FastrotError, match="belongs to another network"):
        train(other, anyway=True, quiet=True)


def test_a_checkpoint_holds_all_that_the_manual_says(tiny_config):
    config = tiny_config(train={"iterations": 1})
    saved = load_checkpoint(train(config, quiet=True).last)
    assert {"model", "optimizer", "scaler", "step", "rng", "versions"} <= saved.keys()
    assert saved["config_hash"] == config_hash(config)
    assert saved["config_hash"] != config_hash(tiny_config(seed=1, train={"iterations": 1}))


def test_a_full_disk_stops_the_run_and_leaves_the_last_checkpoint(tiny_config, monkeypatch):
    config = tiny_config(train={"checkpoint_every": 2})
    written = torch.save

    def fills_the_disk(values, file):
        if values.get("step") == 4:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written(values, file)

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", fills_the_disk)
        with pytest.raises(FastrotError, match=r"last\.pt cannot be written: .*No space left"):
            train(config, quiet=True)
    assert load_checkpoint(checkpoints(config) / "last.pt")["step"] == 2
    assert not list(checkpoints(config).glob("*.tmp"))
    assert train(config, resume=True, quiet=True).steps == 6


def test_a_full_disk_under_the_log_is_no_traceback(tiny_config, monkeypatch):
    config = tiny_config()
    opened = Path.open

    def full(self, *arguments, **options):
        if self.name == "metrics.jsonl":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return opened(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(FastrotError, match=r"folder .* cannot be written: .*No space left"):
        train(config, quiet=True)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_torchs_own_writer_meets_a_real_full_device(tmp_path, monkeypatch):
    path = tmp_path / "last.pt"
    save_checkpoint(path, {"step": 1})
    monkeypatch.setattr(secrets, "token_hex", lambda _: "0")
    (tmp_path / "last.pt.0.tmp").symlink_to("/dev/full")
    with pytest.raises(FastrotError, match=r"last\.pt cannot be written"):
        save_checkpoint(path, {"step": 2, "model": torch.zeros(100_000)})
    assert load_checkpoint(path)["step"] == 1


def test_a_crash_leaves_half_a_line_that_is_forgotten(tiny_config):
    config = tiny_config(train={"iterations": 2})
    train(config, quiet=True)
    folder = RunFolder(config, writes=True)
    with folder.metrics.open("a") as file:
        file.write('garbage\n{"step": 3, "lo')
    train(tiny_config(train={"iterations": 3}), resume=True, quiet=True)
    assert [line["step"] for line in records(config)] == [1, 2, 3]


def test_a_checkpoint_of_the_old_warmup_is_refused(tiny_config):
    config = tiny_config(optim={"warmup": 2}, train={"iterations": 2})
    last = train(config, quiet=True).last
    longer = replace(config, train=replace(config.train, iterations=4))
    values = load_checkpoint(last)
    old = {"_schedulers": [{"last_epoch": 2}, {"last_epoch": 0}], "last_epoch": 2}
    save_checkpoint(last, {**values, "scheduler": old})
    with pytest.raises(UsageError, match="drops of the learning rate from the end of the warm-up"):
        train(longer, resume=True, quiet=True)
    assert train(longer, resume=True, anyway=True, quiet=True).steps == 4


def test_a_checkpoint_of_the_old_schedule_without_warmup_resumes(tiny_config):
    config = tiny_config(train={"iterations": 2})
    last = train(config, quiet=True).last
    values = load_checkpoint(last)
    save_checkpoint(last, {**values, "scheduler": {"step_size": 4, "last_epoch": 2}})
    longer = replace(config, train=replace(config.train, iterations=4))
    assert train(longer, resume=True, quiet=True).steps == 4


@pytest.mark.parametrize("schedule", ["onecycle", "cosine"])
def test_a_run_whose_rate_depends_on_its_length_is_not_made_longer(tiny_config, schedule):
    config = tiny_config(optim={"schedule": schedule}, train={"iterations": 2})
    train(config, quiet=True)
    longer = replace(config, train=replace(config.train, iterations=3))
    with pytest.raises(UsageError, match=r"train\.iterations was 2, is now 3"):
        train(longer, resume=True, quiet=True)
