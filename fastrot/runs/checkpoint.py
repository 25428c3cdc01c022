"""Checkpoints: tensors and plain values in a file that is written atomically."""

import contextlib
import errno
import os
import pickle
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from pipelines.errors import FastrotError, UnreadableError, first_line
from pipelines.files import replacing

FORMAT = 1
LAST = "last.pt"
"""Name of a run's newest checkpoint, in its folder ``checkpoints``."""


def save_checkpoint(path: Path, values: Mapping[str, Any]) -> None:
    """Write ``values`` (tensors and plain values, nested) to ``path`` atomically.

    Raises:
        FastrotError: The file cannot be written. An existing checkpoint of that name is kept.
    """
    with replacing(path) as temporary, temporary.open("wb") as file:
        torch.save({"format": FORMAT, **values}, file)


def load_checkpoint(path: Path | str) -> dict[str, Any]:
    """Read a checkpoint onto the CPU; only tensors and plain values are unpickled.

    Raises:
        FastrotError: The file cannot be read, is damaged, or is not a fastrot checkpoint.
    """
    values = load_plain(path)
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise FastrotError(f"{path} is not a fastrot checkpoint: give a run's checkpoint")
    return values


def find_checkpoint(path: Path | str) -> Path:
    """Return the checkpoint that a user named: the file itself, or ``last.pt`` of a run's folder.

    Raises:
        FastrotError: There is no such file, or the folder is not that of a run with a checkpoint.
    """
    path = Path(path)
    if not os.path.isdir(path):  # noqa: PTH112  (unlike is_dir, it raises no error)
        with contextlib.suppress(OSError):  # other errors are explained when the file is read
            try:
                path.stat()
            except FileNotFoundError:
                raise FastrotError(f"checkpoint {path} does not exist") from None
        return path
    for last in (path / "checkpoints" / LAST, path / LAST):
        if last.is_file():
            return last
    raise FastrotError(
        f"the folder {path} has no checkpoints/{LAST}: give the folder of a run (runs/NAME) or a checkpoint"
    )


def load_plain(path: Path | str) -> Any:
    """Read any file of tensors and plain values, or the last checkpoint of a run's folder, onto the CPU.

    Raises:
        UnreadableError: The system cannot read the file, which may be intact.
        FastrotError: The file is missing, is damaged, or contains other objects.
    """
    path = find_checkpoint(path)
    try:
        _check_sums(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise FastrotError(f"checkpoint {path} does not exist") from None
    # A truncated file can raise any of these, including an OSError (EINVAL) for a seek before its start.
    except (
        OSError,
        RuntimeError,
        EOFError,
        pickle.UnpicklingError,
        ValueError,
        KeyError,
        zipfile.BadZipFile,
        zlib.error,
        NotImplementedError,
    ) as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL, errno.EISDIR):
            raise UnreadableError(
                f"{path} cannot be read: {error.strerror}. Fix the cause, since the file may be intact; if "
                "the file is lost, remove it.",
                error.errno,
            ) from None
        raise FastrotError(
            f"{path} is damaged or not a fastrot checkpoint: {first_line(error)}"
        ) from None


def _check_sums(path: Path | str) -> None:
    """Verify the checksums, which torch writes but does not check: it would miss a flipped bit.

    Raises:
        ValueError: A part of the file has a wrong checksum.
    """
    if not zipfile.is_zipfile(path):
        return  # torch's older format has no checksums
    with zipfile.ZipFile(path) as archive:
        broken = archive.testzip()
    if broken is not None:
        raise ValueError(f"wrong checksum of its part {broken}")
