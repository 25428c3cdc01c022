"""How data sets lie on disk: a folder in, entries (path, label, splits) out."""

from pathlib import Path
from typing import Protocol

from pipelines.errors import FastrotError
from pipelines.layouts import folder, hmdb51, kinetics, moments, ucf101
from pipelines.layouts.entry import Entry, Listing


class Layout(Protocol):
    """Reads a data set's folder."""

    def __call__(self, source: Path) -> Listing:
        """List the videos of ``source``; FastrotError where its official files are absent or broken."""


LAYOUTS: dict[str, Layout] = {
    "folder": folder.read,
    "ucf101": ucf101.read,
    "hmdb51": hmdb51.read,
    "kinetics": kinetics.read,
    "moments": moments.read,
}


def read_layout(source: Path, layout: str) -> Listing:
    """List the videos of ``source`` as the named layout (a key of ``LAYOUTS``) sees them.

    Raises:
        FastrotError: the source does not exist, or is not of this layout, or has no videos.
    """
    if not source.exists():
        raise FastrotError(f"{source} does not exist: give the folder that holds the videos")
    listing = LAYOUTS[layout](source)
    listing.source = source.resolve().parent if source.is_file() else source.resolve()
    if not listing.entries:
        raise FastrotError(
            f"no videos found in {source} (layout {layout}; "
            f"{len(listing.missing)} listed videos are not on disk)"
        )
    return listing


__all__ = ["LAYOUTS", "Entry", "Listing", "read_layout"]
