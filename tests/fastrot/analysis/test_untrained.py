"""The untrained network, and the statistics of the first BatchNorm against torch's own."""

import pytest
import torch

from fastrot.analysis.attention import attention_maps, centre_clips
from fastrot.analysis.untrained import measure_first_norm, untrained_like
from fastrot.evaluation.trained import Trained


def test_the_untrained_network_has_other_weights_than_training_began_with(trained, runtime):
    torch.manual_seed(trained.config.seed)
    begun = trained.task.network(trained.config.model).conv1.weight
    state = torch.get_rng_state()
    fresh, again = (untrained_like(trained, runtime).network.conv1.weight for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert fresh.shape == begun.shape
    assert torch.equal(fresh, again)
    overlap = torch.corrcoef(torch.stack([fresh.flatten(), begun.flatten()]))[0, 1]
    assert abs(overlap) < 0.1


@pytest.mark.parametrize("batch", [1, 4])
def test_all_networks_get_the_statistics_of_the_clips(trained, make_store, runtime, batch):
    store = make_store()
    videos = store.select("all")[:5]
    networks = [trained, untrained_like(trained, runtime)]
    measure_first_norm(networks, store, videos, runtime, batch=batch)
    clips = torch.cat(
        [each.clips for each in centre_clips(trained.config.data, store, videos, runtime)]
    )
    shown = (clips.float() / 255).permute(0, 4, 1, 2, 3)
    mean, std = (torch.tensor(each).view(3, 1, 1, 1) for each in trained.config.data.statistics)
    turned = torch.cat([torch.rot90((shown - mean) / std, turns, (3, 4)) for turns in range(4)])
    for each in networks:
        with torch.no_grad():
            outputs = each.network.conv1(turned)
        norm = each.network.bn1
        torch.testing.assert_close(
            norm.running_mean, outputs.mean((0, 2, 3, 4)), rtol=1e-3, atol=1e-4
        )
        variance = outputs.var((0, 2, 3, 4), correction=0)
        torch.testing.assert_close(norm.running_var, variance, rtol=1e-3, atol=1e-4)


def test_maps_do_not_depend_on_the_statistics_of_training(trained, make_store, runtime):
    store = make_store()
    videos = store.select("all")
    other = Trained(trained.task.network(trained.config.model), trained.task, trained.config)
    other.network.load_state_dict(trained.network.state_dict())
    other.network.bn1.running_mean.add_(1)
    inputs = torch.randn(1, 3, 4, 24, 24)
    assert not torch.equal(
        attention_maps(trained.network, inputs), attention_maps(other.network, inputs)
    )
    measure_first_norm([trained, other], store, videos, runtime, batch=2)
    assert torch.equal(
        attention_maps(trained.network, inputs), attention_maps(other.network, inputs)
    )
