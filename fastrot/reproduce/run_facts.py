"""What a finished run's own files say about it: its last training accuracy, and how it was computed."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fastrot.reproduce.execute import FINISHED
from pipelines.errors import FastrotError

LAST_SHARE = 0.1
"""The part of a run's steps whose windows count as its last training accuracy."""

CONVERGED = 90.0
"""The training accuracy in % below which a fine-tuning is not converged."""


@dataclass(frozen=True)
class Settings:
    """What may affect a result but is not in the hash of a run, as resolved in the run."""

    world_size: int | None
    accumulate: int
    precision: str | None
    sync_bn: bool

    def plain(self) -> dict[str, Any]:
        """Return the settings by name."""
        return asdict(self)


def training_accuracy(folder: Path) -> float | None:
    """Return the last training accuracy of a run in %, or None if it logged none.

    It is the mean over the clips of the logged windows that end in the last tenth of the steps. The clips are
    cropped and flipped at random, and the weights still change.

    Raises:
        FastrotError: The metrics are damaged.
    """
    path = folder / "metrics.jsonl"
    if not path.exists():
        return None
    windows = []
    for line in path.read_text().splitlines():
        try:
            values = json.loads(line)
        except ValueError as error:
            raise FastrotError(f"{path} is damaged: {error}; train the run again") from None
        if "accuracy" in values:
            windows.append((values["step"], values["accuracy"], values["clips"]))
    if not windows:
        return None
    begin = (1 - LAST_SHARE) * max(step for step, _, _ in windows)
    last = [(accuracy, clips) for step, accuracy, clips in windows if step > begin]
    right = sum(accuracy * clips for accuracy, clips in last)
    return float(100 * right / sum(clips for _, clips in last))


def settings_of(folder: Path) -> Settings:
    """Return the settings of a finished run.

    Raises:
        FastrotError: A file is missing or damaged.
    """
    try:
        train = json.loads((folder / FINISHED).read_text())["config"]["train"]
        environment = json.loads((folder / "env.json").read_text())
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FastrotError(f"{folder} is not a finished run: {error}; train it again") from None
    return Settings(
        world_size=environment.get("world_size"),
        accumulate=train["accumulate"],
        precision=environment.get("precision"),
        sync_bn=train["sync_bn"],
    )
