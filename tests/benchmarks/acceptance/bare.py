"""A Python without the packages that a borrowed machine may lack."""

import os
from pathlib import Path

DALI = "nvidia.dali"

ABSENT = (
    DALI,
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

_BLOCK = """
import sys
class Without:
    def __init__(self, finder):
        self.finder = finder
    def __getattr__(self, name):
        return getattr(self.finder, name)
    def find_spec(self, name, path=None, target=None):
        if any(f"{name}.".startswith(f"{absent}.") for absent in ABSENT):
            return None
        return self.finder.find_spec(name, path, target)
sys.meta_path[:] = map(Without, sys.meta_path)
"""


def bare_environment(folder: Path, *, kept: str = "") -> dict[str, str]:
    """Return the environment of a Python without these packages, apart from ``kept``.

    ``folder`` gets a file that hides them.
    """
    absent = [package for package in ABSENT if package != kept]
    (folder / "sitecustomize.py").write_text(f"ABSENT = {absent!r}\n{_BLOCK}")
    variables = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")
    }
    # The installed plugins of pytest are named by packages that cannot be imported.
    return {**variables, "PYTHONPATH": str(folder), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
