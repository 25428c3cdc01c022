from pathlib import Path

import numpy as np
import pytest
import torch

from fastrot.config import OptimConfig, TrainConfig, load_config
from fastrot.models.network import transfer_network
from fastrot.training.optim import (
    clip_gradients,
    count_steps,
    learning_rate,
    load_optimizer,
    make_optimizer,
    scaled_lr,
    start_momenta,
)

CONFIGS = Path(__file__).parents[3] / "configs"


def rates(config: OptimConfig, steps: int, steps_per_epoch: float = 1.0) -> list[float]:
    """Return the learning rate that each step uses."""
    rate = learning_rate(config, config.lr, steps=steps, steps_per_epoch=steps_per_epoch)
    return [rate(step) for step in range(steps)]


def test_the_published_schedule_drops_every_so_many_iterations() -> None:
    found = rates(OptimConfig(lr=0.1, step_size=3, gamma=0.1), 8)
    assert found == pytest.approx([0.1] * 3 + [0.01] * 3 + [0.001] * 2)


def test_constant_stays() -> None:
    assert rates(OptimConfig(lr=0.1, schedule="constant", step_size=2), 5) == [0.1] * 5


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 10, 101])
def test_one_cycle_is_torchs(steps: int) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=steps)
    expected = []
    for step in range(steps):
        expected.append(optimizer.param_groups[0]["lr"])
        if step + 1 < steps:
            optimizer.step()
            scheduler.step()
    found = rates(OptimConfig(lr=0.1, schedule="onecycle"), steps)
    assert found == pytest.approx(expected, rel=1e-9)


def test_epochs_are_rounded_up_to_iterations() -> None:
    assert count_steps(TrainConfig(iterations=7), 100) == 7
    assert count_steps(TrainConfig(batch=32, epochs=100), 9537) == 29_804  # 29,803.1
    assert count_steps(TrainConfig(batch=50, epochs=0.5), 100) == 1


def test_steps_may_be_counted_in_epochs() -> None:
    config = OptimConfig(lr=1.0, step_size=2, step_unit="epochs")
    found = rates(config, 8, steps_per_epoch=1.5)  # two epochs are three iterations
    assert found == pytest.approx([1.0] * 3 + [0.1] * 3 + [0.01] * 2)


def test_cosine_by_hand() -> None:
    found = rates(OptimConfig(lr=2.0, schedule="cosine"), 4)
    assert found == pytest.approx([2.0, 1 + 0.5**0.5, 1.0, 1 - 0.5**0.5])


def test_warmup_rises_linearly_to_the_rate() -> None:
    found = rates(OptimConfig(lr=1.0, schedule="constant", warmup=3), 6)
    assert found == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0, 1.0])


def test_a_cosine_begins_after_the_warmup() -> None:
    found = rates(OptimConfig(lr=1.0, schedule="cosine", warmup=3), 9)
    assert found[:3] == pytest.approx([0.25, 0.5, 0.75])
    assert found[3:] == pytest.approx(rates(OptimConfig(lr=1.0, schedule="cosine"), 6))


def test_warmup_moves_no_drop_of_the_steps() -> None:
    """The drops and the rise by themselves, multiplied: 1/4, 2/4, 3/4, then 1; a tenth every three steps."""
    found = rates(OptimConfig(lr=1.0, step_size=3, warmup=4, gamma=0.1), 10)
    drops = [1.0] * 3 + [0.1] * 3 + [0.01] * 3 + [0.001]
    rise = [0.2, 0.4, 0.6, 0.8] + [1.0] * 6
    assert found == pytest.approx([drop * part for drop, part in zip(drops, rise, strict=True)])


