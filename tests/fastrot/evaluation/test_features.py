from pathlib import Path

import pytest
import torch

from fastrot.distributed.runtime import Runtime
from fastrot.evaluation import features
from fastrot.evaluation.clip_set import ClipSet
from fastrot.evaluation.features import (
    block_features,
    compare_features,
    remeasured,
    untrained,
)
from fastrot.evaluation.trained import load_trained
from pipelines.errors import UsageError
from pipelines.loading.loader import Loader
from pipelines.plan import ClipSpec, EvalPlan
from pipelines.store.reading import Store


def test_features_are_each_blocks_average_over_a_videos_clips(
    pretext_checkpoint: Path, runtime: Runtime
) -> None:
    trained = load_trained(pretext_checkpoint, runtime)
    store = Store.open(trained.config.data.store)
    videos = store.select("test1")
    found = block_features(trained, ClipSet(store, "test1", 3, batch=4), runtime).blocks
    assert [tuple(block.shape) for block in found] == [(2, 4), (2, 4), (2, 8), (2, 16), (2, 32)]

    plan = EvalPlan(store, videos, ClipSpec(frames=4, crop=32), clips_per_video=3)
    trained.network.eval()
    with Loader(store, plan, [(0, 6)], batch=6, device=torch.device("cpu")) as loader:
        clips = trained.task.upright(next(loader), torch.float32)
    with torch.no_grad():
        expected = trained.network(clips)
        pooled = found[-1]
        for index, block in enumerate(trained.network.stages(clips)):
            mean = block.mean(dim=(2, 3, 4)).view(2, 3, -1).mean(dim=1)
            torch.testing.assert_close(found[index], mean, rtol=1e-4, atol=1e-5)
        # The last block's features are what the head reads (its first layer is linear).
        hidden = trained.network.fc[0](trained.network.embed(clips)).view(2, 3, -1).mean(dim=1)
        torch.testing.assert_close(trained.network.fc[0](pooled), hidden, rtol=1e-4, atol=1e-5)
    assert expected.shape == (6, 4)


def test_a_random_networks_activations_are_normalised(
    pretext_checkpoint: Path, runtime: Runtime
) -> None:
    trained = load_trained(pretext_checkpoint, runtime)
    store = Store.open(trained.config.data.store)
    videos = store.select("all")
    network = untrained(trained, ClipSet(store, "all", batch=6), runtime)[0].network
    torch.manual_seed(trained.config.seed)
    fresh = trained.task.network(trained.config.model)
    assert torch.equal(network.conv1.weight, fresh.conv1.weight)
    plan = EvalPlan(store, videos, ClipSpec(frames=4, crop=32), clips_per_video=1)
    with Loader(store, plan, [(0, 6)], batch=6, device=torch.device("cpu")) as loader:
        clips = trained.task.upright(next(loader), torch.float32)
    with torch.no_grad():
        out = network.eval().bn1(network.conv1(clips))
    torch.testing.assert_close(out.mean(dim=(0, 2, 3, 4)), torch.zeros(4), atol=1e-3, rtol=0)
    torch.testing.assert_close(out.std(dim=(0, 2, 3, 4)), torch.ones(4), atol=1e-2, rtol=0)


@pytest.mark.parametrize("frozen", [0, 5])
def test_the_trained_network_gets_statistics_by_the_same_rule_as_the_random_one(
    pretext_checkpoint: Path, runtime: Runtime, frozen: int
) -> None:
    trained = load_trained(pretext_checkpoint, runtime)
    store = Store.open(trained.config.data.store)
    trained.network.freeze(frozen)
    before = {name: value.clone() for name, value in trained.network.state_dict().items()}
    clips = ClipSet(store, "all", batch=6)
    network = remeasured(trained, clips, runtime)[0].network
    # The random network with the trained one's weights and no trained statistics is then the same network.
    random = untrained(trained, clips, runtime)[0]
    weights = dict(trained.network.named_parameters())
    for name, weight in random.network.named_parameters():
        weight.data.copy_(weights[name])
    again = remeasured(random, clips, runtime)[0].network
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, again.state_dict()[name])
        assert torch.equal(trained.network.state_dict()[name], before[name])  # only a copy changes
    assert not torch.equal(network.bn1.running_mean, trained.network.bn1.running_mean)


def test_a_comparison_measures_both_networks_on_the_training_split(
    pretext_checkpoint: Path, runtime: Runtime
) -> None:
    """The statistics that it was trained with do not matter."""
    trained = load_trained(pretext_checkpoint, runtime)
    with torch.no_grad():
        trained.network.bn1.running_mean += 7  # statistics of other videos
    store = Store.open(trained.config.data.store)
    found = compare_features(trained, ClipSet(store, "test1"), "train1", runtime)
    shifted = load_trained(pretext_checkpoint, runtime)
    expected = compare_features(shifted, ClipSet(store, "test1"), "train1", runtime)
    pairs = (*found.trained, *found.random), (*expected.trained, *expected.random)
    for mine, other in zip(*pairs, strict=True):
        for block, same in zip(mine.blocks, other.blocks, strict=True):
            assert torch.equal(block, same)


def test_a_test_split_that_does_not_fit_is_refused_before_anything_is_read(
    pretext_checkpoint: Path, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = load_trained(pretext_checkpoint, runtime)
    store = Store.open(trained.config.data.store)
    store.labels[store.select("test1")[0]] = -1
    monkeypatch.setattr(features, "block_features", None)
    with pytest.raises(UsageError, match="1 videos of the split 'test1' have no action label"):
        compare_features(trained, ClipSet(store, "test1"), "train1", runtime)
