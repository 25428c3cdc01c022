"""The on-disk store, read side: a few large shards and a manifest with one line per video.

A store is a folder::

    store.json        what was asked for: codec, size, frames, classes (see Settings)
    manifest.jsonl    a line per video: name, shard, offset, bytes, frames, label, splits, checksum
    rejected.jsonl    a line per video that was set aside: name, reason
    shards/           the pixels, and for mjpeg the offsets of the frames

Half a million small files would drown a file system; a few large ones do not.
"""

import json
from array import array
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pipelines.codecs import CODECS
from pipelines.errors import FastrotError, UsageError

Fit = Literal["stretch", "crop"]
FORMAT = 1
ALL = "all"


@dataclass(frozen=True)
class Settings:
    """What a store holds, fixed when it is made.

    ``frames`` is the number that each video is evenly down-sampled to, None for all of them;
    ``size`` is the side of the square frames in pixels; ``classes`` names the labels in their order;
    ``codec`` is a key of ``codecs.CODECS`` and ``quality`` on its scale, None where nothing is lost;
    ``fit`` says how frames became square: ``stretch`` (the paper's) or ``crop``.
    """

    codec: str
    size: int
    frames: int | None
    layout: str
    classes: tuple[str, ...] = ()
    quality: int | None = None
    fit: Fit = "stretch"
    format: int = FORMAT

    def to_json(self) -> str:
        """Return the text of store.json."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def read(cls, path: Path) -> "Settings":
        """Read store.json in the store ``path``; FastrotError if it is absent or of another format."""
        file = path / "store.json"
        try:
            values = json.loads(file.read_text())
        except FileNotFoundError:
            hint = "" if path.exists() else " (no such folder)"
            raise FastrotError(
                f"{path} is not a store{hint}: make one with `fastrot prepare SOURCE --out {path}`"
            ) from None
        except (OSError, ValueError) as error:
            raise FastrotError(f"{file} cannot be read: {error}") from None
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            raise FastrotError(f"{file} is not of store format {FORMAT}: prepare the store again")
        try:
            values["classes"] = tuple(values["classes"])
            settings = cls(**values)
        except (KeyError, TypeError) as error:
            raise FastrotError(f"{file} is damaged: {error}") from None
        if settings.codec not in CODECS:
            raise FastrotError(
                f"{file} names the codec {settings.codec!r}; known are {', '.join(CODECS)}"
            )
        return settings


@dataclass
class Record:
    """One video of the manifest.

    ``offset`` and ``bytes`` are its range in the shard; ``index`` is the number of its first frame among
    the shard's frames, which is also its place in the shard's file of frame offsets (mjpeg).
    """

    name: str
    shard: str
    offset: int
    bytes: int
    index: int
    frames: int
    crc32: int
    fps: float
    label: str | None = None
    splits: list[str] = field(default_factory=list)


def line_files(store: Path, kind: str) -> list[Path]:
    """Return the files of the ``kind`` "manifest" or "rejected": the store's own, then one a part.

    Parts are what ``fastrot prepare --shard i/n`` writes, such as manifest-1of8.jsonl.
    """
    return [store / f"{kind}.jsonl", *sorted(store.glob(f"{kind}-*of*.jsonl"))]


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSON-lines file; nothing if it is absent.

    A last line without its end is what a killed writer leaves: it is passed over, as its bytes were
    never promised. Any other broken line is a FastrotError that names it.
    """
    for number, chunk in _line_chunks(path):
        try:
            # One call for many lines: a manifest may have a million.
            yield from json.loads(b"[" + b",".join(chunk) + b"]")
        except ValueError:
            for line_number, line in enumerate(chunk, number):
                try:
                    json.loads(line)
                except ValueError:
                    raise FastrotError(
                        f"{path}, line {line_number}, is not JSON: the file is damaged"
                    ) from None
            raise


def _line_chunks(path: Path) -> Iterator[tuple[int, list[bytes]]]:
    """Yield (number of the first line, whole lines) of a file, a few thousand lines at a time."""
    if not path.exists():
        return
    with path.open("rb") as file:
        number = 1
        while lines := file.readlines(1 << 20):
            if not lines[-1].endswith(b"\n"):
                lines.pop()
            if lines:
                yield number, lines
            number += len(lines)


