"""A network's scores of a split's videos, and the file that keeps them so that networks can be fused."""

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


def in_top(scores: Tensor, labels: Tensor, k: int) -> Tensor:
    """Return whether each row's label is among its ``k`` highest scores: (N,) bool from (N, C), (N,).

    Of equal scores the class that comes first counts as higher, as in ``argmax``, on every device.
    """
    best = scores.argsort(dim=1, descending=True, stable=True)[:, :k]
    return (best == labels[:, None]).any(dim=1)


@dataclass(frozen=True, eq=False)
class Scores:
    """The class probabilities of N videos.

    Attributes:
        names: of the videos, each once.
        labels: (N,) int64 true classes.
        softmax: (N, C) float32, each row's sum 1.
        classes: the names of the C classes.
        protocol: how the scores were measured, in words.
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
        """Return the (C, C) counts of videos by true class (rows) and class of the highest score."""
        return confusion_counts(self.labels, self.softmax.argmax(axis=1), len(self.classes))

    def save(self, path: Path) -> None:
        """Write the scores as a NumPy archive that holds no pickled objects.

        Raises:
            FastrotError: it cannot be written.
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
        """Read scores; an archive of other tools may lack the protocol.

        Raises:
            FastrotError: the file cannot be read, or holds something else.
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
            raise FastrotError(f"{path} is no file of scores: {error.args[0]}") from None
        # A plain .npy is no context manager (TypeError); a torn archive fails in any of the others.
        except (OSError, ValueError, EOFError, TypeError, zipfile.BadZipFile) as error:
            raise FastrotError(f"{path} cannot be read as scores: {error}") from None
        wrong = loaded._fault()
        if wrong:
            raise FastrotError(f"{path} is no file of scores: {wrong}")
        return loaded

    def _fault(self) -> str | None:
        videos, classes = len(self.names), len(self.classes)
        if self.softmax.shape != (videos, classes) or self.labels.shape != (videos,):
            return (
                f"{videos} names, {classes} classes, labels of shape {self.labels.shape} and softmax "
                f"of shape {self.softmax.shape} do not fit together"
            )
        if videos == 0:
            return "it has no videos"
        if len(set(self.names)) != videos:
            return "a video's name is in it twice"
        if self.labels.min() < 0 or self.labels.max() >= classes:
            return f"a label is not in 0..{classes - 1}"
        if not (np.isfinite(self.softmax).all() and self.softmax.min() >= 0):
            return "a score is not a probability"
        return None


def find_scores(path: Path) -> Path:
    """Return the file of scores that is meant: itself, or the one in an evaluation's or a run's folder.

    Raises:
        FastrotError: there is none, or a run has several.
    """
    if not path.is_dir():
        return path  # whether it is there and fit is for reading it to tell
    if (path / FILE).exists():
        return path / FILE
    found = sorted(path.glob(f"evaluation/*/{FILE}"))
    if not found:
        raise FastrotError(
            f"{path} holds no {FILE}: make it by `fastrot evaluate action`, which needs the run's "
            "checkpoint"
        )
    if len(found) > 1:
        folders = ", ".join(str(file.parent) for file in found)
        raise FastrotError(f"{path} has several evaluations, name one of them: {folders}")
    return found[0]
