"""Which apex is it? NVIDIA's, with its fused optimisers, or something else of that name?

NVIDIA's is built from source. The package of that name on PyPI is a web toolkit that has nothing to do with
it, and a build without `APEX_CUDA_EXT=1` lacks the kernels: both are told apart from the real thing.
"""

import importlib
import importlib.util
from enum import Enum
from importlib.machinery import ModuleSpec
from pathlib import Path

BUILD = (
    "APEX_CPP_EXT=1 APEX_CUDA_EXT=1 pip install -v --no-build-isolation "
    "git+https://github.com/NVIDIA/apex"
)


class ApexKind(Enum):
    """What the name apex stands for in this Python."""

    NVIDIA = "nvidia"
    WITHOUT_EXTENSIONS = "nvidia without extensions"
    UNRELATED = "unrelated"
    NONE = "none"

    def describe(self) -> str:
        """Return what a person should know of it."""
        return {
            ApexKind.NVIDIA: "NVIDIA apex is installed, with its CUDA extensions",
            ApexKind.WITHOUT_EXTENSIONS: (
                "NVIDIA apex is installed, but its CUDA extension amp_C cannot be imported: build it "
                f"again for this torch ({BUILD})"
            ),
            ApexKind.UNRELATED: (
                "the installed package apex is not NVIDIA's but an unrelated one of that name, such as "
                f"PyPI's web toolkit: pip uninstall apex; NVIDIA's is built from source ({BUILD})"
            ),
            ApexKind.NONE: f"NVIDIA apex is not installed; it is built from source ({BUILD})",
        }[self]


def find_apex() -> ApexKind:
    """Look for apex; nothing of an unrelated package is imported.

    NVIDIA's extension links to torch: import that first.
    """
    spec = _spec("apex")
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


def _spec(name: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(name)
    except (ImportError, ValueError):
        # A module in sys.modules without a spec: something put it there by hand.
        return None
