"""Data set layouts: from a folder to entries (path, label, splits)."""

from collections.abc import Callable, Sequence
from pathlib import Path

from pipelines.errors import FastrotError, UsageError
from pipelines.layouts import folder, hmdb51, kinetics, moments, own_lists, ucf101
from pipelines.layouts.entry import Entry, Listing
from pipelines.layouts.matching import near_classes

LIST = "list"

LAYOUTS: dict[str, Callable[[Path], Listing]] = {
    "folder": folder.read,
    "ucf101": ucf101.read,
    "hmdb51": hmdb51.read,
    "kinetics": kinetics.read,
    "moments": moments.read,
    LIST: own_lists.read,
}
"""Readers by layout name. Each raises FastrotError if the official lists are missing or malformed."""


def read_layout(source: Path, layout: str, lists: Sequence[Path] = ()) -> Listing:
    """List the videos of ``source`` in the given layout.

    Args:
        source: The folder that contains the videos, or one video.
        layout: A key of ``LAYOUTS``.
        lists: The files for the layout "list".

    Raises:
        FastrotError: The source does not exist, does not have this layout, or has no videos.
        UsageError: Lists are given for another layout, or the official lists below ``source`` are ambiguous.
    """
    if not source.exists():
        raise FastrotError(f"{source} does not exist: give the folder that contains the videos")
    if lists and layout != LIST:
        raise UsageError(f"--list needs --layout {LIST}, not --layout {layout}")
    listing = own_lists.read(source, lists) if lists else LAYOUTS[layout](source)
    listing.source = source.resolve().parent if source.is_file() else source.resolve()
    listing.warnings += near_classes(listing.classes)
    if not listing.entries:
        about = [f"layout {layout}", f"{len(listing.missing)} listed videos are missing on disk"]
        if listing.passed.counts:
            about.append(f"skipped: {listing.passed}")
        raise FastrotError(
            f"{source} contains no videos ({'; '.join([*about, *listing.warnings])}): check --layout"
        )
    return listing


__all__ = ["LAYOUTS", "Entry", "Listing", "read_layout"]
