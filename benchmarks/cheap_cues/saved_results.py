"""Reads the JSON files in which the benchmarks of cheap cues keep their results."""

import json
from collections.abc import Set
from pathlib import Path
from typing import Any

from pipelines.errors import FastrotError


def load(path: Path, keys: Set[str]) -> dict[str, Any]:
    """Read a file of results, which has at least these keys.

    Raises:
        FastrotError: It cannot be read, or is no such file.
    """
    try:
        results = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise FastrotError(
            f"{path} cannot be read: {error}; measure first, or remove the file"
        ) from None
    if not isinstance(results, dict) or not keys <= results.keys():
        raise FastrotError(f"{path} was not written by this benchmark: choose another --out")
    return results
