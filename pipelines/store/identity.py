"""The identity of a video file, by which a later ``prepare`` detects replaced files.

A video is identified by its name, its file's size, and a hash of the file's first and last 64 kB. To make
comparing 480,000 files cheap, a file is not read if its folder, size and modification time are unchanged.
"""

import errno
import hashlib
import stat
from dataclasses import dataclass, replace
from pathlib import Path

from pipelines.errors import FastrotError, UnreadableError

HASHED_BYTES = 65536
"""Number of bytes hashed at each end of a file."""

# Errors of the machine or of a whole mount, which would affect other files too.
_OF_THE_MACHINE = frozenset(
    {errno.EMFILE, errno.ENFILE, errno.ENOMEM}
    | {errno.ESTALE, errno.ENOTCONN, errno.ENODEV}
    | {errno.ETIMEDOUT, errno.EHOSTDOWN, errno.EHOSTUNREACH}
)


@dataclass(frozen=True)
class Origin:
    """The file that a video was made from.

    Attributes:
        source: The data set's folder where the file was last seen, absolute and without links.
        bytes: The file's size.
        mtime_ns: Its modification time in nanoseconds.
        hash: BLAKE2b-128 of its first and last ``HASHED_BYTES``, hexadecimal; "-" if it is not a regular
            file.
        before: Other folders where it was seen with the same content, such as copies and other mounts.
    """

    source: str
    bytes: int
    mtime_ns: int
    hash: str
    before: tuple[str, ...] = ()

    @property
    def sources(self) -> tuple[str, ...]:
        """All folders where the file was seen."""
        return (self.source, *self.before)

    @property
    def content(self) -> tuple[int, str]:
        """Size and hash, which are equal for two files with the same content."""
        return self.bytes, self.hash

    def seen_before(self, old: "Origin") -> "Origin":
        """Return this origin with the folders of ``old``, which has the same content, as ``before``."""
        return replace(self, before=tuple(each for each in old.sources if each != self.source))

    def to_text(self) -> str:
        """Return the text stored in a manifest: size, time, hash, and folders separated by NUL.

        It is one string because parsing a JSON object per line would take twice as long.
        """
        return f"{self.bytes} {self.mtime_ns} {self.hash} " + "\0".join(self.sources)

    @classmethod
    def from_text(cls, text: str) -> "Origin":
        """Parse the text stored in a manifest.

        Raises:
            ValueError: The text is not a valid origin.
        """
        size, mtime_ns, digest, sources = text.split(" ", 3)
        source, *before = sources.split("\0")
        return cls(source, int(size), int(mtime_ns), digest, tuple(before))


@dataclass(frozen=True)
class Sighting:
    """A file's metadata, read without reading its content."""

    path: Path
    source: str
    bytes: int
    mtime_ns: int
    regular: bool

    def looks_like(self, known: Origin) -> bool:
        """Return whether size, modification time and one of the folders match ``known``."""
        same = (self.bytes, self.mtime_ns) == (known.bytes, known.mtime_ns)
        return same and self.source in known.sources

    def origin(self) -> Origin:
        """Read and hash both ends of a regular file (reading a pipe could block forever).

        Raises:
            OSError: The file cannot be read.
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
    """Return a file's metadata without reading the file.

    Raises:
        OSError: The file is missing or cannot be accessed.
    """
    status = path.stat()
    return Sighting(
        path, source, status.st_size, status.st_mtime_ns, regular=stat.S_ISREG(status.st_mode)
    )


def find_fault(path: Path) -> OSError | None:
    """Read a whole file, and return the system's error, or None if every byte can be read.

    This distinguishes a file with damaged content from one that the system cannot read.
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
    """Return the reason for rejecting a file that cannot be read.

    It is an UnreadableError, at which ``prepare`` stops, if other files would be wrongly rejected too: too
    many open files, a lost mount, or a deleted folder.
    """
    if error.errno not in _OF_THE_MACHINE and path.parent.exists():
        return FastrotError(f"the file cannot be read: {error.strerror}")
    hint = ": raise `ulimit -n`" if error.errno == errno.EMFILE else ""
    return UnreadableError(
        f"{path} cannot be read ({error.strerror}{hint}). Other videos are probably affected too, so "
        "prepare stops. The store is intact: fix the cause and run the same command again.",
        error.errno,
    )
