"""Training on a GPU: precision, compiling, optimisers, and that the host does not wait between log lines."""

import math
from dataclasses import replace

import pytest
import torch

from fastrot.config import OptimConfig
from fastrot.distributed.runtime import Runtime
from fastrot.training.apex import ApexKind, find_apex, trial
from fastrot.training.optim import choose_backend, make_optimizer
from fastrot.training.run import train
from fastrot.training.trainer import Trainer
from tests.fastrot.training.steps import losses, make_trainer
from tests.fastrot.training.test_profiling import events

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("precision", ["auto", "bf16", "fp16", "fp32"])
@pytest.mark.parametrize("task", ["rotation", "action"])
def test_a_short_run_ends_with_a_finite_loss(tiny_config, precision, task):
    result = train(tiny_config(task=task, train={"precision": precision}), quiet=True)
    assert math.isfinite(result.loss)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"task": "action"},
        {"train": {"precision": "fp16"}},
        {"train": {"precision": "fp16"}, "optim": {"clip_norm": 1.0}},
        {"train": {"accumulate": 2}},
        {"model": {"stem_channels": 8}},
        {"rotation": {"degrees": list(range(0, 360, 45))}},
        {"rotation": {"kind": "regress"}},
    ],
    ids=str,
)
def test_no_step_waits_for_the_device_between_log_lines(tiny_config, monkeypatch, changes):
    advance = Trainer.advance

    def watched(self, batches):
        if self.step < 2:  # the first steps choose algorithms and allocate
            return advance(self, batches)
        torch.cuda.set_sync_debug_mode("error")
        try:
            return advance(self, batches)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    monkeypatch.setattr(Trainer, "advance", watched)
    changes = {**changes, "train": {**changes.get("train", {}), "log_every": 100}}
    train(tiny_config(**changes), quiet=True)


def test_a_compiled_step_equals_an_eager_one(tiny_config, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    config = tiny_config(model={"width": 16})
    with Runtime.start("fp32") as runtime:
        eager, _ = losses(config, runtime)
        compiled, _ = losses(compiled_config(config), runtime)
    assert compiled == pytest.approx(eager, rel=1e-3)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("stem_channels", [3, 8])
def test_a_compiled_step_in_half_precision(tiny_config, precision, stem_channels):
    """One step only, and its direction: the rounding of another order is amplified by every further one.

    Emulated on a CPU, such rounding in bf16 moves this network's third loss by 7 % and turns its first update
    by up to 21 degrees.
    """
    config = tiny_config(model={"width": 16, "stem_channels": stem_channels})
    with Runtime.start(precision) as runtime:
        eager, eager_update, eager_buffers = first_step(config, runtime)
        compiled, update, buffers = first_step(compiled_config(config), runtime)
    assert compiled == pytest.approx(eager, rel=0.02)
    assert torch.cosine_similarity(update, eager_update, dim=0) > 0.8
    assert update.norm() == pytest.approx(eager_update.norm().item(), rel=0.2)
    for ours, theirs in zip(buffers, eager_buffers, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0.02, atol=0.02)


def compiled_config(config):
    return replace(config, train=replace(config.train, compile=True))


def first_step(config, runtime):
    """Return the loss of one step, how it changed all weights, and BatchNorm's statistics after it."""
    before = make_trainer(config, runtime).network.parameters()
    (loss,), trainer = losses(config, runtime, steps=1)
    after = trainer.network.parameters()
    changes = [(new - old).flatten() for new, old in zip(after, before, strict=True)]
    return loss, torch.cat(changes).detach(), list(trainer.network.buffers())


def test_sgd_is_fused_and_goes_on_from_its_checkpoint(tiny_config):
    weight = torch.nn.Parameter(torch.ones(2, 2, device="cuda"))
    layer = torch.nn.Module()
    layer.weight = weight
    assert make_optimizer(layer, OptimConfig(), 0.1).param_groups[0]["fused"]
    straight = tiny_config(name="straight", train={"precision": "fp32"})
    parts = replace(straight, name="parts")
    whole = train(straight, quiet=True)
    train(replace(parts, train=replace(parts.train, iterations=3)), quiet=True)
    resumed = train(parts, resume=True, quiet=True)
    assert resumed.loss == pytest.approx(whole.loss, rel=1e-2)


def test_apex_steps_as_torch_does(tiny_config):
    """apex is optional: this skips without it also where a GPU is required."""
    kind = find_apex()
    if kind is not ApexKind.NVIDIA:
        pytest.skip(kind.value)
    fault = trial(torch.device("cuda"))
    if fault is not None:
        pytest.skip(f"this build of apex does not work here: {fault}")
    auto = OptimConfig(backend="auto")
    assert choose_backend(auto, torch.device("cuda"), "bf16")[0] == "apex"
    config = tiny_config()
    apex = replace(config, optim=replace(config.optim, backend="apex"))
    with Runtime.start("fp32") as runtime:
        ours, first = losses(config, runtime)
        theirs, second = losses(apex, runtime)
    assert theirs == pytest.approx(ours, rel=1e-3)
    for mine, other in zip(first.network.parameters(), second.network.parameters(), strict=True):
        torch.testing.assert_close(other, mine, rtol=1e-2, atol=1e-4)


def test_decoding_runs_beside_training_on_streams_of_its_own(tiny_config, make_store):
    store = make_store("raw", size=128)
    config = tiny_config(
        data={"store": str(store.path), "crop": 112, "frames": 8, "prefetch": 2},
        model={"width": 32},  # steps long enough that the GPU, not the host, is what is waited for
        train={"iterations": 12, "batch": 16, "log_every": 100},
        profile={"steps": 6, "wait": 4, "warmup": 1},
    )
    found = events(train(config, quiet=True).folder / "profile.json")
    kernels = [event for event in found if event["cat"] in ("kernel", "gpu_memcpy")]
    training = {event["args"]["stream"] for event in kernels if "rotate_tile" in event["name"]}
    assert len(training) == 1
    steps = [event for event in kernels if event["args"]["stream"] in training]
    loading = [event for event in kernels if event["args"]["stream"] not in training]
    assert any(at_once(step, load) for load in loading for step in steps)
    names = {event["name"] for event in found if event["cat"] == "gpu_user_annotation"}
    assert {"rotate", "forward"} <= names


def at_once(one, other):
    """Return whether two events of a trace overlap in time."""
    return one["ts"] < other["ts"] + other["dur"] and other["ts"] < one["ts"] + one["dur"]
