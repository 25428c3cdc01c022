"""Regression of the rotation, against an independent computation."""

import statistics

import numpy as np
import pytest
import torch

from fastrot.evaluation.clip_set import ClipSet
from fastrot.evaluation.pretext import evaluate_pretext
from fastrot.evaluation.regression import AngleResult
from fastrot.evaluation.rotation_accuracy import RotationResult
from fastrot.evaluation.trained import Trained
from fastrot.tasks import make_task


def trained(tiny_config, **rotation):
    config = tiny_config(rotation=rotation)
    task = make_task(config, [])
    torch.manual_seed(3)
    return Trained(task.network(config.model), task, config)


def test_the_mean_error_goes_around_the_circle(tiny_config, make_store, runtime, monkeypatch):
    of = trained(tiny_config, kind="regress", views=3)
    seen = []
    errors = of.task.errors

    def spy(outputs, targets):
        seen.append((outputs[:, 0].numpy(), targets.numpy()))
        return errors(outputs, targets)

    monkeypatch.setattr(of.task, "errors", spy)
    result = evaluate_pretext(of, ClipSet(make_store(), "all", 2, batch=5, quiet=True), runtime)
    assert isinstance(result, AngleResult)
    outputs, targets = (np.concatenate(values) for values in zip(*seen, strict=True))
    assert len(outputs) == 6 * 2 * 3
    answer, truth = np.exp(1j * np.pi * outputs), np.exp(1j * np.pi * targets)
    away = np.abs(np.angle(answer / truth, deg=True))
    assert result.mean_error_degrees == pytest.approx(away.mean(), abs=1e-3)
    assert result.accuracy == pytest.approx((away <= 22.5).mean())
    assert (result.clips, result.views) == (12, 3)
    # The rows are ordered view by view within each batch of 5 clips, and two clips are of one video.
    clips = np.concatenate([np.tile(part, 3) for part in (range(5), range(5, 10), range(10, 12))])
    per_video = [away[clips // 2 == video].mean() for video in range(6)]
    expected = statistics.stdev(per_video) / 6**0.5
    assert result.mean_error_standard_error == pytest.approx(expected, rel=1e-4)
    assert "around the circle" in result.lines()[0]


def test_classes_are_measured_as_classes(tiny_config, make_store, runtime):
    of = trained(tiny_config, degrees=[0, 45, 90, 135, 180, 225, 270, 315])
    result = evaluate_pretext(of, ClipSet(make_store(), "test1", quiet=True), runtime)
    assert isinstance(result, RotationResult)
    assert np.sum(result.confusion) == 2 * 8
    assert result.axis_accuracy is None
