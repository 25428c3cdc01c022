"""Turn a data set's videos into a store, in parallel, resumable, with bad files set aside by name."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from pipelines.errors import FastrotError
from pipelines.layouts import Listing
from pipelines.store import Settings
from pipelines.store_writer import EncodedVideo, writing
from pipelines.transcode import Job, transcode
from pipelines.workers import run_isolated

Progress = Callable[[int, int], None]
"""Called with (videos done, videos in all)."""

ESTIMATE_AFTER = 100
"""Videos after which the whole store's size and time can be told."""


@dataclass(frozen=True)
class Prepared:
    """What a run of prepare did; ``found = already + added + rejected`` always adds up.

    ``already`` were in the store (or set aside) before, ``missing`` are listed by the data set but not
    on disk, ``rejected`` pairs each name with its reason. ``damaged`` pairs the names of added videos whose
    decoder reported errors with the number of damaged frames: fewer than a tenth, or they are rejected.
    """

    found: int
    already: int
    added: int
    rejected: list[tuple[str, str]]
    missing: list[str]
    in_store: int
    damaged: list[tuple[str, int]] = field(default_factory=list)


def prepare(
    listing: Listing,
    out: Path,
    settings: Settings,
    *,
    workers: int = 1,
    time_limit: float = float("inf"),
    retry_rejected: bool = False,
    part: tuple[int, int] | None = None,
    progress: Progress | None = None,
    note: Callable[[str], None] | None = None,
) -> Prepared:
    """Transcode every video of ``listing`` that the store ``out`` does not have yet.

    Args:
        listing: what a layout found; the classes go into the store's settings by the caller.
        out: the store's folder, made if absent, gone on with if it has the same settings.
        settings: codec, size, frames and the rest.
        workers: processes; each decodes on one thread.
        time_limit: seconds that one video may take before it is set aside.
        retry_rejected: try again what was set aside before.
        part: (i, n) prepares every n-th video from the i-th (from 1) on, into a part of the store that other
            nodes do not touch.
        progress: called at the start and after each video.
        note: called with a sentence about the store's expected size and time, once they can be told.

    Raises:
        FastrotError: the store cannot be written, or holds no video at the end.
    """
    entries, part_name = listing.entries, ""
    if part is not None:
        index, parts = part
        entries, part_name = entries[index - 1 :: parts], f"{index}of{parts}"
    with writing(out, settings, part_name) as writer:
        known = writer.known if retry_rejected else writer.known | writer.rejected
        todo = [entry for entry in entries if entry.name not in known]
        already = len(entries) - len(todo)
        jobs = [Job(entry.path, settings) for entry in todo]
        rejected: list[tuple[str, str]] = []
        damaged: list[tuple[str, int]] = []
        added_bytes, began = 0, time.monotonic()
        if progress is not None:
            progress(already, len(entries))
        results = run_isolated(transcode, jobs, workers=workers, time_limit=time_limit)
        for done, (index, result) in enumerate(results, already + 1):
            if isinstance(result, EncodedVideo):
                entry = todo[index]
                writer.add(entry.name, result, label=entry.label, splits=entry.splits)
                added_bytes += len(result.data)
                if result.damaged_frames:
                    damaged.append((entry.name, result.damaged_frames))
            else:
                reason = str(result) or type(result).__name__
                writer.reject(todo[index].name, reason)
                rejected.append((todo[index].name, reason))
            if progress is not None:
                progress(done, len(entries))
            if note is not None and done - already == ESTIMATE_AFTER:
                note(_estimate(added_bytes, time.monotonic() - began, len(todo)))
        in_store = len(writer.known)
    if in_store == 0:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in rejected[:3])
        raise FastrotError(
            f"none of the {len(entries)} videos could be prepared: see {out}/rejected*.jsonl"
            + (f" ({reasons})" if reasons else "")
        )
    return Prepared(
        found=len(entries),
        already=already,
        added=len(todo) - len(rejected),
        rejected=rejected,
        missing=listing.missing,
        in_store=in_store,
        damaged=damaged,
    )


def _estimate(bytes_so_far: int, seconds: float, videos: int) -> str:
    """Extrapolate from the first ESTIMATE_AFTER videos to all ``videos`` of this run."""
    factor = videos / ESTIMATE_AFTER
    time_in_all = timedelta(seconds=round(seconds * factor))
    return (
        f"estimate from {ESTIMATE_AFTER} videos: {readable_bytes(bytes_so_far * factor)} "
        f"and {time_in_all} for all {videos:,}"
    )


def readable_bytes(count: float) -> str:
    """Return a size with its decimal unit, such as "4.30 TB"."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"
