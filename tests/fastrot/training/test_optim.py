import pytest
import torch

from fastrot.config import OptimConfig, TrainConfig
from fastrot.training.optim import count_steps, make_optimizer, make_scheduler


def rates(config: OptimConfig, steps: int) -> list[float]:
    """Return the learning rate that each step uses."""
    optimizer = make_optimizer(torch.nn.Linear(1, 1), config)
    scheduler = make_scheduler(optimizer, config, steps)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def test_the_published_schedule_drops_every_so_many_iterations() -> None:
    found = rates(OptimConfig(lr=0.1, step_size=3, gamma=0.1), 8)
    assert found == pytest.approx([0.1] * 3 + [0.01] * 3 + [0.001] * 2)


def test_constant_stays() -> None:
    assert rates(OptimConfig(lr=0.1, schedule="constant", step_size=2), 5) == [0.1] * 5


def test_one_cycle_rises_and_falls() -> None:
    found = rates(OptimConfig(lr=0.1, schedule="onecycle"), 101)
    assert found[0] == pytest.approx(0.1 / 25)
    assert max(found) == pytest.approx(0.1, rel=1e-3)
    assert 28 <= found.index(max(found)) <= 31
    assert found[-1] < 1e-5


def test_one_cycle_leaves_the_momentum_alone() -> None:
    config = OptimConfig(schedule="onecycle", momentum=0.7)
    optimizer = make_optimizer(torch.nn.Linear(1, 1), config)
    make_scheduler(optimizer, config, 10)
    assert optimizer.param_groups[0]["momentum"] == 0.7


def test_epochs_are_rounded_up_to_iterations() -> None:
    assert count_steps(TrainConfig(iterations=7), 100) == 7
    assert count_steps(TrainConfig(batch=32, epochs=100), 9537) == 29_804  # 29,803.1
    assert count_steps(TrainConfig(batch=50, epochs=0.5), 100) == 1
