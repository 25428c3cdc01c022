"""The last training accuracy of a run, from its own metrics."""

import json
from pathlib import Path

from pipelines.errors import FastrotError

LAST_SHARE = 0.1
"""The part of a run's steps whose windows count as its last training accuracy."""

CONVERGED = 90.0
"""The training accuracy in % below which a fine-tuning is not converged."""


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
