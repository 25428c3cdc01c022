"""fastrot: video pre-training by rotation prediction (3DRotNet, arXiv 1811.11387).

The names below are the public API for notebooks. Each is imported on first use, so ``import fastrot``
loads neither torch nor DALI. ``docs/tutorial.py`` and the notebook made from it use all of them.
"""

import importlib
from typing import TYPE_CHECKING, Any

from fastrot.version import __version__ as __version__

if TYPE_CHECKING:
    from fastrot.api import extract_features, open_clips, prepare_videos
    from fastrot.config import load_config
    from fastrot.models.backbone import load_backbone
    from fastrot.rotation.op import rotate
    from fastrot.rotation.sets import rotation_set
    from fastrot.training.run import train
    from pipelines.errors import FastrotError
    from pipelines.store.reading import Store

__all__ = [
    "FastrotError",
    "Store",
    "extract_features",
    "load_backbone",
    "load_config",
    "open_clips",
    "prepare_videos",
    "rotate",
    "rotation_set",
    "train",
]

_HOMES = {
    "FastrotError": "pipelines.errors",
    "Store": "pipelines.store.reading",
    "extract_features": "fastrot.api",
    "load_backbone": "fastrot.models.backbone",
    "load_config": "fastrot.config",
    "open_clips": "fastrot.api",
    "prepare_videos": "fastrot.api",
    "rotate": "fastrot.rotation.op",
    "rotation_set": "fastrot.rotation.sets",
    "train": "fastrot.training.run",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first access (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'fastrot' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
