"""The version of fastrot and of installed packages, found without importing them."""

from collections.abc import Iterable

__version__ = "0.1.0"


def installed(names: Iterable[str]) -> dict[str, str]:
    """Return the versions of the packages in ``names`` that are installed, in the same order."""
    from importlib.metadata import PackageNotFoundError, version  # slow, and rarely needed

    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
