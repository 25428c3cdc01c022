"""Turn a data set's videos into a store, in parallel, resumable, with bad files set aside by name."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import FastrotError
from pipelines.layouts import Entry, Listing
from pipelines.store import Settings
from pipelines.store_writer import EncodedVideo, StoreWriter, writing
from pipelines.transcode import Job, transcode
from pipelines.workers import run_isolated

Progress = Callable[[int, int], None]
"""Called with (videos done, videos in all)."""


@dataclass(frozen=True)
class Prepared:
    """What a run of prepare did; ``found = already + added + rejected`` always adds up.

    ``already`` were in the store (or set aside) before, ``missing`` are listed by the data set but not
    on disk, ``rejected`` pairs each name with its reason.
    """

    found: int
    already: int
    added: int
    rejected: list[tuple[str, str]]
    missing: list[str]
    in_store: int


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
        progress: called after each video.

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
        results = run_isolated(transcode, jobs, workers=workers, time_limit=time_limit)
        for done, (index, result) in enumerate(results, already + 1):
            reason = _store(writer, todo[index], result)
            if reason is not None:
                rejected.append((todo[index].name, reason))
            if progress is not None:
                progress(done, len(entries))
        in_store = len(writer.known)
    if in_store == 0:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in rejected[:3])
        raise FastrotError(
            f"none of the {len(entries)} videos could be prepared: see {out}/rejected.jsonl"
            + (f" ({reasons})" if reasons else "")
        )
    return Prepared(
        found=len(entries),
        already=already,
        added=len(todo) - len(rejected),
        rejected=rejected,
        missing=listing.missing,
        in_store=in_store,
    )


def _store(writer: StoreWriter, entry: Entry, result: EncodedVideo | Exception) -> str | None:
    """Add a transcoded video, or set it aside and return the reason."""
    if isinstance(result, EncodedVideo):
        writer.add(entry.name, result, label=entry.label, splits=entry.splits)
        return None
    reason = str(result) or type(result).__name__
    writer.reject(entry.name, reason)
    return reason
