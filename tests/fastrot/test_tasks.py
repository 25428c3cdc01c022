from dataclasses import replace

import numpy as np
import pytest
import torch

from fastrot.config import Config, DataConfig, ModelConfig, RotationConfig, TrainConfig
from fastrot.rotation.angles import rotate_all
from fastrot.tasks import RegressionTask, SpeedTask, make_task
from pipelines.errors import UsageError
from pipelines.loading.batches import Batch

TINY = ModelConfig(depth=10, width=2)


def a_batch() -> Batch:
    clips = torch.randint(0, 256, (2, 3, 8, 8, 3), dtype=torch.uint8)
    return Batch(clips, torch.tensor([1, 0]), np.arange(2), np.arange(2))


def test_the_pretext_task_shows_every_rotation_of_every_clip() -> None:
    config = Config(
        rotation=RotationConfig(degrees=[90, 180, 270]), data=DataConfig(mean=[0.0] * 3)
    )
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
        make_task(Config(rotation=RotationConfig(degrees=[0, 17])), [])
    with pytest.raises(UsageError, match="no action labels"):
        make_task(Config(task="action"), [])


def test_eight_rotations_show_the_centre_patch_of_each() -> None:
    config = Config(rotation=RotationConfig(degrees=list(range(0, 360, 45))))
    clips = torch.randint(0, 256, (2, 3, 24, 24, 3), dtype=torch.uint8)
    batch = Batch(clips, torch.tensor([0, 0]), np.arange(2), np.arange(2))
    inputs, targets = make_task(config, []).prepare(batch, torch.float32)
    assert inputs.shape == (16, 3, 3, 9, 9)
    assert targets.tolist() == [label for label in range(8) for _ in range(2)]


def speed_task(weight: float = 1.0) -> SpeedTask:
    rotation = RotationConfig(degrees=[0, 180], speeds=[1, 4, 2], speed_weight=weight)
    task = make_task(Config(rotation=rotation), [])
    assert isinstance(task, SpeedTask)
    return task


def test_the_speed_is_asked_of_every_rotation_of_a_clip() -> None:
    task, plain = speed_task(), make_task(Config(rotation=RotationConfig(degrees=[0, 180])), [])
    batch = replace(a_batch(), speeds=np.array([2, -1]))
    inputs, targets = task.prepare(batch, torch.float32)
    assert torch.equal(inputs, plain.prepare(batch, torch.float32)[0])
    assert targets.tolist() == [[0, 2], [0, -1], [1, 2], [1, -1]]
    assert (task.views, task.outputs) == (2, 5)
    torch.manual_seed(3)
    network = task.network(TINY)
    assert network(inputs).shape == (4, 5)
    torch.manual_seed(3)
    alone = plain.network(TINY)
    torch.testing.assert_close(network(inputs)[:, :2], alone(inputs), rtol=0, atol=0)
    with pytest.raises(ValueError, match="the batch has no speeds"):
        task.prepare(a_batch(), torch.float32)


def test_the_loss_adds_the_cross_entropy_of_the_speed_by_its_weight() -> None:
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(4, 5, generator=generator, dtype=torch.float64)
    targets = torch.tensor([[0, 2], [1, -1], [0, 0], [1, 1]])

    def minus_log(logits: np.ndarray, answer: int) -> float:
        return float(np.log(np.exp(logits).sum()) - logits[answer])

    rows = outputs.numpy()
    rotation = [minus_log(row[:2], int(turn)) for row, (turn, _) in zip(rows, targets, strict=True)]
    speed = [minus_log(rows[0, 2:], 2), minus_log(rows[2, 2:], 0), minus_log(rows[3, 2:], 1)]
    expected = (sum(rotation) + 0.5 * sum(speed)) / 4  # the clip without a speed adds nothing
    task = speed_task(weight=0.5)
    assert task.loss(outputs, targets).item() == pytest.approx(expected)
    halves = (task.loss(outputs[:2], targets[:2]) + task.loss(outputs[2:], targets[2:])) / 2
    assert halves.item() == pytest.approx(expected)
    none = torch.tensor([[0, -1]] * 4)
    plain = torch.nn.functional.cross_entropy(outputs[:, :2], none[:, 0])
    assert task.loss(outputs, none).item() == pytest.approx(plain.item())


