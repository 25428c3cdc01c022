"""The scores of a network for the videos of a split, and the file that stores them for fusion."""

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fastrot.data.selection import Ints
from fastrot.evaluation.confusion import confusion_counts
from pipelines.errors import FastrotError
from pipelines.files import write_file

FILE = "scores.npz"
_CREATE = "create one with `fastrot evaluate action`"


def in_top(scores: Tensor, labels: Tensor, k: int) -> Tensor:
    """Return whether each row's label is among its ``k`` highest scores: (N,) bool from (N, C), (N,).

    Ties go to the class with the lower index, as in ``argmax``, on every device.
    """
    best = scores.argsort(dim=1, descending=True, stable=True)[:, :k]
    return (best == labels[:, None]).any(dim=1)


@dataclass(frozen=True, eq=False)
class Scores:
    """The class probabilities of N videos.

    Attributes:
        names: Unique names of the videos.
        labels: (N,) int64 true classes.
        softmax: (N, C) float32 with rows that sum to 1.
        classes: Names of the C classes.
        protocol: How the scores were measured, as text.
    """

    names: list[str]
    labels: Ints
    softmax: NDArray[np.float32]
    classes: list[str]
    protocol: str

    def top(self, k: int) -> float:
        """Return the top-k accuracy in 0..1."""
        hits = in_top(torch.from_numpy(self.softmax), torch.from_numpy(self.labels), k)
        return hits.float().mean().item()

    def confusion(self) -> Ints:
        """Return the (C, C) counts of videos by true class (rows) and predicted class (columns)."""
        return confusion_counts(self.labels, self.softmax.argmax(axis=1), len(self.classes))

    def save(self, path: Path) -> None:
        """Write the scores as a NumPy archive without pickled objects.

        Raises:
            FastrotError: The file cannot be written.
        """
        content = io.BytesIO()
        np.savez_compressed(
            content,
            names=np.array(self.names, dtype=np.str_),
            labels=self.labels,
            softmax=self.softmax,
            classes=np.array(self.classes, dtype=np.str_),
            protocol=np.array(self.protocol),
        )
        write_file(path, content.getvalue())

    @classmethod
    def load(cls, path: Path) -> "Scores":
        """Read scores; an archive written by another tool may lack the protocol.

        Raises:
            FastrotError: The file cannot be read or is not a score file.
        """
        try:
            with np.load(path, allow_pickle=False) as archive:
                protocol = str(archive["protocol"]) if "protocol" in archive else "not stated"
                loaded = cls(
                    names=[str(name) for name in archive["names"]],
                    labels=archive["labels"].astype(np.int64),
                    softmax=archive["softmax"].astype(np.float32),
                    classes=[str(name) for name in archive["classes"]],
                    protocol=protocol,
                )
        except KeyError as error:
            raise FastrotError(f"{path} is not a score file: {error.args[0]}; {_CREATE}") from None
        # A plain .npy is not a context manager (TypeError); a truncated archive raises one of the others.
        except (OSError, ValueError, EOFError, TypeError, zipfile.BadZipFile) as error:
            raise FastrotError(f"{path} is not a readable score file: {error}; {_CREATE}") from None
        wrong = loaded._fault()
        if wrong:
            raise FastrotError(f"{path} is not a score file: {wrong}; {_CREATE}")
        return loaded

    def _fault(self) -> str | None:
        videos, classes = len(self.names), len(self.classes)
        if self.softmax.shape != (videos, classes) or self.labels.shape != (videos,):
            return (
                f"{videos} names, {classes} classes, labels of shape {self.labels.shape} and softmax "
                f"of shape {self.softmax.shape} are inconsistent"
            )
        if videos == 0:
            return "it contains no videos"
        if len(set(self.names)) != videos:
            return "it contains a video name twice"
        if self.labels.min() < 0 or self.labels.max() >= classes:
            return f"a label is not in 0..{classes - 1}"
        if not (np.isfinite(self.softmax).all() and self.softmax.min() >= 0):
            return "a score is not a probability"
        return None


def find_scores(path: Path) -> Path:
    """Find a score file: the path itself, or the file in the folder of an evaluation or a run.

    Raises:
        FastrotError: There is none, or a run has several.
    """
    if not path.is_dir():
        return path  # reading it reports if it is missing or invalid
    if (path / FILE).exists():
        return path / FILE
    found = sorted(path.glob(f"evaluation/*/{FILE}"))
    if not found:
        raise FastrotError(f"{path} contains no {FILE}: {_CREATE}")
    if len(found) > 1:
        folders = ", ".join(str(file.parent) for file in found)
        raise FastrotError(f"{path} contains several evaluations: choose one of {folders}")
    return found[0]
