from collections.abc import Callable

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from fastrot.config import Config
from fastrot.evaluation.probe import block_features, linear_probe, probe_blocks, untrained
from fastrot.evaluation.trained import load_trained
from fastrot.runtime import Runtime
from fastrot.training import train
from pipelines.loader import Loader
from pipelines.plan import ClipSpec, TestPlan
from pipelines.store import Store

TinyConfig = Callable[..., Config]


@pytest.mark.parametrize("c", [0.01, 1.0])
def test_the_probe_is_scikit_learns_logistic_regression(c: float) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(4, size=80)
    train_x = rng.normal(size=(80, 10)) * 5 + np.eye(4, 10)[labels] * 4
    train_x[:, 9] = 3.0  # a dead feature
    test_x = rng.normal(size=(50, 10)) * 5
    found = linear_probe(
        torch.from_numpy(train_x).float(),
        torch.from_numpy(labels),
        torch.from_numpy(test_x).float(),
        classes=4,
        c=c,
    )
    scaler = StandardScaler().fit(train_x)
    reference = LogisticRegression(C=c, tol=1e-9, max_iter=5000)
    reference.fit(scaler.transform(train_x), labels)
    expected = reference.predict_proba(scaler.transform(test_x))
    np.testing.assert_allclose(found.softmax(dim=1).numpy(), expected, atol=1e-4)


def test_features_are_each_blocks_average_over_a_videos_clips(
    tiny_config: TinyConfig, runtime: Runtime
) -> None:
    trained = load_trained(train(tiny_config(train={"iterations": 2})).last, runtime)
    store = Store.open(trained.config.data.store)
    videos = store.select("test1")
    found = block_features(trained, store, videos, runtime, clips_per_video=3, batch=4)
    assert [tuple(block.shape) for block in found] == [(2, 4), (2, 4), (2, 8), (2, 16), (2, 32)]

    plan = TestPlan(store, videos, ClipSpec(frames=4, crop=32), clips_per_video=3)
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
    tiny_config: TinyConfig, runtime: Runtime
) -> None:
    trained = load_trained(train(tiny_config(train={"iterations": 1})).last, runtime)
    store = Store.open(trained.config.data.store)
    videos = store.select("all")
    network = untrained(trained, store, videos, runtime, batch=6).network
    torch.manual_seed(trained.config.seed)
    fresh = trained.task.network(trained.config.model)
    assert torch.equal(network.conv1.weight, fresh.conv1.weight)
    plan = TestPlan(store, videos, ClipSpec(frames=4, crop=32), clips_per_video=1)
    with Loader(store, plan, [(0, 6)], batch=6, device=torch.device("cpu")) as loader:
        clips = trained.task.upright(next(loader), torch.float32)
    with torch.no_grad():
        out = network.eval().bn1(network.conv1(clips))
    torch.testing.assert_close(out.mean(dim=(0, 2, 3, 4)), torch.zeros(4), atol=1e-3, rtol=0)
    torch.testing.assert_close(out.std(dim=(0, 2, 3, 4)), torch.ones(4), atol=1e-2, rtol=0)


def test_every_block_is_probed_beside_the_random_networks(
    tiny_config: TinyConfig, runtime: Runtime
) -> None:
    trained = load_trained(train(tiny_config(train={"iterations": 1})).last, runtime)
    store = Store.open(trained.config.data.store)
    result = probe_blocks(trained, store, "all", "all", runtime, shots=2, quiet=True)
    assert result.blocks == ["conv1", "layer1", "layer2", "layer3", "layer4"]
    assert result.train_videos == 4
    for accuracy in result.trained + result.random:
        assert 6 * accuracy == pytest.approx(round(6 * accuracy))  # six test videos
    with torch.no_grad():
        for weight in trained.network.parameters():
            weight.zero_()
    blind = probe_blocks(trained, store, "all", "all", runtime, shots=2, quiet=True)
    assert blind.trained == [0.5] * 5  # one answer for all, of which each class has half
    assert blind.random == result.random
    assert "frozen features" in result.lines()[-1]
