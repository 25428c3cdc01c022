"""FFmpeg's shared libraries for torchcodec, where the machine has none: those inside PyAV's wheel.

Run: LD_LIBRARY_PATH=$(python -m benchmarks.loading.ffmpeg) fastrot bench loader

PyAV's wheel keeps them under names of its own; this makes links of the usual names in a folder of the
user's cache, and prints what belongs into LD_LIBRARY_PATH. It must be set before Python starts.
"""

import os
import re
from pathlib import Path

import av

LIBRARY = re.compile(r"(lib(?:av|sw)\w+)-[0-9a-f]+\.so\.(\d+)\..*")
"""A file such as libavcodec-5e6b81c2.so.62.28.102."""


def link_libraries(source: Path, folder: Path) -> list[Path]:
    """Make links in ``folder``, such as libavcodec.so.62, to the libraries of FFmpeg in ``source``."""
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
    """Link and print."""
    source = Path(av.__file__).parent.parent / "av.libs"
    if not source.is_dir():
        raise SystemExit(f"no {source}: PyAV was not installed from a wheel for Linux")
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    folder = cache / "fastrot" / f"ffmpeg-av-{av.__version__}"
    link_libraries(source, folder)
    print(f"{folder}:{source}")


if __name__ == "__main__":
    main()
