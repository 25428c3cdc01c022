"""Clips as the config asks for them."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from fastrot.config import Config
from fastrot.data import loaders
from fastrot.data.loaders import options_of, train_loader
from fastrot.distributed.runtime import Runtime
from fastrot.evaluation.clip_set import ClipSet
from fastrot.evaluation.rotation_accuracy import evaluate_rotation
from fastrot.evaluation.trained import load_trained
from fastrot.training.run import train
from pipelines.errors import FastrotError
from pipelines.loading.motion import compensated_differences, trim
from pipelines.store.reading import Store


def first_clips(config: Config, runtime: Runtime) -> torch.Tensor:
    store = Store.open(config.data.store)
    with train_loader(config, store, np.arange(4), runtime, start_step=0, steps=1) as loader:
        return next(loader).clips


def test_camera_motion_is_removed_from_the_clips_of_the_plan(
    tiny_config: Callable[..., Config], runtime: Runtime
) -> None:
    of = {"modality": "dif", "frames": 3}
    whole = first_clips(tiny_config(data={**of, "frames": 4, "modality": "rgb"}), runtime)
    data = {**of, "camera_motion": "remove", "dead_zone": 5}
    clips = first_clips(tiny_config(data=data), runtime)
    assert clips.shape == (4, 3, 32, 32, 3)
    np.testing.assert_array_equal(clips, trim(compensated_differences(whole), 5))


def test_dead_zone_alone_trims_what_the_store_gives(
    tiny_config: Callable[..., Config], runtime: Runtime
) -> None:
    plain = first_clips(tiny_config(data={"modality": "dif"}), runtime)
    trimmed = first_clips(tiny_config(data={"modality": "dif", "dead_zone": 20}), runtime)
    np.testing.assert_array_equal(trimmed, plain.sign() * (plain.abs() - 20).clamp(min=0))


def test_a_run_without_camera_motion_trains_and_is_evaluated(
    tiny_config: Callable[..., Config], runtime: Runtime
) -> None:
    data = {"modality": "dif", "camera_motion": "remove", "eval_split": "test1"}
    config = tiny_config(data=data, train={"iterations": 2})
    trained = load_trained(train(config, quiet=True).last, runtime)
    clips = ClipSet(Store.open(config.data.store), "test1", quiet=True)
    result = evaluate_rotation(trained, clips, runtime)
    assert 0 <= result.accuracy <= 1


def test_a_gpu_has_few_threads_unless_they_are_configured(
    tiny_config: Callable[..., Config], runtime: Runtime
) -> None:
    large = replace(runtime, device=torch.device("cuda", 0), cores=112)
    assert options_of(tiny_config().data, large).threads == 16
    assert options_of(tiny_config(data={"threads": 40}).data, large).threads == 40
    assert options_of(tiny_config().data, replace(runtime, cores=112)).threads == 112


@pytest.mark.parametrize(("share", "checked"), [(1.0, True), (0.01, True), (0.0, False)])
def test_a_run_compares_the_hardware_decoder_that_it_uses(
    tiny_config: Callable[..., Config],
    runtime: Runtime,
    monkeypatch: pytest.MonkeyPatch,
    share: float,
    checked: bool,
) -> None:
    def refuse(store: Store, videos: np.ndarray, device: torch.device, crop: int) -> None:
        assert (len(videos), device, crop) == (4, runtime.device, config.data.crop)
        raise FastrotError("other pixels")

    monkeypatch.setattr(loaders, "check_engine", refuse)
    config = tiny_config(data={"hw_decoder_load": share})
    if checked:
        with pytest.raises(FastrotError, match="other pixels"):
            first_clips(config, runtime)
    else:
        assert first_clips(config, runtime).shape[0] == 4
