"""The on-disk store, read side: a few large shards and a manifest with one line per video.

A store is a folder::

    store.json        what was asked for: codec, size, frames, classes (see Settings)
    manifest.jsonl    a line per video: name, shard, offset, bytes, frames, label, splits, checksum
    rejected.jsonl    a line per video that was set aside: name, reason
    shards/           the pixels, and for mjpeg the offsets of the frames

Half a million small files would drown a file system; a few large ones do not.
"""

import json
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


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSON-lines file; nothing if it is absent.

    A last line without its end is what a killed writer leaves: it is passed over, as its bytes were
    never promised. Any other broken line is a FastrotError that names it.
    """
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            try:
                yield json.loads(line)
            except ValueError:
                raise FastrotError(
                    f"{path}, line {number}, is not JSON: the file is damaged"
                ) from None


class Store:
    """A prepared store, opened for reading. Videos are in the order of their names, whoever wrote them."""

    def __init__(self, path: Path, settings: Settings, records: list[Record], rejected: int):
        records.sort(key=lambda record: record.name)
        class_index = {name: i for i, name in enumerate(settings.classes)}
        self.path = path
        self.settings = settings
        self.rejected = rejected
        self.classes = list(settings.classes)
        self.shards = sorted({record.shard for record in records})
        shard_index = {name: i for i, name in enumerate(self.shards)}
        self._names = [record.name for record in records]
        self.shard: NDArray[np.int32] = _column(records, np.int32, lambda r: shard_index[r.shard])
        self.offset: NDArray[np.int64] = _column(records, np.int64, lambda r: r.offset)
        self.bytes: NDArray[np.int64] = _column(records, np.int64, lambda r: r.bytes)
        self.index: NDArray[np.int64] = _column(records, np.int64, lambda r: r.index)
        self.frames: NDArray[np.int32] = _column(records, np.int32, lambda r: r.frames)
        self.crc32: NDArray[np.uint32] = _column(records, np.uint32, lambda r: r.crc32)
        self.labels: NDArray[np.int64] = _column(
            records, np.int64, lambda r: -1 if r.label is None else class_index[r.label]
        )
        self._splits: dict[str, list[int]] = {}
        for i, record in enumerate(records):
            for split in record.splits:
                self._splits.setdefault(split, []).append(i)

    @classmethod
    def open(cls, path: Path | str) -> "Store":
        """Open the store in folder ``path``.

        Raises:
            FastrotError: the folder is no store, or its manifest is damaged.
        """
        path = Path(path)
        settings = Settings.read(path)
        manifest = path / "manifest.jsonl"
        try:
            records = [Record(**line) for line in read_lines(manifest)]
            names = {record.name for record in records}
            # A video that was set aside and prepared later is in both files.
            rejected = {line["name"] for line in read_lines(path / "rejected.jsonl")} - names
            return cls(path, settings, records, len(rejected))
        except (TypeError, KeyError, OverflowError) as error:
            raise FastrotError(f"{manifest} is damaged: {error}") from None

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
        return {name: len(self._splits[name]) for name in sorted(self._splits)}

    def __len__(self) -> int:
        return len(self._names)

    def name(self, i: int) -> str:
        """Return video i's name: its path below the source folder."""
        return self._names[i]

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
        if split not in self._splits:
            known = ", ".join([ALL, *self.splits])
            raise UsageError(f"{self.path} has no split {split!r}; it has: {known}")
        return np.array(self._splits[split], dtype=np.int64)


def _column(records: list[Record], dtype: Any, value: Any) -> NDArray[Any]:
    return np.fromiter((value(record) for record in records), dtype=dtype, count=len(records))