class _Columns:
    """The manifest's fields, an array each, in the order of the lines."""

    def __init__(self, classes: tuple[str, ...]):
        self.names: list[str] = []
        self.shards: dict[str, int] = {}
        self.split_sets: dict[tuple[str, ...], int] = {}
        self._classes: dict[str | None, int] = {name: i for i, name in enumerate(classes)}
        self._classes[None] = -1
        self._numbers = array("q")
        self.fps = array("d")

    def add(self, line: dict[str, Any]) -> None:
        self.names.append(line["name"])
        self.fps.append(line["fps"])
        self._numbers.extend(
            (
                self.shards.setdefault(line["shard"], len(self.shards)),
                line["offset"],
                line["bytes"],
                line["index"],
                line["frames"],
                line["crc32"],
                self._classes[line["label"]],
                self.split_sets.setdefault(tuple(line["splits"]), len(self.split_sets)),
            )
        )

    def table(self) -> NDArray[np.int64]:
        """Return (8, N): shard, offset, bytes, index, frames, crc32, label, set of splits."""
        return np.frombuffer(self._numbers, dtype=np.int64).reshape(-1, 8).T


class Store:
    """A prepared store, opened for reading. Videos are in the order of their names, whoever wrote them.

    Attributes, each an (N,) array by the video's index: ``shard`` (which of ``shards``), ``offset``,
    ``bytes`` and ``index`` (see ``Record``), ``frames``, ``crc32``, and ``labels`` (-1: unlabelled).
    """

    def __init__(self, path: Path, settings: Settings, columns: _Columns, rejected: int):
        names = columns.names
        order = sorted(range(len(names)), key=names.__getitem__)
        # A merge that was killed leaves lines in two manifests; they say the same.
        order = [i for k, i in enumerate(order) if k == 0 or names[i] != names[order[k - 1]]]
        table = columns.table()[:, np.array(order, dtype=np.int64)]
        self._fps = np.array(columns.fps, dtype=np.float64)[np.array(order, dtype=np.int64)]
        self.path = path
        self.settings = settings
        self.rejected = rejected
        self.classes = list(settings.classes)
        self.shards = list(columns.shards)
        self._names = [names[i] for i in order]
        self.shard: NDArray[np.int32] = table[0].astype(np.int32)
        self.offset: NDArray[np.int64] = table[1].copy()
        self.bytes: NDArray[np.int64] = table[2].copy()
        self.index: NDArray[np.int64] = table[3].copy()
        self.frames: NDArray[np.int32] = table[4].astype(np.int32)
        self.crc32: NDArray[np.uint32] = table[5].astype(np.uint32)
        self.labels: NDArray[np.int64] = table[6].copy()
        self._split_set: NDArray[np.int32] = table[7].astype(np.int32)
        self._split_sets = list(columns.split_sets)

    @classmethod
    def open(cls, path: Path | str) -> "Store":
        """Open the store in folder ``path``.

        Raises:
            FastrotError: the folder is no store, or its manifest is damaged.
        """
        path = Path(path)
        settings = Settings.read(path)
        columns = _Columns(settings.classes)
        for manifest in line_files(path, "manifest"):
            try:
                for line in read_lines(manifest):
                    columns.add(line)
            except (TypeError, KeyError, OverflowError) as error:
                raise FastrotError(f"{manifest} is damaged: {error!r}") from None
        # A video that was set aside and prepared later is in both files.
        rejected = {
            line["name"] for file in line_files(path, "rejected") for line in read_lines(file)
        }
        return cls(path, settings, columns, len(rejected.difference(columns.names)))

    @property
    def codec(self) -> str:
        """How the frames are stored."""
        return self.settings.codec

    @property
    def size(self) -> int:
        """Height and width of every frame in pixels."""
        return self.settings.size

    @property
    def splits(self) -> dict[str, int]:
        """The named splits and how many videos each has."""
        counts = np.bincount(self._split_set, minlength=len(self._split_sets))
        total: dict[str, int] = {}
        for names, count in zip(self._split_sets, counts.tolist(), strict=True):
            for name in names:
                total[name] = total.get(name, 0) + count
        return dict(sorted(total.items()))

    def __len__(self) -> int:
        return len(self._names)

    def name(self, i: int) -> str:
        """Return video i's name: its path below the source folder."""
        return self._names[i]

    def splits_of(self, i: int) -> tuple[str, ...]:
        """Return the splits that video i belongs to."""
        return self._split_sets[int(self._split_set[i])]

    def fps(self, i: int) -> float:
        """Return the rate of video i's kept frames, in frames a second."""
        return float(self._fps[i])

    def shard_path(self, i: int) -> Path:
        """Return the file that holds video i."""
        return self.path / "shards" / self.shards[int(self.shard[i])]

    def select(self, split: str) -> NDArray[np.int64]:
        """Return the videos of a split ("all" for every one), (n,) int64 in the order of names.

        Raises:
            UsageError: the store has no such split.
        """
        if split == ALL:
            return np.arange(len(self), dtype=np.int64)
        wanted = [i for i, names in enumerate(self._split_sets) if split in names]
        if not wanted:
            known = ", ".join([ALL, *self.splits])
            raise UsageError(f"{self.path} has no split {split!r}; it has: {known}")
        return np.flatnonzero(np.isin(self._split_set, wanted)).astype(np.int64)
