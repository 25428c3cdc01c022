"""Linear probes: action accuracy of frozen features per block, compared with a random network."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from fastrot.distributed.runtime import Runtime
from fastrot.evaluation.clip_set import ClipSet
from fastrot.evaluation.features import BLOCKS, MEASURED, BlockFeatures, compare_features
from fastrot.evaluation.intervals import Estimate
from fastrot.evaluation.paired import differences, paired_errors, shares
from fastrot.evaluation.protocol import Result
from fastrot.evaluation.trained import Trained


@dataclass(frozen=True)
class ProbeResult(Result):
    """Top-1 accuracies in 0..1 per video, one for each of the paper's five convolution blocks.

    ``trained`` are those of the network, ``random`` those of the same network untrained. The standard errors
    of their differences (0..1) are over the test videos, on which both networks are compared one by one.
    """

    blocks: list[str]
    trained: list[float]
    random: list[float]
    difference_standard_error: list[float | None]
    train_videos: int

    def findings(self) -> list[str]:
        """Return the accuracies and the protocol as lines to print."""
        rows = zip(self.blocks, self.trained, self.random, self.differences(), strict=True)
        return [
            *(
                f"{name:8} {100 * ours:5.1f} %  random {100 * none:5.1f} %  difference "
                f"{gain.text(sign='+', between='+-')}"
                for name, ours, none, gain in rows
            ),
            "+- is half of the 95 % confidence interval over the test videos",
            f"protocol: linear probe on {self.train_videos} videos, tested on {self.protocol}; "
            f"{MEASURED}",
        ]

    def differences(self) -> list[Estimate]:
        """Return the network's accuracy above the random network's, for each block, in %."""
        return differences(
            self.trained, self.random, self.difference_standard_error, self.protocol.videos
        )


def linear_probe(
    train: Tensor, train_labels: Tensor, test: Tensor, *, classes: int, c: float = 1.0
) -> Tensor:
    """Fit a multinomial logistic regression on standardised features and return the test scores.

    The objective is that of scikit-learn: c * sum of cross entropies + |weights|^2 / 2, minimised by L-BFGS
    in float64.

    Args:
        train: (N, D) features.
        train_labels: (N,) int64.
        test: (M, D) features, standardised by the mean and deviation of the training features.
        classes: Number of classes.
        c: Inverse of the regularisation strength.

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
    trained: Trained, clips: ClipSet, train_split: str, runtime: Runtime, *, shots: int = 0
) -> ProbeResult:
    """Probe every block of a frozen network, and of the same network untrained (section 4.5).

    The features of a video are the activations of a block, averaged over space, time and clips.

    Args:
        trained: A network of any task.
        clips: The clips of the test split.
        train_split: The split that the probes are fitted on.
        runtime: The processes, which share the extraction.
        shots: Training videos per class; 0 for all.

    Raises:
        UsageError: The store lacks a split or a label, or a class has too few videos.
        FastrotError: More videos are unreadable than ``data.broken_share`` tolerates.
    """

    def right(fitted: BlockFeatures, tested: BlockFeatures) -> list[Tensor]:
        found = []
        for train, test in zip(fitted.blocks, tested.blocks, strict=True):
            scores = linear_probe(train, fitted.labels, test, classes=len(clips.store.classes))
            found.append(scores.argmax(dim=1) == tested.labels)
        return found

    found = compare_features(trained, clips, train_split, runtime, shots=shots)
    train, test = found.trained
    ours, none = right(*found.trained), right(*found.random)
    return ProbeResult(
        blocks=list(BLOCKS),
        trained=shares(ours),
        random=shares(none),
        difference_standard_error=paired_errors(ours, none),
        train_videos=len(train.videos),
        protocol=test.protocol,
        skipped=found.skipped,
    )
