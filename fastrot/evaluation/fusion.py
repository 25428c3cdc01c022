"""Fusion of two networks, such as RGB and DIF, by the geometric mean of their scores (section 4.9)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fastrot.data.selection import Ints
from fastrot.evaluation.scores import FILE, Scores
from pipelines.errors import FastrotError

_SAME_STORE = "Evaluate both networks on the same store."


@dataclass(frozen=True)
class FusionInput:
    """One of the networks: its score file, its top-1 per video in 0..1, and its protocol as text."""

    scores: str
    video_top1: float
    protocol: str


@dataclass(frozen=True)
class FusionResult:
    """Accuracies in 0..1 per video, of each network alone and of their fusion."""

    inputs: list[FusionInput]
    video_top1: float
    video_top5: float
    videos: int
    protocol: str

    def lines(self) -> list[str]:
        """Return the lines to print, including the protocols."""
        return [
            *(
                f"alone   top-1 {100 * each.video_top1:.2f} %  {each.scores} ({each.protocol})"
                for each in self.inputs
            ),
            f"fusion  top-1 {100 * self.video_top1:.2f} %  top-5 {100 * self.video_top5:.2f} %",
            f"protocol: {self.videos} videos, geometric mean of the two networks' scores per video",
        ]


def geometric_mean(scores: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return the geometric mean of probabilities, each (N, C), with rows renormalised to sum to 1.

    A probability that underflowed to 0 counts as the smallest normal float32 number, so that a row can be
    normalised even if the networks are certain of different classes.
    """
    smallest = np.finfo(np.float32).tiny
    logs = [np.log(np.maximum(each, smallest, dtype=np.float64)) for each in scores]
    mean = np.mean(logs, axis=0)
    powers = np.exp(mean - mean.max(axis=1, keepdims=True))
    fused: NDArray[np.float32] = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    return fused


def fuse(first: Path, second: Path) -> tuple[FusionResult, Scores]:
    """Fuse two score files, whose order of videos may differ; the result has the order of the first.

    Raises:
        FastrotError: A file cannot be read, or the files differ in classes, videos or labels.
    """
    mine, theirs = Scores.load(first), Scores.load(second)
    _require_same_classes(mine.classes, theirs.classes, first, second)
    order = _places(mine.names, theirs.names, first, second)
    differ = np.flatnonzero(mine.labels != theirs.labels[order])
    if len(differ):
        at = int(differ[0])
        raise FastrotError(
            f"{len(differ)} of {len(mine.names)} videos have different labels in {second} and {first}, "
            f"such as {mine.names[at]}: {mine.classes[theirs.labels[order][at]]} and "
            f"{mine.classes[mine.labels[at]]}, respectively. {_SAME_STORE}"
        )
    fused = Scores(
        names=mine.names,
        labels=mine.labels,
        softmax=geometric_mean([mine.softmax, theirs.softmax[order]]),
        classes=mine.classes,
        protocol=f"geometric mean of [{mine.protocol}] and [{theirs.protocol}]",
    )
    result = FusionResult(
        inputs=[
            FusionInput(str(path), scores.top(1), scores.protocol)
            for path, scores in ((first, mine), (second, theirs))
        ],
        video_top1=fused.top(1),
        video_top5=fused.top(5),
        videos=len(fused.names),
        protocol=fused.protocol,
    )
    return result, fused


def label_of(scores: Path) -> str:
    """Return a short name for a score file: its run and its evaluation."""
    scores = scores.resolve()
    if scores.name != FILE:
        return scores.stem
    folder = scores.parent
    in_run = folder.parent.name == "evaluation"
    return f"{folder.parents[1].name}-{folder.name}" if in_run else folder.name


def _require_same_classes(mine: list[str], theirs: list[str], first: Path, second: Path) -> None:
    if mine == theirs:
        return
    counts = f"{first} has {len(mine)} classes, {second} {len(theirs)}"
    for at, (one, other) in enumerate(zip(mine, theirs, strict=False)):
        if one != other:
            raise FastrotError(
                f"{counts}; class {at} is {one} in the first and {other} in the second. {_SAME_STORE}"
            )
    longer = mine if len(mine) > len(theirs) else theirs
    extra = longer[min(len(mine), len(theirs))]
    raise FastrotError(f"{counts}; {extra} is in only one of them. {_SAME_STORE}")


def _places(mine: list[str], theirs: list[str], first: Path, second: Path) -> Ints:
    """Return the index in the second file of each video of the first."""
    place = {name: at for at, name in enumerate(theirs)}
    known = set(mine)
    only = (
        [name for name in mine if name not in place],
        [name for name in theirs if name not in known],
    )
    if not any(only):
        return np.array([place[name] for name in mine], dtype=np.int64)
    parts = [
        f"{len(names)} only in the {which}, such as {names[0]}"
        for which, names in zip(("first", "second"), only, strict=True)
        if names
    ]
    raise FastrotError(
        f"the videos differ: {first} has {len(mine)}, {second} has {len(theirs)}; {'; '.join(parts)}. "
        "Evaluate both networks on the same split."
    )