def test_the_recipe_for_many_nodes_at_every_step() -> None:
    """The paper's four drops, at a batch 32 times the paper's, and the rate of the linear scaling rule."""
    paper = load_config(CONFIGS / "pretrain" / "kinetics_rgb_16.yaml")
    recipe = load_config(CONFIGS / "pretrain" / "kinetics_rgb_16_b1024.yaml")
    videos = [config.train.batch * (config.train.iterations or 0) for config in (paper, recipe)]
    assert videos[0] == videos[1] == 3_328_000
    rate = learning_rate(
        recipe.optim, scaled_lr(recipe.optim, recipe.train.batch), steps=3250, steps_per_epoch=1.0
    )
    decades = np.repeat([0, -1, -2, -3, -4], [750, 750, 750, 750, 250])
    ramp = np.concatenate([np.linspace(1 / 501, 500 / 501, 500), np.ones(2750)])
    assert [rate(step) for step in range(3250)] == pytest.approx(3.2 * ramp * 10.0**decades)


def test_the_learning_rate_scales_with_the_batch_where_asked() -> None:
    assert scaled_lr(OptimConfig(lr=0.1), 256) == 0.1
    assert scaled_lr(OptimConfig(lr=0.1, lr_batch=32), 256) == pytest.approx(0.8)


def test_batchnorm_and_biases_can_be_exempt_from_decay() -> None:
    network = transfer_network(3, depth=10, width=2)
    optimizer = make_optimizer(network, OptimConfig(weight_decay=0.1, decay_norms=False), 0.1)
    decays = {
        id(weight): group["weight_decay"]
        for group in optimizer.param_groups
        for weight in group["params"]
    }
    for name, weight in network.named_parameters():
        exempt = ".bn" in f".{name}" or name.endswith(".bias")
        assert decays[id(weight)] == (0.0 if exempt else 0.1), name


def test_frozen_weights_are_not_the_optimisers() -> None:
    network = transfer_network(3, depth=10, width=2)
    network.freeze(1)
    optimizer = make_optimizer(network, OptimConfig(), 0.1)
    held = {id(weight) for group in optimizer.param_groups for weight in group["params"]}
    assert id(network.conv1.weight) not in held
    assert id(network.fc.weight) in held


@pytest.mark.parametrize(("most", "expected"), [(1.0, 1.0), (100.0, 5.0)])
def test_gradients_are_clipped_by_their_common_norm(most: float, expected: float) -> None:
    layer = torch.nn.Linear(2, 1)
    optimizer = make_optimizer(layer, OptimConfig(), 0.1)
    layer.weight.grad, layer.bias.grad = torch.tensor([[3.0, 0.0]]), torch.tensor([4.0])
    clip_gradients(layer, torch.amp.GradScaler("cpu", enabled=False), optimizer, most)
    norm = torch.cat([layer.weight.grad.flatten(), layer.bias.grad]).norm()
    assert norm.item() == pytest.approx(expected)


def test_a_checkpoint_does_not_decide_how_the_step_is_computed() -> None:
    layer = torch.nn.Linear(2, 2)
    fused = torch.optim.SGD(layer.parameters(), lr=0.5, momentum=0.9, fused=True)
    layer(torch.ones(1, 2)).sum().backward()
    fused.step()
    ours = make_optimizer(layer, OptimConfig(), 0.1)
    load_optimizer(ours, fused.state_dict())
    (group,) = ours.param_groups
    assert not group["fused"]
    assert group["lr"] == 0.5
    for weight in layer.parameters():
        momentum = fused.state[weight]["momentum_buffer"]
        assert torch.equal(ours.state[weight]["momentum_buffer"], momentum)


def test_a_first_step_that_the_scaler_skips_leaves_no_momentum(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # torch's fused SGD takes uninitialised memory for the momentum there.
    monkeypatch.setattr(torch, "empty_like", lambda like: torch.full_like(like, float("nan")))
    weight = torch.nn.Parameter(torch.ones(4))
    optimizer = torch.optim.SGD([weight], lr=1.0, momentum=0.5, fused=True)
    start_momenta(optimizer)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    for gradient in (float("inf"), 1.0):
        scaler.scale((weight * gradient).sum()).backward()
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
    assert torch.equal(weight.detach(), torch.zeros(4))
    assert torch.equal(optimizer.state[weight]["momentum_buffer"], torch.ones(4))
