"""Reading a store: a few large shards and a manifest with one line per video.

A store is a folder::

    store.json        settings: codec, size, frames, classes (see Settings)
    manifest.jsonl    a line per video: name, shard, offset, bytes, frames, label, splits, checksum, origin
    rejected.jsonl    a line per rejected video: name, reason, origin
    shards/           the pixels; a checksum of each frame (raw, mjpeg); for mjpeg the frames' offsets;
                      for h264 and vp9 an index of the packets with checksums

File systems handle a few large files better than half a million small ones.
"""

import json
from array import array
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import FastrotError, UsageError
from pipelines.store.codecs import CODECS
from pipelines.store.json_lines import line_files, read_lines, refusing_damage
from pipelines.store.manifest import newest

Fit = Literal["stretch", "crop"]
FITS: tuple[Fit, ...] = get_args(Fit)
FORMAT = 3
FORMATS = (1, 2, FORMAT)
"""Supported formats.

Stores of format 1 have no checksums of single frames. Those of formats 1 and 2 have no index of packets.
"""

MAX_SIZE = 8192
"""The largest frame size in pixels. A store.json with a larger size is damaged."""
ALL = "all"


@dataclass(frozen=True)
class Settings:
    """The settings of a store, fixed when it is created.

    ``frames`` is the number of evenly spaced frames kept of each video, or None for all.
    ``size`` is the side of the square frames in pixels, ``classes`` the class names in the order of labels,
    ``codec`` a key of ``codecs.CODECS``, and ``quality`` a value on its scale, or None if lossless.
    ``fit`` is how frames were made square: ``stretch`` (as in the paper) or ``crop``.
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

    @property
    def frame_checksums(self) -> bool:
        """Whether each shard has a file with the frames' checksums next to it."""
        return self.format >= 2 and not CODECS[self.codec].video

    @property
    def packet_index(self) -> bool:
        """Whether each shard has an index of its videos' packets next to it."""
        return self.format >= 3 and CODECS[self.codec].video

    def _check(self) -> None:
        """Raise ValueError if a value is invalid."""
        if type(self.size) is not int or not 0 < self.size <= MAX_SIZE:
            raise ValueError(f"size is {self.size!r}, expected 1 to {MAX_SIZE} pixels")
        if self.frames is not None and (type(self.frames) is not int or self.frames < 1):
            raise ValueError(f"frames is {self.frames!r}, expected null or at least 1")
        if not all(isinstance(name, str) for name in self.classes):
            raise ValueError("classes must be strings")
        if self.codec not in CODECS:
            raise ValueError(f"codec is {self.codec!r}, expected one of {', '.join(CODECS)}")
        best, worst = CODECS[self.codec].qualities
        if self.quality is not None and not (
            type(self.quality) is int and best <= self.quality <= worst
        ):
            raise ValueError(f"quality is {self.quality!r}, expected null or {best} to {worst}")

    @classmethod
    def read(cls, path: Path) -> "Settings":
        """Read store.json in the store ``path``.

        Raises:
            FastrotError: The file is missing, unreadable, damaged or of another format.
        """
        file = path / "store.json"
        try:
            values = json.loads(file.read_text())
        except FileNotFoundError:
            hint = "" if path.exists() else " (no such folder)"
            raise FastrotError(
                f"{path} is not a store{hint}: create one with `fastrot prepare SOURCE --out {path}`"
            ) from None
        except (OSError, ValueError) as error:
            raise FastrotError(f"{file} cannot be read: {error}") from None
        if not isinstance(values, dict) or values.get("format") not in FORMATS:
            raise FastrotError(
                f"{file} is not in store format 1 to {FORMAT}: prepare the store again, or update fastrot"
            )
        with refusing_damage(file):
            values["classes"] = tuple(values["classes"])
            settings = cls(**values)
            settings._check()
        return settings


@dataclass
class Record:
    """One video in the manifest.

    ``offset`` and ``bytes`` are its range in the shard. ``index`` is the index of its first frame among the
    shard's frames, and in the shard's files with one entry per frame. ``origin`` describes the file that it
    was made from (the text of an ``identity.Origin``, None in stores of earlier versions). A line with a
    higher ``revision`` supersedes lower ones of the same name. ``header`` is what a decoder needs before an
    h264 video's first packet, in hexadecimal (format 3).
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
    origin: str | None = None
    revision: int = 0
    header: str = ""

    def to_line(self) -> dict[str, Any]:
        """Return the record's line of the manifest. Without a header, earlier versions can read it too."""
        line = asdict(self)
        return line if self.header else {key: line[key] for key in line if key != "header"}


_MOST_BYTES = 2**60


def check_place(store: Path, shard: Any) -> None:
    """Reject a shard that is not directly in the store's folder "shards".

    Raises:
        FastrotError: The name, or a link, leads outside that folder.
    """
    folder = (store / "shards").resolve()
    places = {store.resolve() / "shards"}
    if isinstance(shard, str) and not set(shard) & set("/\\\0") and shard not in ("", ".", ".."):
        places |= {
            (folder / f"{shard}{end}").resolve().parent
            for end in ("", ".offsets", ".crc32", ".packets")
        }
        if places == {folder}:
            return
    raise FastrotError(
        f"the manifest of {store} names the shard {shard!r}, which is outside the store's folder: "
        "do not use this store"
    )


