"""Compares a data set with a store, to find new, replaced and relabelled videos."""

import functools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeVar

from pipelines.errors import UnreadableError, UsageError
from pipelines.layouts import Entry, Listing
from pipelines.store.identity import Origin, sight, unreadable
from pipelines.store.json_lines import refusing_damage
from pipelines.store.manifest import Line, current_lines, origin_of, rejections
from pipelines.store.reading import Record

THREADS = 8
"""Files checked in parallel, because a network file system has a high latency."""
_CHUNK = 256

T = TypeVar("T")

Fate = Literal["decode", "stored", "replaced", "rejected before"]


@dataclass
class Review:
    """The work of a run of ``prepare``.

    Attributes:
        todo: Videos to decode: new videos, replaced videos, and rejected videos to try again.
        replaced: Names of videos in ``todo`` whose file differs from the store's video.
        revisions: Revisions for the lines of videos in ``todo``, by name, if not 0.
        records: New lines for stored videos whose bytes do not change.
        rejected: Name, reason and origin of rejected videos whose lines had no origin.
        rejected_before: Number of rejected videos that are not tried again.
        relabelled: A sentence about each video whose class or splits changed.
        absent: Names of stored videos from this source that it no longer contains.
    """

    todo: list[Entry] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    revisions: dict[str, int] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    rejected: list[tuple[str, str, Origin]] = field(default_factory=list)
    rejected_before: int = 0
    relabelled: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)


def review(
    store: Path,
    listing: Listing,
    entries: list[Entry],
    *,
    retry_rejected: bool = False,
    replace_clashing: bool = False,
) -> Review:
    """Compare the videos ``entries`` of ``listing`` with the store's manifests.

    If the file of a stored name has other content, the video was replaced if the store's video came from (or
    was seen in) the same folder. Otherwise two data sets clash. Equal content means the same video, wherever
    its file is.

    Args:
        store: The store's folder.
        listing: The whole data set.
        entries: The videos of this run.
        retry_rejected: Decode rejected videos again.
        replace_clashing: Treat videos of another folder as replacements.

    Raises:
        UsageError: Names clash. Nothing was written.
        FastrotError: A manifest is damaged, or the machine cannot read the data set.
    """
    source = str(listing.source or "")
    stored, others = _stored(store, listing, entries)
    with refusing_damage(f"the manifest of {store}"):
        records = {line["name"]: Record(**line) for line in stored}
    refused = rejections(store)

    def judge(entry: Entry) -> tuple[Fate, Origin | None]:
        return _judge(
            entry, source, records.get(entry.name), refused.get(entry.name, []), retry_rejected
        )

    result, clashes = Review(), []
    for entry, (fate, origin) in zip(entries, _in_parallel(judge, entries), strict=True):
        record = records.get(entry.name)
        if record is not None:
            _follow_lists(result, record, entry, origin if fate == "stored" else None)
        if fate == "rejected before":
            result.rejected_before += 1
            line = refused[entry.name][-1]
            if origin is not None and "origin" not in line:
                result.rejected.append((entry.name, str(line.get("reason")), origin))
        if fate in ("decode", "replaced"):
            result.todo.append(entry)
            if record is not None:
                result.revisions[entry.name] = record.revision + 2
        if fate == "replaced" and record is not None and record.origin is not None:
            result.replaced.append(entry.name)
            old = Origin.from_text(record.origin)
            if source not in old.sources:
                clashes.append((entry.name, old.source))
    if clashes and not replace_clashing:
        raise _clash(store, source, clashes)
    result.absent = [
        line["name"]
        for line in others
        if (origin := origin_of(line)) is not None and source in origin.sources
    ]
    return result


def _stored(store: Path, listing: Listing, entries: list[Entry]) -> tuple[list[Line], list[Line]]:
    """Return the store's lines of ``entries``, and those of videos that are not in ``listing``.

    The other lines are not kept: each part of the work reads the lines of all, perhaps half a million.
    """
    names = {entry.name for entry in entries}

    @functools.cache  # a new store has no lines to compare with
    def listed() -> set[str]:
        found = {entry.name for entry in listing.entries}
        found.update(listing.missing)
        return found

    lines = current_lines(store, lambda name: name in names or name not in listed())
    return (
        [line for line in lines if line["name"] in names],
        [line for line in lines if line["name"] not in names],
    )


def _judge(
    entry: Entry, source: str, record: Record | None, refused: list[Line], retry: bool
) -> tuple[Fate, Origin | None]:
    """Decide what to do with one video. Only files with known names are accessed."""
    stored = None if record is None or record.origin is None else Origin.from_text(record.origin)
    if record is None and (retry or not refused):
        return "decode", None
    origins = [known for line in refused if (known := origin_of(line)) is not None]
    known_origins = origins if stored is None else [stored, *origins]
    try:
        sighting = sight(entry.path, source)
        seen = next((each for each in known_origins if sighting.looks_like(each)), None)
        origin = sighting.origin() if seen is None else seen
    except OSError as error:
        if isinstance(reason := unreadable(error, entry.path), UnreadableError):
            raise reason from None
        return "decode", None  # decoding will reject it with a reason
    if record is not None and stored is None:  # from an earlier version without origins
        return "stored", origin
    if stored is not None and stored.content == origin.content:
        same = seen is stored
        return "stored", stored if same else origin.seen_before(stored)
    unidentified = record is None and any("origin" not in line for line in refused)
    if not retry and (unidentified or any(origin.content == each.content for each in origins)):
        return "rejected before", origin
    return "decode" if record is None else "replaced", origin


def _follow_lists(result: Review, record: Record, entry: Entry, origin: Origin | None) -> None:
    """Update a stored video's line with the listed label and splits, and with ``origin`` if given."""
    line = replace(
        record,
        label=entry.label,
        splits=list(entry.splits),
        origin=record.origin if origin is None else origin.to_text(),
    )
    if line == record:
        return
    result.records.append(replace(line, revision=record.revision + 1))
    if (line.label, line.splits) != (record.label, record.splits):
        result.relabelled.append(f"{entry.name}: {_labels(record)} -> {_labels(line)}")


def _labels(record: Record) -> str:
    return f"{record.label or 'no class'} ({', '.join(record.splits) or 'no split'})"


def _clash(store: Path, source: str, clashes: list[tuple[str, str]]) -> UsageError:
    name, other = clashes[0]
    return UsageError(
        f"{len(clashes)} videos in {source}, such as {name!r}, have the same names as videos in {store} "
        f"from {other}, but different content. Use --prefix NAME to add a second data set under separate "
        "names, or choose another --out. If the files are newer versions of those videos, use --replace."
    )


def _in_parallel(judge: Callable[[Entry], T], entries: list[Entry]) -> Iterator[T]:
    chunks = (entries[first : first + _CHUNK] for first in range(0, len(entries), _CHUNK))
    with ThreadPoolExecutor(THREADS, "fastrot-review") as pool:
        for judged in pool.map(lambda chunk: [judge(entry) for entry in chunk], chunks):
            yield from judged
