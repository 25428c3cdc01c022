"""Noise reveals no rotation by itself, and is stored unchanged in a raw store."""

from pathlib import Path

import numpy as np

from fastrot.reproduce.stores import NoiseStores
from fastrot.synthetic.noise import noise, noise_videos
from pipelines.store.reading import Store


def test_noise_is_alike_along_both_axes():
    frames = noise(np.random.default_rng(0), 40, 48, 48).astype(float)
    frames -= frames.mean()
    along_y = (frames[:, 1:] * frames[:, :-1]).mean() / frames.var()
    along_x = (frames[:, :, 1:] * frames[:, :, :-1]).mean() / frames.var()
    assert 0.5 < along_y < 0.99
    assert abs(along_y - along_x) < 0.01


def test_half_of_it_stands_still_and_half_is_new():
    frames = noise(np.random.default_rng(1), 60, 32, 32).astype(float)
    frames -= frames.mean()
    alike = (frames[1:] * frames[:-1]).mean() / frames.var()
    assert 0.4 < alike < 0.6


def test_videos_are_kept_without_loss_and_split(tmp_path):
    listing = noise_videos(tmp_path, count=6, frames=4, height=16, width=20)
    assert [entry.splits[0] for entry in listing.entries] == ["test"] * 2 + ["train"] * 4
    expected = noise(np.random.default_rng([0, 3]), 4, 16, 20)
    with_av = decode(listing.entries[3].path)
    np.testing.assert_array_equal(with_av, expected)
    before = listing.entries[0].path.stat().st_mtime_ns
    noise_videos(tmp_path, count=6, frames=4, height=16, width=20)
    assert listing.entries[0].path.stat().st_mtime_ns == before


def decode(path):
    import av

    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def test_the_stores_of_noise_are_what_they_say(tmp_path):
    stores = NoiseStores(tmp_path, count=3, frames=3, size=32)
    for name in ("noise-raw", "noise-crop"):
        stores.make(name, Path(stores.paths[name]))
    raw, cut = (Store.open(stores.paths[name]) for name in ("noise-raw", "noise-crop"))
    assert (raw.codec, raw.size, raw.settings.fit) == ("raw", 32, "stretch")
    assert (cut.codec, cut.size, cut.settings.fit) == ("raw", 32, "crop")
    assert raw.splits == {"test": 1, "train": 2}
    assert stores.count(stores.paths["noise-raw"], "train") == 2
    assert stores.count("another/store", "train") is None
    pixels = np.load(raw.shard_path(0))
    # A square video of the store's own size is not resized.
    np.testing.assert_array_equal(pixels[:3], noise(np.random.default_rng([0, 0]), 3, 32, 32))
