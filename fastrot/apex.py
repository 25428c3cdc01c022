"""Which apex is installed: NVIDIA's, with its fused optimisers, or the unrelated package on PyPI?"""

import importlib.metadata
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Apex:
    """What the name ``apex`` stands for here.

    Attributes:
        kind: nvidia, unrelated (the web toolkit on PyPI), or none.
        fused: whether NVIDIA's extension ``amp_C`` is built, without which FusedSGD does not run.
        version: as the package says; empty where it does not.
    """

    kind: Literal["nvidia", "unrelated", "none"]
    fused: bool = False
    version: str = ""


def find_apex() -> Apex:
    """Look at the files of ``apex``, importing nothing: the unrelated one may do anything then."""
    try:
        spec = importlib.util.find_spec("apex")
        fused = importlib.util.find_spec("amp_C") is not None
    except (ImportError, ValueError):
        return Apex("none")
    if spec is None:
        return Apex("none")
    try:
        version = importlib.metadata.version("apex")
    except importlib.metadata.PackageNotFoundError:
        version = ""
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    if any((folder / "optimizers" / "fused_sgd.py").is_file() for folder in folders):
        return Apex("nvidia", fused, version)
    return Apex("unrelated", version=version)
