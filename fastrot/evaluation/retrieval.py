"""Nearest-neighbour retrieval: whether videos of the same action are close in feature space."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from fastrot.distributed.runtime import Runtime
from fastrot.evaluation.clip_set import ClipSet
from fastrot.evaluation.features import MEASURED, BlockFeatures, block_index, compare_features
from fastrot.evaluation.intervals import Estimate
from fastrot.evaluation.paired import chance_of_hits, differences, paired_errors, shares
from fastrot.evaluation.protocol import Result
from fastrot.evaluation.trained import Trained
from pipelines.errors import UsageError

K = (1, 5, 10, 20, 50)
QUERIES_AT_ONCE = 1024  # limits the memory of the similarities to all training videos


@dataclass(frozen=True)
class RetrievalResult(Result):
    """Hits at each k in 0..1: the share of queries with a video of their class among the k nearest.

    ``trained`` are those of the network, ``random`` those of the same network untrained. The standard errors
    of their differences (0..1) are over the queries, on which both networks are compared one by one.
    ``chance`` is the hit rate of videos drawn at random.
    """

    k: list[int]
    trained: list[float]
    random: list[float]
    difference_standard_error: list[float | None]
    chance: list[float]
    block: str
    train_videos: int

    def findings(self) -> list[str]:
        """Return the hits and the protocol as lines to print."""
        rows = zip(self.k, self.trained, self.random, self.differences(), self.chance, strict=True)
        return [
            *(
                f"hit at {k:<4} {100 * ours:5.1f} %  random {100 * none:5.1f} %  difference "
                f"{gain.text(sign='+', between='+-')}  chance {100 * chance:.1f} %"
                for k, ours, none, gain, chance in rows
            ),
            "+- is half of the 95 % confidence interval over the queries",
            f"protocol: nearest of {self.train_videos} videos by cosine similarity of {self.block}, "
            f"queried by {self.protocol}; {MEASURED}",
        ]

    def differences(self) -> list[Estimate]:
        """Return the network's hits above the random network's, for each k, in %."""
        return differences(
            self.trained, self.random, self.difference_standard_error, self.protocol.videos
        )


def hits_at(
    gallery: Tensor,
    gallery_labels: Tensor,
    queries: Tensor,
    query_labels: Tensor,
    ks: Sequence[int],
) -> list[Tensor]:
    """Return, for each k, which queries have a video of their class among the k most similar.

    Args:
        gallery: (N, D) features.
        gallery_labels: (N,) int64.
        queries: (M, D) features, compared by cosine similarity in float64.
        query_labels: (M,) int64.
        ks: Numbers of neighbours; more than N count as N.

    Returns:
        (M,) bool for each k.
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
    return [same[:, :k].any(dim=1) for k in ks]


def retrieve(
    trained: Trained,
    clips: ClipSet,
    train_split: str,
    runtime: Runtime,
    *,
    block: str = "layer4",
    ks: Sequence[int] = K,
) -> RetrievalResult:
    """Find the nearest training videos of each test video, with a frozen network and with it untrained.

    The features of a video are the activations of a block, averaged over space, time and clips.

    Args:
        trained: A network of any task.
        clips: The clips of the split with the queries.
        train_split: The split to search.
        runtime: The processes, which share the extraction; each gets the whole result.
        block: One of the five convolution blocks.
        ks: Numbers of neighbours to evaluate.

    Raises:
        UsageError: There is no such block, the store lacks a split or labels, or a video is in both splits.
        FastrotError: More videos are unreadable than ``data.broken_share`` tolerates.
    """
    index = block_index(block)
    store = clips.store
    both = np.intersect1d(store.select(train_split), store.select(clips.split))
    if len(both):
        raise UsageError(
            f"{len(both)} videos are in both splits, {train_split!r} and {clips.split!r}, such as "
            f"{store.name(int(both[0]))}, and would retrieve themselves. Choose two disjoint splits."
        )

    def hits(gallery: BlockFeatures, queries: BlockFeatures) -> list[Tensor]:
        known, asked = gallery.blocks[index], queries.blocks[index]
        return hits_at(known, gallery.labels, asked, queries.labels, ks)

    found = compare_features(trained, clips, train_split, runtime)
    gallery, queries = found.trained
    ours, none = hits(*found.trained), hits(*found.random)
    known, asked = (
        torch.bincount(each.labels, minlength=len(store.classes)).tolist() for each in found.trained
    )
    return RetrievalResult(
        k=list(ks),
        trained=shares(ours),
        random=shares(none),
        difference_standard_error=paired_errors(ours, none),
        chance=[chance_of_hits(known, asked, k) for k in ks],
        block=block,
        train_videos=len(gallery.videos),
        protocol=queries.protocol,
        skipped=found.skipped,
    )
