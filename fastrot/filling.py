"""Stores made on the way to something else: by the demo, `fastrot reproduce` and notebooks."""

from pathlib import Path

from fastrot.console import progress, say
from pipelines.layouts import Listing
from pipelines.machine import cores
from pipelines.prepare import Prepared, prepare
from pipelines.store import Settings


def fill_store(listing: Listing, out: Path, settings: Settings, what: str = "prepare") -> None:
    """Prepare what a store lacks by all cores, with progress shown, and say what was rejected or changed.

    Raises:
        FastrotError: the store cannot be written, or no video is good.
        UsageError: it exists with other settings, or has other videos of the same names.
    """
    with progress(len(listing.entries), what, "videos") as advance:
        result = prepare(listing, out, settings, workers=cores(), progress=advance.to)
    for name, reason in result.rejected:
        say(f"set aside: {name}: {reason}")
    for line in updates(result):
        say(line)


def updates(result: Prepared) -> list[str]:
    """Return a line about each kind of change that ``prepare`` made or found in videos of an earlier run."""
    kinds = (
        (result.replaced, "made again, because the file has other content than before"),
        (result.relabelled, "classes or splits updated"),
        (
            result.absent,
            "in the store, but no longer in SOURCE or its lists: kept with the old class and splits "
            "(see `fastrot store remove`)",
        ),
    )
    return [
        f"{what}: {len(names)} ({'; '.join(names[:3])}{'; ...' if len(names) > 3 else ''})"
        for names, what in kinds
        if names
    ]
