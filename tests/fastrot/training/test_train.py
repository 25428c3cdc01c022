import json
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from fastrot.config import Config
from fastrot.models.network import pretext_network
from fastrot.models.resnet3d import ResNet3D
from fastrot.rotation.op import rotate
from fastrot.rotation.sets import rotation_set
from fastrot.runs.checkpoint import load_checkpoint, save_checkpoint
from fastrot.runs.run_folder import RunFolder
from fastrot.training.run import train
from fastrot.training.trainer import Trainer
from pipelines.errors import FastrotError, UsageError
from pipelines.loading.loader import Loader
from pipelines.plan import ClipSpec, TrainPlan
from pipelines.store.reading import Store

TinyConfig = Callable[..., Config]


def lines(config: Config, key: str = "loss") -> list[dict[str, Any]]:
    """Return the lines of metrics.jsonl that have ``key``."""
    text = (Path(config.out) / config.name / "metrics.jsonl").read_text()
    return [line for line in map(json.loads, text.splitlines()) if key in line]


def same(a: Path, b: Path) -> bool:
    """Compare the weights and momenta of two checkpoints bit by bit."""
    first, second = load_checkpoint(a), load_checkpoint(b)
    momenta = [
        [state["momentum_buffer"] for state in each["optimizer"]["state"].values()]
        for each in (first, second)
    ]
    weights = [list(each["model"].values()) for each in (first, second)]
    return all(len(x) == len(y) and all(map(torch.equal, x, y)) for x, y in (momenta, weights))


