"""The summary of ``fastrot prepare``: videos found, stored, rejected and ignored."""

import re
from collections import Counter
from pathlib import Path

from pipelines.layouts import Listing
from pipelines.layouts.entry import counted, some
from pipelines.prepare.preparation import Prepared

REASONS = 5


def summarise(listing: Listing, result: Prepared, out: Path) -> list[str]:
    """Return the lines of the summary, about ten for a good data set.

    Args:
        listing: The data set; its classes and splits are counted.
        result: Result of ``prepare`` for the data set, or for one node's part of it.
        out: Folder of the store.
    """
    before = result.already - result.rejected_before
    found = counted(result.found, "video")
    lines = [
        (
            "found",
            f"{found}: {before:,} already stored, {result.added:,} added, "
            f"{len(result.rejected):,} rejected, {result.rejected_before:,} rejected earlier",
        ),
        ("stored", f"{counted(result.in_store, 'video')} in {out}"),
        *_rejected(result, out),
        *_damaged(result),
    ]
    if listing.missing:
        missing = counted(len(listing.missing), "listed video")
        lines.append(("not on disk", f"{missing} ({some(listing.missing)}), see {out}/missing.txt"))
    lines += updates(result)
    lines += [("classes", _classes(listing)), ("splits", _splits(listing))]
    if listing.passed.counts:
        lines.append(("ignored", str(listing.passed)))
    lines += [("warning", warning) for warning in listing.warnings]
    return [f"{key:<11}  {text}" for key, text in lines]


def updates(result: Prepared) -> list[tuple[str, str]]:
    """Return one line per kind of change to videos of an earlier run, as (kind, videos and reason)."""
    kinds = (
        ("replaced", result.replaced, "the file content has changed"),
        ("relabelled", result.relabelled, "the data set's lists or folders have changed"),
        (
            "absent",
            result.absent,
            "kept with the old class and splits; use `fastrot store remove` to remove a video",
        ),
    )
    return [
        (what, f"{counted(len(names), 'video')} ({some(names)}): {why}")
        for what, names, why in kinds
        if names
    ]


def _rejected(result: Prepared, out: Path) -> list[tuple[str, str]]:
    """Group the rejected videos by reason, most frequent first, and name the file with the full list."""
    if not (result.rejected or result.rejected_before):
        return []
    alike = Counter(_without_numbers(reason) for _, reason in result.rejected)
    by_reason: dict[str, list[str]] = {}
    for name, reason in result.rejected:
        general = _without_numbers(reason)
        by_reason.setdefault(reason if alike[general] == 1 else general, []).append(name)
    reasons = sorted(by_reason.items(), key=lambda pair: -len(pair[1]))
    lines = [
        ("rejected", f"{len(names):,}: {reason} ({some(names)})")
        for reason, names in reasons[:REASONS]
    ]
    if len(reasons) > REASONS:
        rest = sum(len(names) for _, names in reasons[REASONS:])
        lines.append(("rejected", f"{rest:,}: {counted(len(reasons) - REASONS, 'other reason')}"))
    where = f"see {out}/rejected*.jsonl; use --retry-rejected to retry them"
    return [*lines, ("" if lines else "rejected", where)]


def _without_numbers(reason: str) -> str:
    """Replace the numbers in a reason, which differ from file to file (such as missing bytes)."""
    return re.sub(r"\d[\d.,]*\d|\d", "...", reason)


def _damaged(result: Prepared) -> list[tuple[str, str]]:
    if not result.damaged:
        return []
    names = [f"{name}: {counted(frames, 'frame')}" for name, frames in result.damaged]
    return [
        ("damaged", f"{counted(len(names), 'video')} stored with damaged frames ({some(names)})")
    ]


def _classes(listing: Listing) -> str:
    if not listing.classes:
        return "none (fine-tuning needs classes, pre-training does not)"
    text = f"{len(listing.classes):,} ({some(listing.classes)})"
    unlabelled = sum(entry.label is None for entry in listing.entries)
    return text + (f"; {counted(unlabelled, 'video')} without a class" if unlabelled else "")


def _splits(listing: Listing) -> str:
    sizes = Counter(split for entry in listing.entries for split in entry.splits)
    if not sizes:
        return "none (use data.split=all)"
    text = ", ".join(f"{split} {sizes[split]:,}" for split in sorted(sizes))
    neither = sum(not entry.splits for entry in listing.entries)
    return text + (f"; {counted(neither, 'video')} in no split" if neither else "")