def test_rotations_and_speeds_are_counted_apart() -> None:
    task = speed_task()
    outputs = torch.tensor([[1.0, 0, 0, 0, 9], [1, 0, 9, 0, 0], [0, 1, 0, 9, 0]])
    targets = torch.tensor([[0, 2], [1, 1], [1, -1]])
    assert task.correct(outputs, targets).item() == 2
    assert task.correct_further(outputs, targets).tolist() == [[1, 2]]


def regression(loss: str = "l2") -> RegressionTask:
    task = make_task(Config(rotation=RotationConfig("regress", loss=loss, views=3)), [])
    assert isinstance(task, RegressionTask)
    return task


def test_regression_targets_are_the_angles_that_the_clips_were_turned_by() -> None:
    task = regression()
    clips = torch.randint(0, 256, (2, 2, 24, 24, 3), dtype=torch.uint8)
    batch = Batch(clips, torch.tensor([0, 0]), np.arange(2), np.array([7, 8]))
    inputs, targets = task.prepare(batch, torch.float32)
    assert inputs.shape == (6, 3, 2, 9, 9)
    degrees = (targets + 1) * 180
    torch.testing.assert_close(degrees, degrees.round(), atol=1e-4, rtol=0)
    assert len(set(degrees.round().tolist())) > 1
    for row in range(6):
        alone = rotate_all(
            clips[row % 2][None],
            [degrees[row].round().item()],
            task.pixels(torch.float32),
        )
        torch.testing.assert_close(inputs[row], alone[0])
    again = task.prepare(batch, torch.float32)[1]
    assert torch.equal(targets, again)  # a function of the samples: a resumed run sees the same


def test_regression_angles_cover_the_circle_evenly() -> None:
    clips = torch.zeros(500, 1, 16, 16, 3, dtype=torch.uint8)
    batch = Batch(clips, torch.zeros(500), np.arange(500), np.arange(500))
    targets = regression().prepare(batch, torch.float32)[1]
    counts = torch.histc((targets + 1) * 180, bins=8, min=0, max=360)
    expected = 1500 / 8
    assert (counts - expected).abs().max() < 5 * expected**0.5


@pytest.mark.parametrize(
    ("loss", "expected"), [("l1", (0.5 + 0.25) / 2), ("l2", (0.25 + 0.0625) / 2)]
)
def test_equation_1_by_hand(loss: str, expected: float) -> None:
    task = regression(loss)
    outputs, targets = torch.tensor([[0.5], [-0.25]]), torch.tensor([0.0, 0.0])
    assert task.loss(outputs, targets).item() == pytest.approx(expected)


def test_errors_go_around_the_circle() -> None:
    """Targets 350, 10 and 90 degrees; answers 10, 350 and 270."""
    task = regression()
    targets = torch.tensor([350.0, 10.0, 90.0]) / 180 - 1
    outputs = (torch.tensor([10.0, 350.0, 270.0]) / 180 - 1)[:, None]
    torch.testing.assert_close(task.errors(outputs, targets), torch.tensor([20.0, 20.0, 180.0]))
    assert task.correct(outputs, targets).item() == 2


def test_smoothed_labels_by_hand() -> None:
    config = Config(task="action", train=TrainConfig(label_smoothing=0.3))
    task = make_task(config, ["a", "b", "c"])
    outputs, target = torch.tensor([[2.0, 1.0, 0.0]]), torch.tensor([0])
    log_softmax = outputs.log_softmax(dim=1)[0]
    expected = -(0.8 * log_softmax[0] + 0.1 * log_softmax[1] + 0.1 * log_softmax[2])
    assert task.loss(outputs, target).item() == pytest.approx(expected.item())
