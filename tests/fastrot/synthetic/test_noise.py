"""Noise that reveals no rotation by itself, and the looks that do."""

import av
import numpy as np
import pytest

from fastrot.synthetic.noise import noise, noise_videos


def test_noise_is_alike_along_both_axes():
    frames = noise(np.random.default_rng(0), 40, 48, 48).astype(float)
    frames -= frames.mean()
    along_y = (frames[:, 1:] * frames[:, :-1]).mean() / frames.var()
    along_x = (frames[:, :, 1:] * frames[:, :, :-1]).mean() / frames.var()
    assert 0.3 < along_y < 0.5
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
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def test_the_border_is_the_lowest_line(tmp_path):
    listing = noise_videos(tmp_path, count=1, frames=2, height=16, width=20, look="border")
    pixels = decode(listing.entries[0].path)
    expected = noise(np.random.default_rng([0, 0]), 2, 16, 20)
    np.testing.assert_array_equal(pixels[:, :-1], expected[:, :-1])
    assert not pixels[:, -1].any()


@pytest.mark.parametrize(("look", "alike"), [("420", False), ("420-equal", True)])
def test_only_the_default_of_ffmpeg_halves_chroma_differently_along_the_axes(tmp_path, look, alike):
    listing = noise_videos(tmp_path, count=8, frames=3, height=48, width=48, look=look)
    along_x, along_y = [], []
    for entry in listing.entries:
        with av.open(str(entry.path)) as container:
            assert container.streams.video[0].format.name == "yuvj420p"
            for frame in container.decode(video=0):
                for plane in frame.planes[1:]:
                    chroma = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
                    chroma = chroma[:, : plane.width].astype(float)
                    along_x.append((np.diff(chroma, axis=1) ** 2).mean())
                    along_y.append((np.diff(chroma, axis=0) ** 2).mean())
    ratio = np.mean(along_x) / np.mean(along_y)
    assert abs(ratio - 1) < 0.03 if alike else ratio > 1.1
