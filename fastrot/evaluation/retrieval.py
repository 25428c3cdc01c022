"""Nearest-neighbour retrieval: do videos of an action lie close together in feature space?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fastrot.distributed.runtime import Runtime
from fastrot.evaluation.clip_set import ClipSet
from fastrot.evaluation.features import BlockFeatures, block_index, compare_features
from fastrot.evaluation.protocol import Result
from fastrot.evaluation.trained import Trained
from pipelines.errors import UsageError

K = (1, 5, 10, 20, 50)
QUERIES_AT_ONCE = 1024  # bounds the memory of their similarities to every training video


@dataclass(frozen=True)
class RetrievalResult(Result):
    """Hits at each k in 0..1: queries with a video of their class among their k nearest.

    ``trained`` are the network's, ``random`` those of the same network before any training.
    """

    k: list[int]
    trained: list[float]
    random: list[float]
    block: str
    train_videos: int

    def findings(self) -> list[str]:
        """Return the hits and the protocol as lines to print."""
        rows = zip(self.k, self.trained, self.random, strict=True)
        return [
            *(
                f"hit at {k:<4} {100 * ours:5.1f} %  random {100 * none:5.1f} %"
                for k, ours, none in rows
            ),
            f"protocol: nearest of {self.train_videos} videos by cosine similarity of {self.block}, "
            f"queried by {self.protocol}",
        ]


def hits_at(
    gallery: Tensor,
    gallery_labels: Tensor,
    queries: Tensor,
    query_labels: Tensor,
    ks: Sequence[int],
) -> list[float]:
    """Return the share of queries with one of their class among their k most similar, for each k.

    Args:
        gallery: (N, D) features.
        gallery_labels: (N,) int64.
        queries: (M, D) features, compared by cosine similarity in float64.
        query_labels: (M,) int64.
        ks: neighbours; more than N count as N.
    """
    among = F.normalize(gallery.double(), dim=1)
    most = min(max(ks), len(gallery))
    nearest = torch.cat(
        [
            (F.normalize(some, dim=1) @ among.T).topk(most, dim=1).indices
            for some in torch.split(queries.double(), QUERIES_AT_ONCE)
        ]
    )
    same = gallery_labels[nearest] == query_labels[:, None]
    return [same[:, :k].any(dim=1).double().mean().item() for k in ks]


def retrieve(
    trained: Trained,
    clips: ClipSet,
    train_split: str,
    runtime: Runtime,
    *,
    block: str = "layer4",
    ks: Sequence[int] = K,
) -> RetrievalResult:
    """Look up each test video's nearest training videos, by a frozen network and by it untrained.

    A video's features are a block's activations, averaged over space, time and its clips.

    Args:
        trained: a network of any task.
        clips: those of the split whose videos query.
        train_split: the split whose videos are found.
        runtime: the processes share the extraction, and each gets the whole result.
        block: one of the five convolution blocks.
        ks: how many neighbours to look at.

    Raises:
        UsageError: there is no such block, the store lacks a split or labels, or a video is in both splits.
        FastrotError: more videos cannot be read than data.broken_share tolerates.
    """
    index = block_index(block)
    store = clips.store
    both = np.intersect1d(store.select(train_split), store.select(clips.split))
    if len(both):
        raise UsageError(
            f"{len(both)} videos are in both splits, {train_split!r} and {clips.split!r}, such as "
            f"{store.name(int(both[0]))}: each would find itself. Choose two without common videos"
        )

    def hits(gallery: BlockFeatures, queries: BlockFeatures) -> list[float]:
        known, asked = gallery.blocks[index], queries.blocks[index]
        return hits_at(known, gallery.labels, asked, queries.labels, ks)

    found = compare_features(trained, clips, train_split, runtime)
    gallery, queries = found.trained
    return RetrievalResult(
        k=list(ks),
        trained=hits(*found.trained),
        random=hits(*found.random),
        block=block,
        train_videos=len(gallery.videos),
        protocol=queries.protocol,
        skipped=found.skipped,
    )
