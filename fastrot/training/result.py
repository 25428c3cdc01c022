"""The results of a training run."""

from dataclasses import asdict, dataclass
from pathlib import Path

from fastrot.runs.run_folder import RunFolder


@dataclass
class Standing:
    """The results of a run so far, stored in its checkpoints.

    ``loss`` and ``accuracy`` (0..1) are averages over the last logged window of training.
    ``eval_accuracy`` is the last and ``best_accuracy`` the best accuracy on ``data.eval_split``, or None if
    nothing was evaluated. ``seconds`` counts training only. ``replaced`` counts unreadable clips that were
    replaced by others.
    """

    loss: float = float("nan")
    accuracy: float = float("nan")
    eval_accuracy: float | None = None
    best_accuracy: float | None = None
    seconds: float = 0.0
    replaced: int = 0


@dataclass(frozen=True)
class TrainResult:
    """The results of a finished run; ``best`` is None if nothing was evaluated."""

    folder: Path
    last: Path
    best: Path | None
    steps: int
    loss: float
    accuracy: float
    eval_accuracy: float | None
    best_accuracy: float | None
    seconds: float
    replaced: int

    @classmethod
    def of(cls, folder: RunFolder, steps: int, standing: Standing) -> "TrainResult":
        """Return the results of a run after ``steps``."""
        return cls(
            folder=folder.path,
            last=folder.last,
            best=folder.best if standing.best_accuracy is not None else None,
            steps=steps,
            **asdict(standing),
        )
