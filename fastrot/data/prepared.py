"""Stores prepared as a step of other commands: the demo, ``fastrot reproduce`` and notebooks."""

from pathlib import Path

from fastrot.data.summary import updates
from fastrot.terminal.console import progress, say
from pipelines.cores import cores
from pipelines.layouts import Listing
from pipelines.prepare.preparation import prepare
from pipelines.store.codecs import grid_warnings
from pipelines.store.reading import Settings


def fill_store(listing: Listing, out: Path, settings: Settings, what: str = "prepare") -> None:
    """Prepare missing videos on all cores; show progress, warnings, and rejected or changed videos.

    Raises:
        FastrotError: The store cannot be written, or no video can be decoded.
        UsageError: The store exists with different settings, or has different videos of the same names.
    """
    for warning in (*grid_warnings(settings.codec, settings.size), *listing.warnings):
        say(f"warning: {warning}")
    with progress(len(listing.entries), what, "videos") as advance:
        result = prepare(listing, out, settings, workers=cores(), progress=advance.to)
    for name, reason in result.rejected:
        say(f"rejected: {name}: {reason}")
    for kind, text in updates(result):
        say(f"{kind}: {text}")
