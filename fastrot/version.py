"""The version of fastrot, and those of other packages; imports none of them."""

from collections.abc import Iterable

__version__ = "0.1.0"


def installed(names: Iterable[str]) -> dict[str, str]:
    """Return the versions of those packages that are installed, in the order of ``names``."""
    from importlib.metadata import PackageNotFoundError, version  # slow, and rarely needed

    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
