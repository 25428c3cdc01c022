from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from fastrot.distributed.runtime import Runtime
from fastrot.evaluation import retrieval
from fastrot.evaluation.clip_set import ClipSet
from fastrot.evaluation.features import block_features, remeasured, untrained
from fastrot.evaluation.paired import shares
from fastrot.evaluation.retrieval import hits_at, retrieve
from fastrot.evaluation.trained import load_trained
from pipelines.errors import UsageError
from pipelines.store.reading import Store


def scikit_learns_hits(gallery, labels, queries, truth, ks):
    """Return the hits at each k of scikit-learn's neighbours by cosine distance."""
    search = NearestNeighbors(n_neighbors=max(ks), metric="cosine", algorithm="brute")
    nearest = search.fit(gallery).kneighbors(queries, return_distance=False)
    return [
        float(np.mean([truth[i] in labels[row[:k]] for i, row in enumerate(nearest)])) for k in ks
    ]


@pytest.mark.parametrize("at_once", [7, 1024])
def test_hits_are_scikit_learns(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrieval, "QUERIES_AT_ONCE", at_once)
    rng = np.random.default_rng(0)
    gallery, queries = rng.normal(size=(150, 6)), rng.normal(size=(60, 6))
    gallery *= rng.uniform(0.1, 10, size=(150, 1))  # lengths must not matter
    labels, truth = rng.integers(20, size=150), rng.integers(20, size=60)
    ks = [1, 5, 10, 20, 50]
    found = hits_at(
        torch.from_numpy(gallery),
        torch.from_numpy(labels),
        torch.from_numpy(queries),
        torch.from_numpy(truth),
        ks,
    )
    found = shares(found)
    assert found == pytest.approx(scikit_learns_hits(gallery, labels, queries, truth, ks))
    assert 0 < found[0] < found[2] < 1


def test_more_neighbours_than_videos_are_all_videos() -> None:
    gallery, queries = torch.eye(2), torch.tensor([[2.0, 1.0], [2.0, 1.0], [2.0, 1.0]])
    found = hits_at(gallery, torch.tensor([0, 1]), queries, torch.tensor([0, 1, 2]), [1, 2, 50])
    assert shares(found) == pytest.approx([1 / 3, 2 / 3, 2 / 3])


@pytest.mark.parametrize("block", ["layer2", "layer4"])
def test_test_videos_query_the_training_videos(
    pretext_checkpoint: Path, runtime: Runtime, block: str
) -> None:
    trained = load_trained(pretext_checkpoint, runtime)
    store = Store.open(trained.config.data.store)
    ks = [1, 2, 3, 4]
    clips = ClipSet(store, "test1", 2, quiet=True)
    result = retrieve(trained, clips, "train1", runtime, block=block, ks=ks)
    gallery, queries = store.select("train1"), store.select("test1")
    index = ["conv1", "layer1", "layer2", "layer3", "layer4"].index(block)
    random, _ = untrained(trained, ClipSet(store, "train1"), runtime)
    ours, _ = remeasured(trained, ClipSet(store, "train1"), runtime)
    for network, found in ((ours, result.trained), (random, result.random)):
        known, asked = (
            block_features(network, replace(clips, split=split), runtime).blocks[index]
            for split in ("train1", "test1")
        )
        assert found == scikit_learns_hits(
            known.double(), store.labels[gallery], asked.double(), store.labels[queries], ks
        )
        assert found[-1] == 1.0  # among all four are both classes
    # Both queries are of the class that has one of the four videos: k of four are drawn.
    assert result.chance == pytest.approx([1 / 4, 2 / 4, 3 / 4, 1])
    assert result.difference_standard_error[-1] == 0  # both networks are right on both videos
    assert (result.k, result.block, result.train_videos) == (ks, block, 4)
    assert result.protocol.videos == 2
    assert result.protocol.weights == "frozen features"
    assert "random" in result.lines()[0]
    assert "nearest of 4 videos by cosine similarity" in result.lines()[-1]


def test_what_cannot_be_retrieved_is_refused(pretext_checkpoint: Path, runtime: Runtime) -> None:
    trained = load_trained(pretext_checkpoint, runtime)
    store = Store.open(trained.config.data.store)
    with pytest.raises(UsageError, match=r"unknown block 'fc': choose one of conv1, .*layer4"):
        retrieve(trained, ClipSet(store, "test1"), "train1", runtime, block="fc")
    with pytest.raises(UsageError, match="2 videos are in both splits, 'all' and 'test1'"):
        retrieve(trained, ClipSet(store, "test1"), "all", runtime)
