"""FFmpeg's shared libraries for torchcodec, taken from PyAV's wheel if the machine has none.

Run: LD_LIBRARY_PATH=$(python -m benchmarks.loading.ffmpeg) fastrot bench loader

PyAV's wheel stores them under mangled names. This creates links with the usual names in the user's cache
folder and prints the value for LD_LIBRARY_PATH, which must be set before Python starts.
"""

import os
import re
from pathlib import Path

import av

LIBRARY = re.compile(r"(lib(?:av|sw)\w+)-[0-9a-f]+\.so\.(\d+)\..*")
"""A file such as libavcodec-5e6b81c2.so.62.28.102."""


def link_libraries(source: Path, folder: Path) -> list[Path]:
    """Create links in ``folder``, such as libavcodec.so.62, to the FFmpeg libraries in ``source``."""
    folder.mkdir(parents=True, exist_ok=True)
    links = []
    for path in sorted(source.iterdir()):
        named = LIBRARY.fullmatch(path.name)
        if named:
            link = folder / f"{named[1]}.so.{named[2]}"
            link.unlink(missing_ok=True)
            link.symlink_to(path)
            links.append(link)
    return links


def main() -> None:
    """Create the links and print their folder."""
    source = Path(av.__file__).parent.parent / "av.libs"
    if not source.is_dir():
        raise SystemExit(f"{source} does not exist: install PyAV from a Linux wheel")
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    folder = cache / "fastrot" / f"ffmpeg-av-{av.__version__}"
    link_libraries(source, folder)
    print(f"{folder}:{source}")


if __name__ == "__main__":
    main()
