"""Small trees of files, and what a layout sees in them."""

from pathlib import Path

from pipelines.layouts import Listing


def touch(root: Path, *names: str) -> None:
    """Make empty files of these names below ``root``."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def write(path: Path, *lines: str) -> None:
    """Write a list of these lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


def summary(listing: Listing) -> list[tuple[str, str | None, tuple[str, ...]]]:
    """Return the entries without their paths."""
    return [(entry.name, entry.label, entry.splits) for entry in listing.entries]