class _Columns:
    """The manifest's fields as one array each, in the order of the lines."""

    def __init__(self, classes: tuple[str, ...]):
        self.names: list[str] = []
        self.revisions = array("q")
        self.shards: dict[str, int] = {}
        self.split_sets: dict[tuple[str, ...], int] = {}
        self.headers: dict[str, int] = {}
        self._classes: dict[str | None, int] = {name: i for i, name in enumerate(classes)}
        self._classes[None] = -1
        self._numbers = array("q")
        self.fps = array("d")

    def add(self, line: dict[str, Any]) -> None:
        self.names.append(line["name"])
        self.revisions.append(line.get("revision", 0))
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
                self.headers.setdefault(line.get("header", ""), len(self.headers)),
            )
        )

    def table(self) -> NDArray[np.int64]:
        """Return (9, N) int64: shard, offset, bytes, index, frames, crc32, label, set of splits, header."""
        return np.frombuffer(self._numbers, dtype=np.int64).reshape(-1, 9).T


class Store:
    """A prepared store, opened for reading. Videos are sorted by name, regardless of which part has them.

    These attributes are (N,) arrays, indexed by video: ``shard`` (an index into ``shards``), ``offset``,
    ``bytes`` and ``index`` (see ``Record``), ``frames``, ``crc32``, and ``labels`` (-1 if unlabelled).
    """

    def __init__(self, path: Path, settings: Settings, columns: _Columns, rejected: int):
        names = columns.names
        order = newest(names, columns.revisions)
        table = columns.table()[:, np.array(order, dtype=np.int64)]
        self._fps = np.array(columns.fps, dtype=np.float64)[np.array(order, dtype=np.int64)]
        self.path = path
        self.settings = settings
        self.rejected = rejected
        self.classes = list(settings.classes)
        self.shards = list(columns.shards)
        self._shard_paths: list[Path] = [path / "shards" / shard for shard in self.shards]
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
        self._header: NDArray[np.int32] = table[8].astype(np.int32)
        self._headers = [bytes.fromhex(header) for header in columns.headers]

    @classmethod
    def open(cls, path: Path | str) -> "Store":
        """Open the store in folder ``path``.

        Raises:
            FastrotError: The folder is not a store, or its manifest is damaged.
        """
        path = Path(path)
        settings = Settings.read(path)
        columns = _Columns(settings.classes)
        for manifest in line_files(path, "manifest"):
            with refusing_damage(manifest):
                for line in read_lines(manifest):
                    columns.add(line)
        # A video that was first rejected and later prepared is in both files.
        rejected = {
            line["name"] for file in line_files(path, "rejected") for line in read_lines(file)
        }
        for shard in columns.shards:
            check_place(path, shard)
        with refusing_damage(f"the manifest of {path}"):
            store = cls(path, settings, columns, len(rejected.difference(columns.names)))
        store._check_numbers()
        return store

    def _check_numbers(self) -> None:
        """Reject impossible values before memory is allocated from them."""
        wrong = (self.offset < 0) | (self.bytes <= 0) | (self.index < 0) | (self.frames <= 0)
        wrong |= self.offset > _MOST_BYTES - self.bytes
        if self.codec == "raw":
            wrong |= self.bytes != self.frames.astype(np.int64) * self.size**2 * 3
        else:
            wrong |= self.bytes < self.frames  # each frame has at least one byte
        if wrong.any():
            video = self.name(int(np.flatnonzero(wrong)[0]))
            raise FastrotError(
                f"the manifest of {self.path} is damaged: the bytes, frames or offset of video {video!r} are "
                "impossible. Delete the video's line and run the same `fastrot prepare` again."
            )

    @property
    def codec(self) -> str:
        """The codec of the stored frames."""
        return self.settings.codec

    @property
    def size(self) -> int:
        """Height and width of every frame in pixels."""
        return self.settings.size

    @property
    def splits(self) -> dict[str, int]:
        """The number of videos in each named split."""
        counts = np.bincount(self._split_set, minlength=len(self._split_sets))
        total: dict[str, int] = {}
        for names, count in zip(self._split_sets, counts.tolist(), strict=True):
            for name in names if count else ():  # superseded lines may have had other splits
                total[name] = total.get(name, 0) + count
        return dict(sorted(total.items()))

    def __len__(self) -> int:
        return len(self._names)

    def name(self, i: int) -> str:
        """Return video i's name: its path below the source folder."""
        return self._names[i]

    def splits_of(self, i: int) -> tuple[str, ...]:
        """Return the splits that contain video i."""
        return self._split_sets[int(self._split_set[i])]

    def header(self, i: int) -> bytes:
        """Return what a decoder needs before video i's first packet (h264 in format 3), or nothing."""
        return self._headers[int(self._header[i])]

    def fps(self, i: int) -> float:
        """Return the rate of video i's kept frames, in frames per second."""
        return float(self._fps[i])

    def shard_path(self, i: int) -> Path:
        """Return the shard that contains video i."""
        return self._shard_paths[int(self.shard[i])]

    def select(self, split: str) -> NDArray[np.int64]:
        """Return the indices of the videos of a split ("all" for every video), (n,) int64, sorted by name.

        Raises:
            UsageError: The store has no such split.
        """
        if split == ALL:
            return np.arange(len(self), dtype=np.int64)
        wanted = [i for i, names in enumerate(self._split_sets) if split in names]
        if split not in self.splits:
            known = ", ".join([ALL, *self.splits])
            raise UsageError(f"{self.path} has no split {split!r}: choose one of {known}")
        return np.flatnonzero(np.isin(self._split_set, wanted)).astype(np.int64)
