import numpy as np
import pytest
import torch

from fastrot.config import Config, DataConfig, ModelConfig, RotationConfig
from fastrot.tasks import make_task
from pipelines.errors import UsageError
from pipelines.loader import Batch

TINY = ModelConfig(depth=10, width=2)


def a_batch() -> Batch:
    clips = torch.randint(0, 256, (2, 3, 8, 8, 3), dtype=torch.uint8)
    return Batch(clips, torch.tensor([1, 0]), np.arange(2), np.arange(2))


def test_the_pretext_task_shows_every_rotation_of_every_clip() -> None:
    config = Config(rotation=RotationConfig([90, 180, 270]), data=DataConfig(mean=[0.0] * 3))
    task, batch = make_task(config, []), a_batch()
    inputs, targets = task.prepare(batch, torch.float32)
    assert (task.views, task.outputs) == (3, 3)
    assert targets.tolist() == [0, 0, 1, 1, 2, 2]
    std = torch.tensor(config.data.statistics[1])
    turned = (
        torch.rot90(batch.clips[1].float(), 2, (1, 2)) / 255 / std
    )  # row 1 * 2 + 1: 180 degrees
    torch.testing.assert_close(inputs[3].permute(1, 2, 3, 0), turned)
    assert task.network(TINY)(inputs).shape == (6, 3)


def test_the_action_task_shows_clips_as_they_are() -> None:
    task, batch = make_task(Config(task="action"), ["walk", "run", "jump"]), a_batch()
    inputs, targets = task.prepare(batch, torch.float32)
    assert (task.views, task.outputs) == (1, 3)
    assert targets.tolist() == [1, 0]
    torch.testing.assert_close(inputs, task.upright(batch, torch.float32))
    assert task.network(TINY)(inputs).shape == (2, 3)


def test_loss_and_metric() -> None:
    task = make_task(Config(), [])
    outputs = torch.tensor([[0.0, 0, 0, 0], [9.0, 0, 0, 0], [9.0, 0, 0, 0]])
    targets = torch.tensor([0, 0, 1])
    p = np.exp(9) / (np.exp(9) + 3)
    expected = -(np.log(0.25) + np.log(p) + np.log((1 - p) / 3)) / 3
    assert task.loss(outputs, targets).item() == pytest.approx(expected, rel=1e-5)
    assert task.correct(outputs, targets).item() == 2


def test_what_cannot_be_a_task_is_refused() -> None:
    with pytest.raises(UsageError, match=r"rotation\.degrees"):
        make_task(Config(rotation=RotationConfig([0, 17])), [])
    with pytest.raises(UsageError, match="no action labels"):
        make_task(Config(task="action"), [])
