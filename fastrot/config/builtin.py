"""The configs that come with fastrot, in a checkout or installed."""

import sys
from pathlib import Path

from pipelines.errors import UsageError


def find_config(name: str) -> Path:
    """Return the file of a config such as ``demo/pretrain.yaml``.

    Raises:
        UsageError: there is none of this name.
    """
    roots = (
        Path(__file__).resolve().parents[2] / "configs",
        Path(sys.prefix) / "share" / "fastrot" / "configs",
    )
    for root in roots:
        if (root / name).is_file():
            return root / name
    raise UsageError(f"no config {name} in {roots[0]} or {roots[1]}")
