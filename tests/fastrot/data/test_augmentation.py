"""Augmented training clips: who sees what, and what noise reveals of its axis."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from fastrot.analysis.cue_ledger import AxisCue, axis_cues
from fastrot.analysis.cue_measures import colour_planes, detail
from fastrot.config import Config, DataConfig
from fastrot.data.loaders import eval_loader, train_loader
from fastrot.distributed.runtime import Runtime
from fastrot.runs.checkpoint import load_checkpoint
from fastrot.synthetic.noise import noise
from fastrot.training.run import train
from pipelines.loading.cpu_ops import crop_of, finish_clip
from pipelines.loading.regions import RegionLaw, RegionPlan
from pipelines.plan import ClipSpec, Plan, TrainPlan
from pipelines.store.reading import Store

ALL = {"scale": [0.4, 1.0], "aspect": [0.75, 1.333], "grey": 0.5, "gain": 1.8}
DIF = {**ALL, "modality": "dif", "polarity": True}
REMEDY = {**DIF, "camera_motion": "remove", "dead_zone": 5}
OPTIONS = pytest.mark.parametrize("data", [ALL, DIF, REMEDY], ids=["rgb", "dif", "remedy"])


def batches(
    config: Config, runtime: Runtime, *, start_step: int = 0, steps: int = 4
) -> list[torch.Tensor]:
    store = Store.open(config.data.store)
    videos = np.arange(4)
    with train_loader(config, store, videos, runtime, start_step=start_step, steps=steps) as loader:
        return [batch.clips.clone() for batch in loader]


@OPTIONS
def test_resuming_continues_with_the_same_clips(
    tiny_config: Callable[..., Config], runtime: Runtime, data: dict[str, object]
) -> None:
    config = tiny_config(data=data)
    whole, rest = batches(config, runtime), batches(config, runtime, start_step=2)
    assert len(rest) == 2
    for found, wanted in zip(rest, whole[2:], strict=True):
        assert torch.equal(found, wanted)
    assert not torch.equal(whole[0], batches(tiny_config(), runtime)[0])


@OPTIONS
def test_two_ranks_see_what_one_process_sees(
    tiny_config: Callable[..., Config], runtime: Runtime, data: dict[str, object]
) -> None:
    config = tiny_config(data=data)
    alone = batches(config, runtime)
    ranks = [batches(config, replace(runtime, rank=rank, world=2)) for rank in (0, 1)]
    for one, *halves in zip(alone, *ranks, strict=True):
        assert torch.equal(torch.cat(halves), one)


def test_a_resumed_run_ends_with_the_same_weights(tiny_config: Callable[..., Config]) -> None:
    straight = tiny_config(name="straight", data=DIF, train={"iterations": 4})
    last = load_checkpoint(train(straight, quiet=True).last)
    parts = replace(straight, name="parts")
    train(replace(parts, train=replace(parts.train, iterations=2)), quiet=True)
    resumed = load_checkpoint(train(parts, resume=True, quiet=True).last)
    for name, weights in last["model"].items():
        assert torch.equal(weights, resumed["model"][name]), name


def test_off_is_the_plain_loader_to_the_bit(
    tiny_config: Callable[..., Config], runtime: Runtime
) -> None:
    off = {"scale": None, "aspect": None, "grey": 0.0, "gain": 1.0, "polarity": False}
    for found, wanted in zip(
        batches(tiny_config(data=off), runtime), batches(tiny_config(), runtime), strict=True
    ):
        assert torch.equal(found, wanted)


def test_an_evaluation_is_not_augmented(
    tiny_config: Callable[..., Config], runtime: Runtime
) -> None:
    def clips(data: DataConfig) -> torch.Tensor:
        store = Store.open(data.store)
        loader, _ = eval_loader(
            data, store, np.arange(4), runtime, clips_per_video=1, batch=4, skip=False
        )
        with loader:
            return next(loader).clips

    plain = tiny_config(data={"modality": "dif"})
    assert torch.equal(clips(tiny_config(data=DIF).data), clips(plain.data))


class Noise:
    """One frame each of many videos, as a plan needs it: 136 x 136 pixels."""

    size = 136

    def __init__(self, count: int):
        self.frames = np.ones(count, dtype=np.int32)


def pictures(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Return 150 independent pictures of noise, (150, height, width, 3) uint8."""
    return np.concatenate([noise(rng, 1, height, width) for _ in range(150)])


def told(frames: np.ndarray, law: RegionLaw | None) -> list[AxisCue]:
    """Return what the axes of planned clips of (N, 136, 136, 3) frames reveal."""
    store, spec = Noise(len(frames)), ClipSpec(frames=1)
    plan: Plan = TrainPlan(store, np.arange(len(frames)), spec, seed=1)
    if law is not None:
        plan = RegionPlan(plan, store, law, seed=1)
    clips = plan.clips(0, len(frames))
    into = np.empty((len(frames), 1, spec.crop, spec.crop, 3), np.uint8)
    for row, video in enumerate(clips.video):
        region = crop_of(frames[video : video + 1], clips, row)
        finish_clip(region, into[row], flip=bool(clips.flip[row]), spec=plan.spec)
    return axis_cues(detail(colour_planes(into[:, 0])).astype(np.float64))


def test_noise_has_no_axis_afterwards_and_a_stretch_shows_less() -> None:
    law = RegionLaw(ALL["scale"], ALL["aspect"])
    rng = np.random.default_rng(0)
    # The mean of a contrast without an axis is within 1.5 of its 95 % intervals.
    for cue in told(pictures(rng, 136, 136), law):
        assert not cue.found, cue
        assert cue.told < 0.65, cue
    # A 4:3 picture of 170 x 226 pixels is stretched to a square.
    wide = torch.from_numpy(pictures(rng, 170, 226)).permute(0, 3, 1, 2)
    square = interpolate(wide, (136, 136), mode="bilinear", antialias=True)
    frames = square.permute(0, 2, 3, 1).contiguous().numpy()
    for plain, augmented in zip(told(frames, None), told(frames, law), strict=True):
        assert plain.told > 0.95, plain
        assert augmented.told < 0.85, augmented


def test_a_checkpoint_from_before_these_keys_resumes_without_them(
    tiny_config: Callable[..., Config], tmp_path: Path
) -> None:
    config = tiny_config(train={"iterations": 2})
    path = train(config, quiet=True).last
    values = torch.load(path, weights_only=False)
    for name in (*ALL, "polarity"):
        del values["config"]["data"][name]
    torch.save(values, path)
    longer = replace(config, train=replace(config.train, iterations=3))
    assert train(longer, resume=True, quiet=True).last.exists()
