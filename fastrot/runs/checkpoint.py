"""Checkpoints: tensors and plain values in a file that is there whole or not at all."""

import errno
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


def save_checkpoint(path: Path, values: Mapping[str, Any]) -> None:
    """Write ``values`` (tensors and plain values, nested) to ``path``, whole or not at all.

    Raises:
        FastrotError: It cannot be written; an older checkpoint of that name is still there.
    """
    with replacing(path) as temporary, temporary.open("wb") as file:
        torch.save({"format": FORMAT, **values}, file)


def load_checkpoint(path: Path | str) -> dict[str, Any]:
    """Read a checkpoint onto the CPU; nothing but tensors and plain values is ever unpickled.

    Raises:
        FastrotError: the file cannot be read, is damaged, or is no checkpoint of ours.
    """
    values = load_plain(path)
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise FastrotError(f"{path} is no fastrot checkpoint of format {FORMAT}")
    return values


def load_plain(path: Path | str) -> Any:
    """Read any file of tensors and plain values onto the CPU.

    Raises:
        UnreadableError: the system refuses to read the file, which may be whole.
        FastrotError: the file is absent, is damaged, or holds anything else.
    """
    try:
        _check_sums(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise FastrotError(f"there is no checkpoint {path}") from None
    # A torn file ends in any of these, an OSError (EINVAL) of a seek before its start among them.
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
                f"{path} cannot be read: {error.strerror}. Mend the cause, for the file may be whole; if the "
                "disk has lost it, remove it",
                error.errno,
            ) from None
        raise FastrotError(
            f"{path} is damaged, or no fastrot checkpoint: {first_line(error)}"
        ) from None


def _check_sums(path: Path | str) -> None:
    """Compare the checksums that torch writes and does not read: a flipped bit would go unseen.

    Raises:
        ValueError: a part of the file is not what was written.
    """
    if not zipfile.is_zipfile(path):
        return  # torch's older form has no checksums
    with zipfile.ZipFile(path) as archive:
        broken = archive.testzip()
    if broken is not None:
        raise ValueError(f"the checksum of {broken} in it is wrong")
