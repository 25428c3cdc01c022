import numpy as np
import pytest

from benchmarks.harness.inputs import SIZE
from benchmarks.tools.block_grid import codecs_part, contrast, contrasts, through


def _noise(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(seed).integers(96, 160, shape, dtype=np.uint8)


def test_edges_of_blocks_are_told_from_their_middles():
    lines = _noise(0, (1, SIZE, 64)).astype(np.float32)
    assert contrast(lines) == pytest.approx(0, abs=0.1)
    lines += np.where(np.arange(SIZE) // 16 % 2, 30, 0)[:, None]  # steps at multiples of 16
    assert contrast(lines) > 0.2


def test_turning_a_clip_changes_the_sign_of_its_contrast():
    clip = _noise(1, (2, SIZE, SIZE, 3))
    turned = np.ascontiguousarray(clip[:, ::-1, ::-1])
    np.testing.assert_allclose(contrasts(turned), -contrasts(clip), atol=1e-6)
    np.testing.assert_allclose(codecs_part(clip, lambda frames: frames), 0, atol=1e-6)


@pytest.mark.parametrize("codec", ["raw", "mjpeg", "h264", "vp9"])
def test_each_codec_gives_the_clip_back(codec):
    y, x = np.indices((SIZE, SIZE)) / SIZE
    frame = np.rint(127 + 60 * np.stack([np.sin(3 * y), np.cos(2 * x), y], -1)).astype(np.uint8)
    clip = np.stack([frame, frame[::-1]])
    assert np.abs(through(codec)(clip).astype(int) - clip).mean() < 4