def plain_loop(config: Config) -> tuple[list[float], torch.nn.Module]:
    """Train as a textbook would: no accumulation, no schedule, losses read at every step."""
    store = Store.open(config.data.store)
    spec = ClipSpec(frames=config.data.frames, crop=config.data.crop)
    plan = TrainPlan(store, store.select(config.data.split), spec, seed=config.seed)
    torch.manual_seed(config.seed)
    network = pretext_network(4, depth=10, width=4).to(memory_format=torch.channels_last_3d)
    optimizer = torch.optim.SGD(
        network.parameters(),
        lr=config.optim.lr,
        momentum=config.optim.momentum,
        weight_decay=config.optim.weight_decay,
    )
    batch = config.train.batch
    assert config.train.iterations is not None
    ranges = [(batch * step, batch) for step in range(config.train.iterations)]
    losses = []
    mean, std = config.data.statistics
    rotations = rotation_set([0, 90, 180, 270])
    with Loader(store, plan, ranges, batch=batch, device=torch.device("cpu")) as loader:
        for loaded in loader:
            inputs = rotate(loaded.clips, rotations, mean=mean, std=std, dtype=torch.float32)
            targets = torch.arange(4).repeat_interleave(batch)
            loss = F.cross_entropy(network(inputs), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return losses, network


def test_it_computes_what_a_plain_loop_computes(tiny_config: TinyConfig) -> None:
    config = tiny_config(optim={"schedule": "constant"}, train={"iterations": 3})
    result = train(config)
    losses, network = plain_loop(config)
    assert [line["loss"] for line in lines(config)] == losses
    weights = load_checkpoint(result.last)["model"]
    assert all(torch.equal(weights[name], value) for name, value in network.state_dict().items())


def test_the_log_has_numbers_and_the_windows_averages(tiny_config: TinyConfig) -> None:
    each = tiny_config(name="each")
    wide = tiny_config(name="wide", train={"log_every": 4})
    train(each)
    result = train(wide)
    single, windows = lines(each), lines(wide)
    with FlopCounterMode(display=False) as counter:
        ResNet3D(depth=10, width=4).eval()(torch.zeros(1, 3, 4, 32, 32)).sum().backward()
    flops = counter.get_total_flops()
    assert [line["step"] for line in windows] == [4, 6]
    for key in ("loss", "accuracy"):
        values = [line[key] for line in single]
        assert windows[0][key] == pytest.approx(sum(values[:4]) / 4)
        assert windows[1][key] == pytest.approx(sum(values[4:]) / 2)
    assert [line["lr"] for line in single] == pytest.approx([0.05] * 4 + [0.005] * 2)
    assert [line["samples"] for line in single] == [4, 8, 12, 16, 20, 24]
    for line in single:
        assert line["clips_per_s"] == pytest.approx(4 * line["videos_per_s"])
        assert 0 <= line["data_wait_share"] <= 1
        # By torch's counter, for one clip of 4x32x32 forward and backward.
        assert line["useful_tflop_per_s"] == pytest.approx(line["clips_per_s"] * flops / 1e12)
    assert (result.loss, result.accuracy) == (windows[-1]["loss"], windows[-1]["accuracy"])
    assert result.seconds == pytest.approx(windows[-1]["seconds"], abs=0.1)


def test_two_micro_batches_give_the_mean_of_their_losses(tiny_config: TinyConfig) -> None:
    whole = tiny_config(name="whole", train={"batch": 2, "iterations": 2, "log_every": 1})
    halves = tiny_config(name="halves", train={"batch": 4, "iterations": 1, "accumulate": 2})
    # Without learning, the two single batches are the two halves of the double one.
    frozen = {"lr": 1e-30, "weight_decay": 0.0}
    train(replace(whole, optim=replace(whole.optim, **frozen)))
    train(replace(halves, optim=replace(halves.optim, **frozen)))
    first, second = (line["loss"] for line in lines(whole))
    assert lines(halves)[0]["loss"] == pytest.approx((first + second) / 2, rel=1e-6)


def test_resuming_is_bit_exact(tiny_config: TinyConfig) -> None:
    straight = tiny_config(name="straight", train={"accumulate": 2, "log_every": 2})
    result = train(straight)
    # The stop after three steps cuts a window of the log in two.
    parts = replace(straight, name="parts")
    train(replace(parts, train=replace(parts.train, iterations=3)))
    resumed = train(parts, resume=True)
    assert same(result.last, resumed.last)
    expected = [
        (line["step"], line["loss"], line["accuracy"], line["lr"]) for line in lines(straight)
    ]
    found = [(line["step"], line["loss"], line["accuracy"], line["lr"]) for line in lines(parts)]
    assert [step for step, *_ in found] == [2, 3, 4, 6]
    assert [line for line in found if line[0] in (2, 6)] == [expected[0], expected[2]]


def interrupt_after(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Raise a Ctrl-C at the end of a step."""
    advance = Trainer.advance

    def advanced(self: Trainer, batches: Any) -> None:
        advance(self, batches)
        if self.step == step:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Trainer, "advance", advanced)


def test_ctrl_c_saves_says_how_to_go_on_and_loses_nothing(
    tiny_config: TinyConfig, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # The log's window of steps 1 to 4 is open when the run is interrupted.
    straight = tiny_config(name="straight", optim={"schedule": "onecycle"}, train={"log_every": 4})
    result = train(straight)
    parts = replace(straight, name="parts")
    with monkeypatch.context() as patch:
        interrupt_after(patch, 2)
        with pytest.raises(KeyboardInterrupt):
            train(parts)
    assert "interrupted after step 2" in capsys.readouterr().out
    assert load_checkpoint(Path(parts.out) / "parts" / "checkpoints" / "last.pt")["step"] == 2
    resumed = train(parts, resume=True)
    assert same(result.last, resumed.last)
    assert [(line["step"], line["loss"]) for line in lines(parts)] == [
        (line["step"], line["loss"]) for line in lines(straight)
    ]


def test_after_a_crash_steps_since_the_checkpoint_are_measured_again(
    tiny_config: TinyConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config(train={"checkpoint_every": 2})
    record = RunFolder.record

    def crashing(self: RunFolder, values: dict[str, Any]) -> None:
        record(self, values)
        if values["step"] == 5:
            raise RuntimeError("a crash")

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "record", crashing)
        with pytest.raises(RuntimeError, match="a crash"):
            train(config)
    before = lines(config)
    train(config, resume=True)
    assert [line["step"] for line in lines(config)] == [1, 2, 3, 4, 5, 6]
    assert lines(config)[4]["loss"] == before[4]["loss"]


def test_a_changed_run_is_not_resumed(tiny_config: TinyConfig) -> None:
    config = tiny_config(train={"iterations": 1})
    train(config)
    changed = tiny_config(
        seed=1,
        optim={"lr": 0.5},
        train={"accumulate": 2},
        data={"split": "all", "scale": [0.5, 1.0]},
    )
    with pytest.raises(UsageError) as caught:
        train(changed, resume=True)
    for part in (
        "optim.lr was 0.05, is now 0.5",
        "seed was 0, is now 1",
        "data.split was ",
        "data.scale was null, is now [0.5, 1.0]",
        "videos",
    ):
        assert part in str(caught.value)
    assert "processes x train.accumulate was 1, is now 2" in str(caught.value)
    onecycle = tiny_config(name="cycle", optim={"schedule": "onecycle"}, train={"iterations": 2})
    train(onecycle)
    with pytest.raises(UsageError, match=r"train\.iterations was 2, is now 4"):
        train(replace(onecycle, train=replace(onecycle.train, iterations=4)), resume=True)


def test_a_run_made_when_short_videos_looped_is_not_resumed_where_one_is_short(
    tiny_config: TinyConfig,
) -> None:
    for frames, short in ((4, False), (16, True)):  # the shortest video has 12 frames
        config = tiny_config(name=f"of-{frames}", data={"frames": frames}, train={"iterations": 1})
        result = train(config)
        values = load_checkpoint(result.last)
        del values["format"], values["short_clips"]  # as older versions wrote it
        save_checkpoint(result.last, values)
        longer = replace(config, train=replace(config.train, iterations=2))
        if short:
            with pytest.raises(
                UsageError, match=r"shorter than a clip.*plays them backwards at the end"
            ):
                train(longer, resume=True)
        assert train(longer, resume=True, anyway=short).steps == 2
        assert train(longer, resume=True).steps == 2  # what it wrote is of this version


def test_a_run_is_not_overwritten_and_a_finished_one_not_repeated(tiny_config: TinyConfig) -> None:
    config = tiny_config(train={"iterations": 2})
    result = train(config, resume=True)  # nothing there yet: it begins
    with pytest.raises(UsageError, match="already exists"):
        train(config)
    before = result.last.stat().st_mtime_ns
    again = train(config, resume=True)
    assert again == result
    assert result.last.stat().st_mtime_ns == before


def test_a_batch_that_does_not_divide_leaves_nothing_behind(tiny_config: TinyConfig) -> None:
    config = tiny_config(train={"accumulate": 3})
    with pytest.raises(UsageError, match=r"train\.batch is 4.*multiple of 3"):
        train(config)
    assert not Path(config.out).exists()


def test_transfer_starts_from_the_pretext_networks_backbone(tiny_config: TinyConfig) -> None:
    pretext = train(tiny_config(name="pretext"))
    still = {"lr": 1e-30, "weight_decay": 0.0}
    config = tiny_config(name="action", task="action", init=str(pretext.last), optim=still)
    transfer = train(config)
    before, after = (load_checkpoint(result.last)["model"] for result in (pretext, transfer))
    assert torch.equal(before["layer4.0.conv1.weight"], after["layer4.0.conv1.weight"])
    assert after["fc.weight"].shape == (2, 32)
    assert load_checkpoint(transfer.last)["classes"] == ["class0", "class1"]
    misfit = tiny_config(name="wide", task="action", init=str(pretext.last), model={"width": 8})
    with pytest.raises(FastrotError, match=r"init=.*last\.pt \(fastrot\): .*shape"):
        train(misfit)


def test_the_best_network_on_the_eval_split_is_kept(
    tiny_config: TinyConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    accuracies = iter([0.5, 0.75, 0.25])
    evaluate = "fastrot.training.run.evaluate_pretext"

    @dataclass
    class Result:
        accuracy: float

        def lines(self) -> list[str]:
            return [f"accuracy {self.accuracy}"]

    def measured(*_: Any, **__: Any) -> Result:
        return Result(next(accuracies))

    monkeypatch.setattr(evaluate, measured)
    result = train(tiny_config(data={"eval_split": "test1"}, train={"eval_every": 2}))
    assert (result.eval_accuracy, result.best_accuracy) == (0.25, 0.75)
    assert result.best is not None
    assert load_checkpoint(result.best)["step"] == 4
    assert load_checkpoint(result.last)["step"] == 6


def test_evaluating_does_not_change_what_is_learnt(tiny_config: TinyConfig) -> None:
    plain = train(tiny_config(name="plain"))
    config = tiny_config(name="watched", data={"eval_split": "test1"}, train={"eval_every": 2})
    watched = train(config)
    assert same(plain.last, watched.last)
    assert [line["step"] for line in lines(config, "eval_accuracy")] == [2, 4, 6]
    assert plain.best is None


def test_checkpoints_hold_what_going_on_needs(tiny_config: TinyConfig) -> None:
    result = train(tiny_config(train={"iterations": 2, "keep": 1}))
    values = load_checkpoint(result.last)
    assert {"model", "optimizer", "scaler", "step", "rng", "config"} <= values.keys()
    assert values["config"]["data"]["mean"] == [0.4339, 0.4046, 0.3776]
    assert values["versions"]["torch"] == torch.__version__
    assert (result.last.parent / "step-00000002.pt").exists()


@pytest.mark.parametrize("task", ["rotation", "action"])
def test_a_padded_stem_learns_and_saves_the_same(tiny_config: TinyConfig, task: str) -> None:
    # Slowly and for a few steps: rounding grows from step to step.
    slow = {"task": task, "optim": {"lr": 0.005}, "train": {"iterations": 3}}
    plain = tiny_config(name="plain", **slow)
    padded = tiny_config(name="padded", **slow, model={"stem_channels": 4})
    results = train(plain), train(padded)
    assert [line["loss"] for line in lines(padded)] == pytest.approx(
        [line["loss"] for line in lines(plain)], rel=1e-4
    )
    first, second = (load_checkpoint(result.last)["model"] for result in results)
    assert {name: value.shape for name, value in first.items()} == {
        name: value.shape for name, value in second.items()
    }
    for name, value in first.items():
        torch.testing.assert_close(second[name], value, rtol=1e-3, atol=1e-4)
    # A run may be resumed either way.
    longer = replace(padded, name="plain", train=replace(padded.train, iterations=4))
    assert train(longer, resume=True).steps == 4
