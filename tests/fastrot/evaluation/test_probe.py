from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.preprocessing import StandardScaler

from fastrot.distributed.runtime import Runtime
from fastrot.evaluation.clip_set import ClipSet
from fastrot.evaluation.features import block_features, remeasured
from fastrot.evaluation.probe import linear_probe, probe_blocks
from fastrot.evaluation.trained import load_trained
from pipelines.store.reading import Store


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


def test_every_block_is_probed_beside_the_random_networks(
    pretext_checkpoint: Path, runtime: Runtime
) -> None:
    trained = load_trained(pretext_checkpoint, runtime)
    store = Store.open(trained.config.data.store)
    clips = ClipSet(store, "all", quiet=True)
    result = probe_blocks(trained, clips, "all", runtime, shots=2)
    assert result.blocks == ["conv1", "layer1", "layer2", "layer3", "layer4"]
    assert result.train_videos == 4
    for ours, none, error in zip(
        result.trained, result.random, result.difference_standard_error, strict=True
    ):
        # Pairs differ by -1, 0 or 1, so that the variance is at least that of as few ones as possible.
        gap = abs(ours - none)
        assert error is not None
        assert error**2 >= (gap - gap**2) / 5 - 1e-9
        assert error**2 <= (1 - gap**2) / 5 + 1e-9
    for accuracy in result.trained + result.random:
        assert 6 * accuracy == pytest.approx(round(6 * accuracy))  # six test videos
    with torch.no_grad():
        for weight in trained.network.parameters():
            weight.zero_()
    blind = probe_blocks(trained, clips, "all", runtime, shots=2)
    assert blind.trained == [0.5] * 5  # one answer for all, of which each class has half
    assert blind.random == result.random
    assert "frozen features" in result.lines()[-1]


def test_the_blocks_accuracies_are_scikit_learns(
    pretext_checkpoint: Path, runtime: Runtime
) -> None:
    trained = load_trained(pretext_checkpoint, runtime)
    store = Store.open(trained.config.data.store)
    result = probe_blocks(trained, ClipSet(store, "test1", 2, quiet=True), "train1", runtime)
    network, _ = remeasured(trained, ClipSet(store, "train1", 2), runtime)
    fitted, tested = (
        block_features(network, ClipSet(store, split, 2, quiet=True), runtime)
        for split in ("train1", "test1")
    )
    for accuracy, a, b in zip(result.trained, fitted.blocks, tested.blocks, strict=True):
        scaler = StandardScaler().fit(a.double())
        reference = LogisticRegression(tol=1e-9, max_iter=5000)
        reference.fit(scaler.transform(a.double()), store.labels[store.select("train1")])
        found = reference.predict(scaler.transform(b.double()))
        assert accuracy == accuracy_score(store.labels[store.select("test1")], found)
    assert result.protocol.clips_per_video == 2
