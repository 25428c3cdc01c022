"""Which apex is installed: NVIDIA's, with its fused optimisers, or the unrelated package on PyPI?"""

import importlib
import importlib.util
from enum import Enum
from pathlib import Path


class ApexKind(Enum):
    """What the name apex stands for in this Python."""

    NVIDIA = "NVIDIA's, with its CUDA extensions"
    WITHOUT_EXTENSIONS = "NVIDIA's, but its extension amp_C cannot be imported"
    UNRELATED = "an unrelated package of that name"
    NONE = "not installed"


def find_apex() -> ApexKind:
    """Look for apex; nothing of an unrelated package is imported.

    NVIDIA's extension links to torch: import that first.
    """
    try:
        spec = importlib.util.find_spec("apex")
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        return ApexKind.NONE
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    if not any((folder / "optimizers" / "fused_sgd.py").is_file() for folder in folders):
        return ApexKind.UNRELATED
    try:
        importlib.import_module("amp_C")
    except ImportError:
        return ApexKind.WITHOUT_EXTENSIONS
    return ApexKind.NVIDIA
