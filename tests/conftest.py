"""Fixtures: small videos and the stores made of them."""

import os

# Before torch is imported: OpenMP threads that spin while they wait make every other process of a busy
# machine crawl, and tests start many small ones. One thread each, as tests run side by side.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.layouts import Entry, Listing
from pipelines.store.codecs import CODECS
from pipelines.store.reading import Settings, Store


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Under ``-m gpu`` import only files with such tests: a machine with a GPU may lack what others need."""
    if config.option.markexpr != "gpu":
        return None
    if Path(__file__).parent in collection_path.parents and collection_path.is_dir():
        # Its conftest.py would be imported.
        files = list(collection_path.rglob("*.py"))
    else:
        files = [collection_path] if collection_path.suffix == ".py" else []
    return (bool(files) and not any("mark.gpu" in file.read_text() for file in files)) or None


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip tests marked gpu without CUDA, or fail them where FASTROT_REQUIRE_GPU=1: some would pass."""
    if item.get_closest_marker("gpu") is None:
        return
    import torch

    if torch.cuda.is_available():
        return
    if os.environ.get("FASTROT_REQUIRE_GPU") == "1":
        pytest.fail("FASTROT_REQUIRE_GPU=1, but torch finds no CUDA device", pytrace=False)
    pytest.skip("needs a CUDA device")


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of six small videos in two classes, of 12 to 40 frames, in AVI and MP4."""
    from tests.helpers import (  # needs PyAV, as tests without videos do not
        moving_frames,
        write_video,
    )

    root = tmp_path_factory.mktemp("videos")
    for i, (count, suffix) in enumerate(
        [(40, "avi"), (24, "mp4"), (12, "avi"), (33, "mp4"), (20, "avi"), (28, "avi")]
    ):
        write_video(root / f"class{i % 2}" / f"video{i}.{suffix}", moving_frames(count, 48, 64, i))
    return root


MakeStore = Callable[..., Store]


@pytest.fixture(scope="session")
def make_store(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> MakeStore:
    """Return a function that prepares (once for each codec, size and frames) the six videos."""
    from pipelines.prepare.preparation import prepare

    made: dict[tuple[str, int, int | None], Store] = {}

    def make(codec: str = "raw", size: int = 40, frames: int | None = None) -> Store:
        key = (codec, size, frames)
        if key not in made:
            out = tmp_path_factory.mktemp("store") / codec
            paths = sorted(videos.rglob("video*"))
            entries = [
                Entry(
                    path,
                    path.relative_to(videos).as_posix(),
                    label=path.parent.name,
                    splits=("train1",) if i < 4 else ("test1",),
                )
                for i, path in enumerate(paths)
            ]
            settings = Settings(
                codec=codec,
                quality=CODECS[codec].quality,
                size=size,
                frames=frames,
                layout="folder",
                classes=("class0", "class1"),
            )
            prepare(Listing(entries, ["class0", "class1"]), out, settings, workers=2)
            made[key] = Store.open(out)
        return made[key]

    return make
