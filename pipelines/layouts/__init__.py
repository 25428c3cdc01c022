"""How data sets lie on disk: a folder in, entries (path, label, splits) out."""

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
"""By name: lists the videos of a folder; FastrotError where its official files are absent or broken."""


def read_layout(source: Path, layout: str, lists: Sequence[Path] = ()) -> Listing:
    """List the videos of ``source`` as the named layout (a key of ``LAYOUTS``) sees them.

    Args:
        source: the folder that holds the videos, or one video.
        layout: how it lies.
        lists: the files of the layout "list".

    Raises:
        FastrotError: the source does not exist, or is not of this layout, or has no videos.
        UsageError: lists are given to another layout, or the official lists below ``source`` are ambiguous.
    """
    if not source.exists():
        raise FastrotError(f"{source} does not exist: give the folder that holds the videos")
    if lists and layout != LIST:
        raise UsageError(f"--list is for --layout {LIST}, not {layout}")
    listing = own_lists.read(source, lists) if lists else LAYOUTS[layout](source)
    listing.source = source.resolve().parent if source.is_file() else source.resolve()
    listing.warnings += near_classes(listing.classes)
    if not listing.entries:
        about = [f"layout {layout}", f"{len(listing.missing)} listed videos are not on disk"]
        if listing.passed.counts:
            about.append(f"passed over: {listing.passed}")
        raise FastrotError(
            f"no videos found in {source} ({'; '.join([*about, *listing.warnings])})"
        )
    return listing


__all__ = ["LAYOUTS", "Entry", "Listing", "read_layout"]
