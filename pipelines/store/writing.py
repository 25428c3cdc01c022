"""Writing a store: append-only, so that a killed writer loses at most the current video.

A video's bytes are synced before the manifest names them. Reopening a store for writing truncates the last
shard after the last video in the manifest, and continues from there.
"""

import contextlib
import dataclasses
import fcntl
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

from pipelines.errors import FastrotError, UsageError
from pipelines.files import write_file
from pipelines.store.codecs import CODECS
from pipelines.store.identity import Origin
from pipelines.store.json_lines import (
    append_lines,
    line_files,
    open_lines,
    read_lines,
    refusing_damage,
)
from pipelines.store.reading import Record, Settings, check_place
from pipelines.store.shard_writing import EncodedVideo, Shard, open_binary

SHARD_BYTES = 1_000_000_000


@contextlib.contextmanager
def writing(path: Path, settings: Settings, part: str = "") -> "Iterator[StoreWriter]":
    """Open the store ``path`` for appending, create it if missing, and close it at the end, even on errors.

    Raises:
        UsageError: The store exists with other settings.
        FastrotError: The folder cannot be written, when opening it or later (a full disk).
    """
    try:
        writer = StoreWriter(path, settings, part)
        try:
            yield writer
        finally:
            writer.close()
    except OSError as error:
        raise FastrotError(f"the store {path} cannot be written: {error}") from None


