"""Selects the current lines of a store's manifests and lists of rejected videos.

Manifests are append-only. A line supersedes another line of the same name, in any part's manifest, if its
``revision`` is higher (0 if absent).
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pipelines.store.identity import Origin
from pipelines.store.json_lines import line_files, read_lines, refusing_damage

Line = dict[str, Any]


def newest(names: Sequence[str], revisions: Sequence[int]) -> list[int]:
    """Return the indices of the current lines, one per name, sorted by name.

    Of equal revisions, the last one is used. A killed merge leaves the same line in two manifests.
    """
    chosen: list[int] = []
    for i in sorted(range(len(names)), key=names.__getitem__):
        if not chosen or names[chosen[-1]] != names[i]:
            chosen.append(i)
        elif revisions[i] >= revisions[chosen[-1]]:
            chosen[-1] = i
    return chosen


def origin_of(line: Line) -> Origin | None:
    """Return the origin in a line, or None if it has none.

    Raises:
        ValueError, AttributeError: The line's origin is malformed.
    """
    text = line.get("origin")
    return None if text is None else Origin.from_text(text)


def current_lines(store: Path, wanted: Callable[[str], bool] = lambda name: True) -> list[Line]:
    """Return the current lines of all manifests of a store, sorted by name.

    Args:
        store: The store's folder.
        wanted: Whether to return the lines of a name. Others are checked, but not kept in memory.

    Raises:
        FastrotError: A manifest is damaged.
    """
    chosen: dict[str, Line] = {}
    with refusing_damage(f"the manifest of {store}"):
        for file in line_files(store, "manifest"):
            for line in read_lines(file):
                origin_of(line)
                name, revision = line["name"], line.get("revision", 0)
                if wanted(name) and revision >= chosen.get(name, line).get("revision", 0):
                    chosen[name] = line
    return [chosen[name] for name in sorted(chosen)]


def rejections(store: Path) -> dict[str, list[Line]]:
    """Return the lines of rejected videos by name, the newest last, one for each content of that name.

    Lines of earlier versions have no "origin". They are used only if the name has no other lines.

    Raises:
        FastrotError: A line is damaged.
    """
    found: dict[str, dict[Any, Line]] = {}
    for file in line_files(store, "rejected"):
        with refusing_damage(file):
            for line in read_lines(file):
                origin = origin_of(line)
                lines = found.setdefault(line["name"], {})
                key = "origin" in line and (origin.content if origin else None)
                lines.pop(key, None)
                lines[key] = line
    return {
        name: [line for line in lines.values() if "origin" in line] or list(lines.values())
        for name, lines in found.items()
    }
