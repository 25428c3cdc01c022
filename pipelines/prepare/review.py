"""Compares a data set with the store that has some of it: what is to decode, what only has other labels."""

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
"""Files looked at in parallel: a network file system answers slowly, but many at once."""
_CHUNK = 256

T = TypeVar("T")

Fate = Literal["decode", "stored", "replaced", "rejected before"]


@dataclass
class Review:
    """What a run of ``prepare`` has to do.

    Attributes:
        todo: videos to decode: new ones, replaced ones, and rejected ones that are tried again.
        replaced: names of those in ``todo`` whose file has other content than the store's video.
        revisions: by name, the revision that a line of a video in ``todo`` takes, where that is not 0.
        records: lines that supersede those of stored videos, for the same bytes.
        rejected: name, reason and origin of rejected videos whose lines had no origin.
        rejected_before: how many videos are not tried again.
        relabelled: a sentence about each video whose class or splits changed.
        absent: stored videos that came from this source and are not found in it any more.
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
    """Compare the videos ``entries`` of ``listing`` with what the store's manifests have.

    A stored name whose file has other content is a video that was replaced if the store's video came
    from the same folder (or was seen there), and a clash of two data sets if not. Equal content is the same
    video, wherever its file lies now.

    Args:
        store: the store's folder.
        listing: the whole data set.
        entries: those of its videos that this run is about.
        retry_rejected: decode rejected videos again.
        replace_clashing: take videos of another folder for replacements.

    Raises:
        UsageError: names clash; nothing was written.
        FastrotError: a manifest is damaged, or the machine cannot read the data set.
    """
    source = str(listing.source or "")
    names = {entry.name for entry in entries}
    lines = current_lines(store)
    with refusing_damage(f"the manifest of {store}"):
        records = {line["name"]: Record(**line) for line in lines if line["name"] in names}
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
    known = {entry.name for entry in listing.entries}.union(listing.missing)
    result.absent = [
        line["name"]
        for line in lines
        if line["name"] not in known
        and (origin := origin_of(line)) is not None
        and source in origin.sources
    ]
    return result


def _judge(
    entry: Entry, source: str, record: Record | None, refused: list[Line], retry: bool
) -> tuple[Fate, Origin | None]:
    """Decide what to do about one video; only files of known names are looked at."""
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
        return "decode", None  # which rejects it, with the reason
    if record is not None and stored is None:  # of an earlier version, which kept no origin
        return "stored", origin
    if stored is not None and stored.content == origin.content:
        same = seen is stored
        return "stored", stored if same else origin.seen_before(stored)
    unidentified = record is None and any("origin" not in line for line in refused)
    if not retry and (unidentified or any(origin.content == each.content for each in origins)):
        return "rejected before", origin
    return "decode" if record is None else "replaced", origin


def _follow_lists(result: Review, record: Record, entry: Entry, origin: Origin | None) -> None:
    """Give a stored video's line the label and splits of the lists, and its ``origin`` if that is known."""
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
        f"{len(clashes)} videos of {source}, such as {name!r}, have the names of videos that {store} has "
        f"from {other}, but other content. Add a second data set under names of its own by --prefix NAME, "
        "or give it another --out. If these files are newer versions of those videos, use --replace"
    )


def _in_parallel(judge: Callable[[Entry], T], entries: list[Entry]) -> Iterator[T]:
    chunks = (entries[first : first + _CHUNK] for first in range(0, len(entries), _CHUNK))
    with ThreadPoolExecutor(THREADS, "fastrot-review") as pool:
        for judged in pool.map(lambda chunk: [judge(entry) for entry in chunk], chunks):
            yield from judged
