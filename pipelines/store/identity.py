"""Which video is which: a file's identity, by which a later ``prepare`` knows what was replaced.

A video is identified by its name, its file's size, and a hash of the file's first and last 64 kB.
Comparing 480,000 files must be cheap: where the folder, size and modification time are those of the
last run, nothing is read.
"""

import errno
import hashlib
import stat
from dataclasses import dataclass, replace
from pathlib import Path

from pipelines.errors import FastrotError, UnreadableError

HASHED_BYTES = 65536
"""Bytes hashed at each end of a file."""

# Errors of the machine or of a whole mount: the next file would meet them too.
_OF_THE_MACHINE = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOMEM}
    | {errno.ESTALE, errno.ENOTCONN, errno.ENODEV}
    | {errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH}
)


@dataclass(frozen=True)
class Origin:
    """The file that a video was made of.

    Attributes:
        source: the data set's folder, absolute and without links, where it was seen last.
        bytes: the file's size.
        mtime_ns: its modification time in nanoseconds.
        hash: BLAKE2b-128 of its first and last ``HASHED_BYTES``, hexadecimal; "-" of what is no file.
        before: other folders where it was seen with the same content: copies and other mounts.
    """

    source: str
    bytes: int
    mtime_ns: int
    hash: str
    before: tuple[str, ...] = ()

    @property
    def sources(self) -> tuple[str, ...]:
        """The folders where it was seen."""
        return (self.source, *self.before)

    @property
    def content(self) -> tuple[int, str]:
        """What is equal for two files of the same content, wherever they lie: size and hash."""
        return self.bytes, self.hash

    def seen_before(self, old: "Origin") -> "Origin":
        """Return this origin with the folders of ``old``, one of the same content, as those before."""
        return replace(self, before=tuple(each for each in old.sources if each != self.source))

    def to_text(self) -> str:
        """Return the text that a manifest keeps: size, time, hash, and folders apart by NUL.

        One text, because every reader of a manifest parses it: an object a line would take twice as long.
        """
        return f"{self.bytes} {self.mtime_ns} {self.hash} " + "\0".join(self.sources)

    @classmethod
    def from_text(cls, text: str) -> "Origin":
        """Return the origin of a manifest's text.

        Raises:
            ValueError: it is none.
        """
        size, mtime_ns, digest, sources = text.split(" ", 3)
        source, *before = sources.split("\0")
        return cls(source, int(size), int(mtime_ns), digest, tuple(before))


@dataclass(frozen=True)
class Sighting:
    """A file as a stat shows it, before anything of it is read."""

    path: Path
    source: str
    bytes: int
    mtime_ns: int
    regular: bool

    def looks_like(self, known: Origin) -> bool:
        """Whether size, modification time and one of the folders are those of ``known``."""
        same = (self.bytes, self.mtime_ns) == (known.bytes, known.mtime_ns)
        return same and self.source in known.sources

    def origin(self) -> Origin:
        """Read both ends of the file (not of a pipe, which would wait for ever) and hash them.

        Raises:
            OSError: the file cannot be read.
        """
        digest = "-"
        if self.regular:
            with self.path.open("rb") as file:
                ends = file.read(HASHED_BYTES)
                file.seek(max(0, self.bytes - HASHED_BYTES))
                ends += file.read(HASHED_BYTES)
            digest = hashlib.blake2b(ends, digest_size=16).hexdigest()
        return Origin(self.source, self.bytes, self.mtime_ns, digest)


def sight(path: Path, source: str) -> Sighting:
    """Look at a file without reading it.

    Raises:
        OSError: it is absent or cannot be reached.
    """
    status = path.stat()
    return Sighting(
        path, source, status.st_size, status.st_mtime_ns, regular=stat.S_ISREG(status.st_mode)
    )


def find_fault(path: Path) -> OSError | None:
    """Read a file to its end; return the system's error, or None where every byte can be read.

    Tells a file with bad content from a file that cannot be had, whatever a decoder said of it.
    """
    try:
        if stat.S_ISREG(path.stat().st_mode):
            with path.open("rb", buffering=0) as file:
                while file.read(1 << 20):
                    pass
    except OSError as error:
        return error
    return None


def unreadable(error: OSError, path: Path) -> FastrotError:
    """Return the reason to reject a file that cannot be read.

    It is an UnreadableError, at which ``prepare`` stops, where the files after it would be rejected wrongly
    too: for too many open files, a lost mount, a folder that is gone.
    """
    if error.errno not in _OF_THE_MACHINE and path.parent.exists():
        return FastrotError(f"it cannot be read: {error.strerror}")
    hint = ": raise `ulimit -n`" if error.errno == errno.EMFILE else ""
    return UnreadableError(
        f"{path} cannot be read ({error.strerror}{hint}), nor can other videos probably: "
        "prepare stops. What is in the store is safe; run the same command again",
        error.errno,
    )
