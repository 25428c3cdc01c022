"""A Python without the packages that a borrowed machine may lack."""

import os
from pathlib import Path

ABSENT = (
    "av",
    "isal",
    "xdist",
    "pytest_timeout",
    "pytest_cov",
    "matplotlib",
    "scipy",
    "sklearn",
    "PIL",
)

_BLOCK = f"""
import sys
class Without:
    def __init__(self, finder):
        self.finder = finder
    def __getattr__(self, name):
        return getattr(self.finder, name)
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {ABSENT!r} or name.startswith("nvidia.dali"):
            return None
        return self.finder.find_spec(name, path, target)
sys.meta_path[:] = map(Without, sys.meta_path)
"""


def bare_environment(folder: Path) -> dict[str, str]:
    """Return the environment of a Python without these packages; ``folder`` gets a file that hides them."""
    (folder / "sitecustomize.py").write_text(_BLOCK)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    # The installed plugins of pytest are named by packages that cannot be imported.
    return {**kept, "PYTHONPATH": str(folder), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
