"""Linear probes: what frozen features tell of actions, block by block, beside a random network's."""

from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from fastrot.data.selection import select_videos
from fastrot.distributed.runtime import Runtime
from fastrot.evaluation.features import BLOCKS, BlockFeatures, block_features, untrained
from fastrot.evaluation.trained import Protocol, Trained, protocol
from fastrot.evaluation.unreadable import Skipped, merged, skipped_lines
from pipelines.store.reading import Store


@dataclass(frozen=True)
class ProbeResult:
    """Top-1 accuracies in 0..1 per video, one for each of the paper's five convolution blocks.

    ``trained`` are the network's, ``random`` those of the same network before any training.
    ``skipped`` videos could not be read, and count nowhere.
    """

    blocks: list[str]
    trained: list[float]
    random: list[float]
    train_videos: int
    protocol: Protocol
    skipped: list[Skipped] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return what to print, the protocol included."""
        rows = zip(self.blocks, self.trained, self.random, strict=True)
        return [
            *(
                f"{name:8} {100 * ours:5.1f} %  random {100 * none:5.1f} %"
                for name, ours, none in rows
            ),
            f"protocol: linear probe on {self.train_videos} videos, tested on {self.protocol}",
            *skipped_lines(self.skipped),
        ]


def linear_probe(
    train: Tensor, train_labels: Tensor, test: Tensor, *, classes: int, c: float = 1.0
) -> Tensor:
    """Fit a multinomial logistic regression on standardised features; return the test scores.

    The objective is scikit-learn's: c * sum of cross entropies + |weights|^2 / 2, minimised by L-BFGS
    in float64.

    Args:
        train: (N, D) features.
        train_labels: (N,) int64.
        test: (M, D) features, standardised by the training features' mean and deviation.
        classes: how many there are.
        c: the inverse of the regularisation's strength.

    Returns:
        (M, classes) float64 logits.
    """
    train, test = train.double(), test.double()
    mean, deviation = train.mean(dim=0), train.std(dim=0, correction=0)
    deviation = torch.where(deviation > 0, deviation, 1.0)  # a dead feature stays at 0
    train, test = (train - mean) / deviation, (test - mean) / deviation
    weight = torch.zeros(classes, train.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(classes, dtype=torch.float64, requires_grad=True)
    solver = torch.optim.LBFGS(
        [weight, bias], max_iter=500, tolerance_grad=1e-8, line_search_fn="strong_wolfe"
    )

    def objective() -> Tensor:
        solver.zero_grad()
        loss = F.cross_entropy(F.linear(train, weight, bias), train_labels)
        loss = loss + weight.square().sum() / (2 * c * len(train))
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    solver.step(objective)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        return F.linear(test, weight, bias)


def probe_blocks(
    trained: Trained,
    store: Store,
    train_split: str,
    test_split: str,
    runtime: Runtime,
    *,
    shots: int = 0,
    clips_per_video: int = 1,
    batch: int = 16,
    quiet: bool = False,
) -> ProbeResult:
    """Probe every block of a frozen network, and of the same network untrained.

    Args:
        trained: a network of either task.
        store: labelled videos.
        train_split: what the probes are fitted on,
        test_split: and tested on.
        runtime: the processes share the extraction.
        shots: training videos of each class, 0 for all.
        clips_per_video: uniform clips whose features are averaged.
        batch: clips at a time and process.
        quiet: show no progress.

    Raises:
        UsageError: the store lacks a split, or labels.
        FastrotError: more videos cannot be read than data.broken_share tolerates.
    """
    seed = trained.config.seed
    train = select_videos(store, train_split, labelled=True, shots=shots, seed=seed)
    test = select_videos(store, test_split, labelled=True, shots=0, seed=seed)
    train_labels, test_labels = (torch.from_numpy(store.labels[each]) for each in (train, test))
    settings = {"clips_per_video": clips_per_video, "batch": batch, "quiet": quiet}

    def read(of: Trained) -> list[BlockFeatures]:
        return [
            block_features(of, store, videos, runtime, **settings)  # type: ignore[arg-type]
            for videos in (train, test)
        ]

    def accuracies(fitted: BlockFeatures, tested: BlockFeatures) -> list[float]:
        found = []
        for a, b in zip(fitted.blocks, tested.blocks, strict=True):
            scores = linear_probe(a, train_labels[fitted.kept], b, classes=len(store.classes))
            right = scores.argmax(dim=1) == test_labels[tested.kept]
            found.append(right.float().mean().item())
        return found

    unmeasured: list[Skipped] = []
    ours = read(trained)
    none = read(untrained(trained, store, train, runtime, batch=batch, skipped=unmeasured))
    counted = test[ours[1].kept]
    measured = protocol(trained, store, test_split, counted, clips_per_video=clips_per_video)
    return ProbeResult(
        blocks=list(BLOCKS),
        trained=accuracies(*ours),
        random=accuracies(*none),
        train_videos=len(ours[0].kept),
        protocol=replace(measured, weights="frozen features"),
        skipped=merged(*(each.skipped for each in (*ours, *none)), unmeasured),
    )