class StoreWriter:
    """Appends videos to a store. Use ``writing`` to open and close one.

    There may be one writer at a time for each ``part`` ("" or, for example, "1of8"), on any node. Each part
    has its own manifest and shards, so writers do not wait for each other.

    Attributes:
        known: Names in any manifest of the store.
        spools: A folder for temporary files, created when needed. ``close`` removes it.
    """

    def __init__(self, path: Path, settings: Settings, part: str = ""):
        self.path = path
        self.settings = settings
        self._suffix = f"-{part}" if part else ""
        self._prefix = f"{part}-" if part else ""
        (path / "shards").mkdir(parents=True, exist_ok=True)
        self._lock = lock(path, part)
        # One folder per run: a worker of a killed run may still be writing to its own.
        self.spools = path / f".spool{self._suffix}" / secrets.token_hex(4)
        self._remove_spools()
        self._settle_settings()
        self._manifest = open_lines(path / f"manifest{self._suffix}.jsonl")
        self._rejects = open_lines(path / f"rejected{self._suffix}.jsonl")
        self.known: set[str] = set()
        self._shard = self._reopen_last_shard(self._read_manifests())

    def _read_manifests(self) -> Record | None:
        """Fill ``known``, and return the last video of this part, if any.

        Records are not kept: the manifests of all parts may have half a million lines.
        """
        last, shards = None, set()
        with refusing_damage(f"the manifest of {self.path}"):
            for file in line_files(self.path, "manifest"):
                for line in read_lines(file):
                    record = Record(**line)
                    self.known.add(record.name)
                    shards.add(str(record.shard))
                    if self._is_own(record.shard) and (
                        last is None or _place(last) < _place(record)
                    ):
                        last = record
        for shard in shards:
            check_place(self.path, shard)
        return last

    def _reopen_last_shard(self, last: Record | None) -> Shard | None:
        """Open the shard of this part's last video, if any, and truncate it after that video."""
        if last is None:
            return None
        shard = Shard(self.path / "shards" / last.shard, self.settings)
        shard.cut(last)
        return shard

    def _is_own(self, shard: str) -> bool:
        return shard.startswith(self._prefix) and shard[len(self._prefix) :].split(".")[0].isdigit()

    def _settle_settings(self) -> None:
        if not (self.path / "store.json").exists():
            write_file(self.path / "store.json", self.settings.to_json())
            return
        there = asdict(Settings.read(self.path))
        # A store of an older format keeps its format.
        self.settings = dataclasses.replace(self.settings, format=there["format"])
        wanted = asdict(self.settings)
        differing = [key for key in wanted if there[key] != wanted[key] and key != "classes"]
        if differing:
            # No number of frames is all of them; a codec without a quality has no such option.
            there, wanted = (
                {**each, "frames": each["frames"] or "all"} for each in (there, wanted)
            )
            changes = ", ".join(
                f"{key}: {there[key]} in the store, {wanted[key]} requested" for key in differing
            )
            same = " ".join(f"--{key} {there[key]}" for key in differing if there[key] is not None)
            use = f"use {same}, or " if same else ""
            raise UsageError(
                f"the store {self.path} was made with other settings ({changes}): "
                f"{use}choose another --out"
            )

    def add_classes(self) -> None:
        """Add the settings' new classes to store.json, before a line of the manifest uses them.

        Existing classes keep their numbers, because networks may have been trained with them.
        """
        there = Settings.read(self.path).classes
        new = tuple(name for name in self.settings.classes if name not in there)
        if new:
            settings = dataclasses.replace(self.settings, classes=there + new)
            write_file(self.path / "store.json", settings.to_json())

    def add(
        self,
        name: str,
        video: EncodedVideo,
        *,
        label: str | None,
        splits: tuple[str, ...],
        origin: Origin | None = None,
        revision: int = 0,
    ) -> Record:
        """Append one video, sync it, and return its line of the manifest.

        Args:
            name: Its name, unique in the store unless this video supersedes another one.
            video: The encoded video.
            label: Its class, one of those in the settings.
            splits: The splits that contain it.
            origin: The file that it was made from.
            revision: Higher than that of the line that this one supersedes.
        """
        shard = self._shard_with_room(video.size)
        place = shard.append(video)
        record = Record(
            name=name,
            shard=shard.path.name,
            **asdict(place),
            frames=video.frames,
            fps=video.fps,
            label=label,
            splits=list(splits),
            origin=None if origin is None else origin.to_text(),
            revision=revision,
            header=video.header.hex() if self.settings.packet_index else "",
        )
        append_lines(self._manifest, [record.to_line()])
        self.known.add(name)
        return record

    def supersede(self, records: list[Record]) -> None:
        """Append new lines for stored videos with changed labels, splits or origins."""
        append_lines(self._manifest, [record.to_line() for record in records])

    def reject(self, name: str, reason: str, origin: Origin | None = None) -> None:
        """Record that a video was rejected, with the reason and its file.

        Without an ``origin``, the file could not be read, and the next ``prepare`` tries it again.
        """
        text = None if origin is None else origin.to_text()
        append_lines(self._rejects, [{"name": name, "reason": reason, "origin": text}])

    def _shard_with_room(self, size: int) -> Shard:
        shard = self._shard
        if shard is None or (shard.frames and shard.bytes + size > SHARD_BYTES):
            number = 0
            if shard is not None:
                number = int(shard.path.name[len(self._prefix) :].split(".")[0]) + 1
                shard.close()
            suffix = CODECS[self.settings.codec].suffix
            self._shard = shard = Shard(
                self.path / "shards" / f"{self._prefix}{number:05d}.{suffix}", self.settings
            )
            shard.cut(None)
        return shard

    def _remove_spools(self) -> None:
        """Remove the temporary files of this run and of earlier, killed runs."""
        if self.spools.parent.exists():
            shutil.rmtree(self.spools.parent)

    def close(self) -> None:
        """Close the files. All added videos have been synced already."""
        self._remove_spools()
        for file in (self._shard, self._manifest, self._rejects, self._lock):
            if file is not None:
                file.close()


def lock(store: Path, part: str = "") -> BinaryIO:
    """Lock one part of a store, and return the open file that holds the lock until it is closed.

    Raises:
        FastrotError: Another process is writing this part.
    """
    file = open_binary(store / f".lock{f'-{part}' if part else ''}")
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise FastrotError(
            f"another process is writing to {store}: wait until it has finished, or split the work with "
            "--shard I/N"
        ) from None
    except OSError:
        pass  # a file system without locks
    return file


def _place(record: Record) -> tuple[str, int]:
    return record.shard, record.offset
