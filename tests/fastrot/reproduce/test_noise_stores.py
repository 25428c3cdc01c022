"""The noise stores of the audit are what their names say."""

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from fastrot.reproduce.noise_stores import KINDS, NoiseStores
from fastrot.synthetic.noise import noise
from pipelines.store.codecs import CODECS
from pipelines.store.reading import Store


def made(root: Path, kind: str, size: int, count: int = 3) -> tuple[NoiseStores, Store]:
    stores = NoiseStores(root, count=count, frames=3, size=size)
    path = stores.paths[f"noise-{kind}"]
    stores.make(f"noise-{kind}", Path(path))
    return stores, Store.open(path)


def test_a_raw_store_has_the_noise_itself(tmp_path: Path) -> None:
    stores, store = made(tmp_path, "raw", 32)
    assert (store.codec, store.size, store.settings.fit) == ("raw", 32, "stretch")
    assert store.splits == {"test": 1, "train": 2}
    assert stores.count(str(store.path), "train") == 2
    assert stores.count("another/store", "train") is None
    pixels = np.load(store.shard_path(0))
    expected = noise(np.random.default_rng([0, 0]), 3, 32, 32)
    # The workers finish in any order.
    assert any(np.array_equal(pixels[start : start + 3], expected) for start in (0, 3, 6))


@pytest.mark.parametrize(
    ("kind", "fit", "source"),
    [
        ("half", "stretch", (128, 128)),
        ("stretch", "stretch", (80, 106)),
        ("crop", "crop", (80, 106)),
        ("wider", "stretch", (50, 51)),
    ],
)
def test_frames_are_made_square_from_the_size_that_the_kind_says(
    tmp_path: Path, kind: str, fit: str, source: tuple[int, int]
) -> None:
    _, store = made(tmp_path, kind, 64, count=1)
    assert (store.codec, store.size, store.settings.fit) == ("raw", 64, fit)
    with av.open(str(next((tmp_path / "videos").glob("*/*.mkv")))) as container:
        frame = next(container.decode(video=0))
    assert (frame.height, frame.width) == source


def test_a_store_of_another_default_quality_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The results in a folder of an earlier version are of this store."""
    with monkeypatch.context() as earlier:
        earlier.setitem(CODECS, "h264", replace(CODECS["h264"], quality=18))
        made(tmp_path, "h264", 64)
    _, store = made(tmp_path, "h264", 64)
    assert store.settings.quality == 18 != CODECS["h264"].quality


@pytest.mark.parametrize("kind", ["border", "420"])
def test_controls_keep_their_cue_in_the_store(tmp_path: Path, kind: str) -> None:
    _, store = made(tmp_path, kind, 32)
    pixels = np.load(store.shard_path(0)).astype(float)
    if kind == "border":
        assert pixels[:, -1].max() == 0
        assert (pixels[:, :-1] == 0).mean() < 0.05
        return
    red_without_luma = pixels[..., 0] - pixels @ [0.299, 0.587, 0.114]
    along_x, along_y = (np.square(np.diff(red_without_luma, axis=axis)).mean() for axis in (2, 1))
    assert along_x > 1.1 * along_y


def test_every_kind_has_a_path() -> None:
    stores = NoiseStores(Path("root"), count=3, frames=3, size=32)
    assert list(stores.paths) == [f"noise-{kind}" for kind in KINDS]
