"""What a training run comes to."""

from dataclasses import asdict, dataclass
from pathlib import Path

from fastrot.runs.run_folder import RunFolder


@dataclass
class Standing:
    """What a run has come to so far; part of its checkpoints.

    ``loss`` and ``accuracy`` (0..1) are averages over the last logged window of training;
    ``eval_accuracy`` is the last one and ``best_accuracy`` the best one on ``data.eval_split``, None
    where nothing was evaluated; ``seconds`` counts training only; ``replaced`` counts clips that could not
    be read or decoded, and gave way to others.
    """

    loss: float = float("nan")
    accuracy: float = float("nan")
    eval_accuracy: float | None = None
    best_accuracy: float | None = None
    seconds: float = 0.0
    replaced: int = 0


@dataclass(frozen=True)
class TrainResult:
    """A finished run: its folder, its checkpoints (``best`` is None where nothing was evaluated)."""

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
        """Return what a run has come to after ``steps``."""
        return cls(
            folder=folder.path,
            last=folder.last,
            best=folder.best if standing.best_accuracy is not None else None,
            steps=steps,
            **asdict(standing),
        )
