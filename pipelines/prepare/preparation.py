"""Prepares a data set's videos into a store. It runs in parallel, can be resumed, and rejects bad files."""

import contextlib
import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from pipelines.errors import FastrotError, UnreadableError
from pipelines.layouts import Entry, Listing
from pipelines.prepare.review import review
from pipelines.prepare.transcode import Job, transcode
from pipelines.prepare.workers import WorkerLostError, run_isolated
from pipelines.store.codecs import check_quality
from pipelines.store.identity import Origin, find_fault, sight, unreadable
from pipelines.store.reading import Settings
from pipelines.store.shard_writing import EncodedVideo
from pipelines.store.spool import SpoolError
from pipelines.store.writing import writing

_Outcome = tuple[Origin | None, EncodedVideo | Exception]
"""The file that was read, and the video made from it or the reason why it failed."""

Progress = Callable[[int, int], None]
"""Called with (videos done, total videos)."""

ESTIMATE_AFTER = 100
"""Number of videos after which the store's total size and time are estimated."""


@dataclass(frozen=True)
class Prepared:
    """The result of a run of prepare. ``found`` is the sum of ``already``, ``added`` and rejected videos.

    ``already`` counts videos that were in the store or rejected before (``rejected_before`` of them).
    ``missing`` are listed by the data set but not on disk, ``rejected`` are pairs (name, reason), and
    ``damaged`` are pairs (name, number of damaged frames) of videos that were stored anyway. ``replaced``
    names those of ``added`` that supersede a video with other content, ``relabelled`` has a sentence about
    each stored video whose class or splits changed, and ``absent`` names stored videos of this source that it
    no longer contains.
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


def choose_quality(out: Path, codec: str, quality: int | None) -> int | None:
    """Return the given quality of a codec, or that of the store in ``out``, or the codec's default.

    Raises:
        UsageError: The quality is out of range.
        FastrotError: The folder, or the existing store's settings, cannot be read.
    """
    try:
        resumed = quality is None and (out / "store.json").exists()
    except OSError as error:
        raise FastrotError(f"the store {out} cannot be read: {error}") from None
    if resumed:
        there = Settings.read(out)
        if there.codec == codec:
            quality = there.quality
    return check_quality(codec, quality)


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
    """Transcode every video of ``listing`` that is not in the store ``out``, or there with other content.

    Labels and splits of stored videos are updated from the listing. Name clashes are rejected (``review``).

    Args:
        listing: The videos found by a layout. The caller puts the classes into the store's settings.
        out: The store's folder, created if missing, continued if it has the same settings.
        settings: Codec, size, frames and other settings of the store.
        workers: Number of processes, each of which decodes on one thread.
        time_limit: Maximum seconds per video, after which it is rejected.
        retry_rejected: Try rejected videos again. Those whose file has changed are always tried again.
        replace_clashing: Let videos of another folder replace those of the same names, instead of an error.
        part: (i, n) prepares every n-th video from the i-th (from 1), into a separate part of the store.
        progress: Called at the start and after each video.
        note: Called once with a sentence that estimates the store's size and the time needed.

    Raises:
        UsageError: The store has videos of another data set with the same names.
        FastrotError: The store cannot be written, or contains no video at the end.
        UnreadableError: The machine cannot read the data set. No video is rejected because of this.
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
        jobs = _Jobs(todo, settings, writer.spools)
        rejected: list[tuple[str, str]] = []
        damaged: list[tuple[str, int]] = []
        added_bytes, began = 0, time.monotonic()
        if progress is not None:
            progress(already, len(entries))
        source = str(listing.source or "")
        work = functools.partial(_transcode, source=source)
        results = run_isolated(work, jobs, workers=workers, time_limit=time_limit)
        stack.callback(results.close)  # stop the workers before their temporary files are removed
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
                    reason += " (the store keeps its previous version)"
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


@dataclass(frozen=True)
class _Jobs(Sequence[Job]):
    """The job of each entry, made when it is asked for: a part of the work may be 60,000 videos."""

    entries: Sequence[Entry]
    settings: Settings
    spools: Path

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, number: Any) -> Any:
        return Job(self.entries[number].path, self.settings, self.spools, number)


def _transcode(job: Job, source: str) -> _Outcome:
    """Transcode a video in a worker, and return it with its origin.

    The origin is computed before the file is decoded: if the file changes meanwhile, the next run detects it.
    It is None if the system cannot read the file.
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
    """Return a worker's result, or the origin and error of a video whose worker was lost.

    Raises:
        UnreadableError: The machine cannot read the data set.
    """
    if isinstance(outcome, tuple):
        if isinstance(outcome[1], UnreadableError):
            raise outcome[1]
        return outcome
    if isinstance(outcome, WorkerLostError) and outcome.timed_out:
        outcome = FastrotError(f"{outcome}: increase --time-limit and use --retry-rejected")
    try:
        return sight(entry.path, source).origin(), outcome
    except OSError:
        return None, outcome


def _estimate(bytes_so_far: int, seconds: float, videos: int) -> str:
    """Extrapolate size and time from the first ESTIMATE_AFTER videos to all ``videos`` of this run."""
    factor = videos / ESTIMATE_AFTER
    time_in_all = timedelta(seconds=round(seconds * factor))
    return (
        f"estimate from {ESTIMATE_AFTER} videos: {readable_bytes(bytes_so_far * factor)} "
        f"and {time_in_all} for all {videos:,}"
    )


def readable_bytes(count: float) -> str:
    """Return a size with a decimal unit, such as "4.30 TB"."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"
