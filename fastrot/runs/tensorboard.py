"""TensorBoard curves of the numbers in metrics.jsonl."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipelines.errors import UsageError

_AXES = frozenset(["step", "samples"])


def require_tensorboard() -> None:
    """Check that curves can be written, before the run writes anything.

    Raises:
        UsageError: TensorBoard is not installed.
    """
    try:
        import torch.utils.tensorboard  # noqa: F401
    except ImportError:
        raise UsageError(
            "log.tensorboard is true, but TensorBoard is not installed: run pip install tensorboard, "
            "or set it to false (metrics.jsonl has the same numbers)"
        ) from None


class Curves:
    """The TensorBoard curves of a run.

    Args:
        folder: Folder for TensorBoard's files.
        step: Number of completed steps. Existing points of later steps, which will be repeated, are removed.
    """

    def __init__(self, folder: Path, *, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(folder), purge_step=step + 1)

    def add(self, values: Mapping[str, Any]) -> None:
        """Add a line of metrics.jsonl, each number to the curve of the same name."""
        for name, value in numbers(values):
            self._writer.add_scalar(name, value, values["step"])
        self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        self._writer.close()


def numbers(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Yield the numbers of a line of metrics.jsonl with their names, such as ``evaluation/accuracy``."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from numbers(value, f"{prefix}{name}/")
        elif isinstance(value, int | float) and name not in _AXES:
            yield prefix + name, value
