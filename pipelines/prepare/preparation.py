"""Turn a data set's videos into a store, in parallel, resumable, with bad files rejected by name."""

import contextlib
import functools
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from pipelines.errors import FastrotError, UnreadableError
from pipelines.layouts import Entry, Listing
from pipelines.prepare.review import review
from pipelines.prepare.transcode import Job, transcode
from pipelines.prepare.workers import WorkerLostError, run_isolated
from pipelines.store.identity import Origin, find_fault, sight, unreadable
from pipelines.store.reading import Settings
from pipelines.store.shard_writing import EncodedVideo
from pipelines.store.spool import SpoolError
from pipelines.store.writing import writing

_Outcome = tuple[Origin | None, EncodedVideo | Exception]
"""The file that was read, and the video made of it or the reason why there is none."""

Progress = Callable[[int, int], None]
"""Called with (videos done, videos in all)."""

ESTIMATE_AFTER = 100
"""Videos after which the whole store's size and time can be told."""


@dataclass(frozen=True)
class Prepared:
    """What a run of prepare did; ``found = already + added + rejected`` always adds up.

    ``already`` were in the store or rejected before (``rejected_before`` of them), ``missing`` are listed by
    the data set but not on disk, ``rejected`` pairs each name with its reason, and ``damaged`` pairs each
    name that was stored all the same with its number of damaged frames. ``replaced`` names those of ``added``
    that supersede a video of other content, ``relabelled`` has a sentence about each stored video whose
    class or splits changed, and ``absent`` names stored videos of this source that it no longer has.
    """

    found: int
    already: int
    added: int
    rejected: list[tuple[str, str]]
    missing: list[str]
    in_store: int
    rejected_before: int = 0
    damaged: list[tuple[str, int]] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    relabelled: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)


def prepare(
    listing: Listing,
    out: Path,
    settings: Settings,
    *,
    workers: int = 1,
    time_limit: float = float("inf"),
    retry_rejected: bool = False,
    replace_clashing: bool = False,
    part: tuple[int, int] | None = None,
    progress: Progress | None = None,
    note: Callable[[str], None] | None = None,
) -> Prepared:
    """Transcode every video of ``listing`` that the store ``out`` does not have yet, or has of other content.

    Labels and splits of stored videos follow the listing. Names that clash are refused (``review``).

    Args:
        listing: what a layout found; the classes go into the store's settings by the caller.
        out: the store's folder, made if absent, continued if it has the same settings.
        settings: codec, size, frames and the rest.
        workers: processes; each decodes on one thread.
        time_limit: seconds that one video may take before it is rejected.
        retry_rejected: try rejected videos again. Those whose file has changed are tried in any case.
        replace_clashing: videos of another folder replace those of the same names, instead of an error.
        part: (i, n) prepares every n-th video from the i-th (from 1) on, into a part of the store that other
            nodes do not touch.
        progress: called at the start and after each video.
        note: called with a sentence about the store's expected size and time, once they can be told.

    Raises:
        UsageError: another data set's videos of the same names are in the store.
        FastrotError: the store cannot be written, or holds no video at the end.
        UnreadableError: the machine cannot read the data set; nothing is rejected for that.
    """
    entries, part_name = listing.entries, ""
    if part is not None:
        index, parts = part
        entries, part_name = entries[index - 1 :: parts], f"{index}of{parts}"
    with writing(out, settings, part_name) as writer, contextlib.ExitStack() as stack:
        reviewed = review(
            out,
            listing,
            entries,
            retry_rejected=retry_rejected,
            replace_clashing=replace_clashing,
        )
        writer.add_classes()
        writer.supersede(reviewed.records)
        for completed in reviewed.rejected:
            writer.reject(*completed)
        todo = reviewed.todo
        already = len(entries) - len(todo)
        jobs = [
            Job(entry.path, settings, writer.spools, number) for number, entry in enumerate(todo)
        ]
        rejected: list[tuple[str, str]] = []
        damaged: list[tuple[str, int]] = []
        added_bytes, began = 0, time.monotonic()
        if progress is not None:
            progress(already, len(entries))
        source = str(listing.source or "")
        work = functools.partial(_transcode, source=source)
        results = run_isolated(work, jobs, workers=workers, time_limit=time_limit)
        stack.callback(results.close)  # no worker outlives the folder of its temporary file
        for done, (index, outcome) in enumerate(results, already + 1):
            entry, (origin, result) = todo[index], _settled(outcome, todo[index], source)
            if isinstance(result, EncodedVideo):
                record = writer.add(
                    entry.name,
                    result,
                    label=entry.label,
                    splits=entry.splits,
                    origin=origin,
                    revision=reviewed.revisions.get(entry.name, 0),
                )
                added_bytes += record.bytes
                if result.damaged_frames:
                    damaged.append((entry.name, result.damaged_frames))
            elif isinstance(result, SpoolError):
                raise FastrotError(f"the store {out} cannot be written: {result}")
            else:
                reason = str(result) or type(result).__name__
                if entry.name in writer.known:
                    reason += " (the store keeps the video that it had)"
                writer.reject(entry.name, reason, origin)
                rejected.append((entry.name, reason))
            jobs[index].clean_up()
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
        rejected_before=reviewed.rejected_before,
        replaced=[name for name in reviewed.replaced if name not in dict(rejected)],
        relabelled=reviewed.relabelled,
        absent=reviewed.absent,
        damaged=damaged,
    )


def _transcode(job: Job, source: str) -> _Outcome:
    """Transcode a video in a worker, and say which file it was.

    The origin is taken before the file is read: of a file that changes meanwhile, the next run finds
    another one. It is None where the file cannot be read, whatever is in it.
    """
    try:
        origin = sight(job.path, source).origin()
    except OSError as error:
        return None, unreadable(error, job.path)
    try:
        return origin, transcode(job)
    except Exception as error:
        fault = find_fault(job.path)
        return (origin, error) if fault is None else (None, unreadable(fault, job.path))


def _settled(outcome: _Outcome | Exception, entry: Entry, source: str) -> _Outcome:
    """Return what a worker answered, or what is known of a video that cost its worker.

    Raises:
        UnreadableError: the machine cannot read the data set.
    """
    if isinstance(outcome, tuple):
        if isinstance(outcome[1], UnreadableError):
            raise outcome[1]
        return outcome
    if isinstance(outcome, WorkerLostError) and outcome.timed_out:
        outcome = FastrotError(f"{outcome}: raise --time-limit and use --retry-rejected")
    try:
        return sight(entry.path, source).origin(), outcome
    except OSError:
        return None, outcome


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
