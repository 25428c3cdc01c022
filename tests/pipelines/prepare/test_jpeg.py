"""JPEGs with sampling factors 1x1 and FFmpeg's quantisation."""

import io

import numpy as np
import pytest
from PIL import Image

from benchmarks.harness.inputs import footage
from benchmarks.harness.measure import NotHere
from benchmarks.tools.jpegs import decoded, ffmpeg_jpegs, psnr
from pipelines.prepare.encode import encode
from pipelines.prepare.jpeg import encode_jpegs
from tests.helpers import moving_frames
from tests.pipelines.jpeg_segments import segments
from tests.pipelines.prepare.frames import read_frames

DQT, SOF0 = 0xDB, 0xC0


def frame_header(jpeg: bytes) -> tuple[int, int, list[tuple[int, int, int]]]:
    """Return height, width, and (horizontal factor, vertical factor, table) of each component."""
    sof = segments(jpeg)[SOF0]
    components = [sof[6 + 3 * i : 9 + 3 * i] for i in range(sof[5])]
    height, width = (int.from_bytes(sof[i : i + 2]) for i in (1, 3))
    return height, width, [(each[1] >> 4, each[1] & 15, each[2]) for each in components]


def textured(count: int, size: int) -> np.ndarray:
    """Return drifting colours under isotropic detail whose spectrum falls as in photographs."""
    rng = np.random.default_rng(0)
    frequency = np.hypot(np.fft.fftfreq(2 * size)[:, None], np.fft.rfftfreq(2 * size))
    noise = np.fft.rfft2(rng.normal(size=(2 * size, 2 * size))) / np.maximum(frequency, 0.01)
    detail = np.fft.irfft2(noise)
    detail *= 20 / detail.std()
    cut = np.stack([detail[t : t + size, 2 * t : 2 * t + size] for t in range(count)])
    return np.clip(moving_frames(count, size, size) + cut[..., None], 0, 255).astype(np.uint8)


def test_every_component_has_the_factors_1x1_and_ffmpegs_has_not():
    frames = moving_frames(2, 40, 56)
    for jpeg in encode_jpegs(frames, 2):
        assert frame_header(jpeg) == (40, 56, [(1, 1, 0)] * 3)
    for jpeg in ffmpeg_jpegs(frames, 2):
        assert frame_header(jpeg) == (40, 56, [(1, 2, 0)] * 3)


@pytest.mark.parametrize("quality", range(1, 32))
def test_the_quantisation_is_ffmpegs(quality):
    frames = moving_frames(1, 16, 16)
    (ours,), (theirs,) = encode_jpegs(frames, quality), ffmpeg_jpegs(frames, quality)
    assert len(segments(theirs)[DQT]) == 65
    assert segments(ours)[DQT] == segments(theirs)[DQT]


def compare(frames: np.ndarray, quality: int, most: float) -> None:
    """Check that frames are no worse than FFmpeg's, and have at most ``most`` times the bytes."""
    ours, theirs = list(encode_jpegs(frames, quality)), list(ffmpeg_jpegs(frames, quality))
    assert len(ours) == len(theirs) == len(frames)
    assert psnr(frames, decoded(ours)) >= psnr(frames, decoded(theirs))
    assert sum(map(len, ours)) <= most * sum(map(len, theirs))


# The default quality has the tightest bound; coarser steps round up more often.
BOUNDS = pytest.mark.parametrize(("quality", "most"), [(2, 1.08), (8, 1.13)])


@BOUNDS
def test_a_textured_clip_is_no_worse_and_hardly_larger_than_ffmpegs(quality, most):
    compare(textured(8, 136), quality, most)


def test_the_default_quality_is_good():
    frames = textured(8, 136)
    assert psnr(frames, decoded(encode_jpegs(frames, 2))) > 38


@BOUNDS
def test_real_videos_are_no_worse_and_hardly_larger_than_ffmpegs(quality, most):
    try:
        paths = footage()
    except NotHere as error:
        pytest.skip(str(error))
    for path in paths:
        compare(np.stack(read_frames(path, 20, 136, "stretch")[0]), quality, most)


def test_colours_are_full_range_601_rounded_to_the_nearest_level():
    """Blocks of one colour have no rounding but that of the mean's step, which is one level."""
    colours = np.random.default_rng(0).integers(0, 256, size=(32, 32, 3), dtype=np.uint8)
    (jpeg,) = encode_jpegs([colours.repeat(8, axis=0).repeat(8, axis=1)], 2)
    image = Image.open(io.BytesIO(jpeg))
    image.draft("YCbCr", image.size)  # decodes without a conversion
    red, green, blue = np.moveaxis(colours.astype(float), -1, 0)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    exact = np.stack([luma, 128 + (blue - luma) / 1.772, 128 + (red - luma) / 1.402], axis=-1)
    assert np.abs(np.asarray(image)[::8, ::8] - exact).max() <= 0.51


def test_noise_at_the_best_quality_fits():
    """Nearly three bytes a pixel: more than Pillow reserves for a file with optimised Huffman tables."""
    noise = np.random.default_rng(0).choice([0, 255], size=(400, 400, 3)).astype(np.uint8)
    (jpeg,) = encode_jpegs([noise], 1)
    assert len(jpeg) > 2 * 400 * 400
    assert psnr(noise[None], decoded([jpeg])) > 40


def test_turned_frames_are_encoded_as_they_are_seen():
    """A rotated frame is a view whose rows are not in order in memory."""
    frame = moving_frames(1, 48, 48)[0]
    turned = np.rot90(frame)
    video = encode([turned], "mjpeg", 2, 25)
    assert psnr(turned[None], decoded([bytes(video.data)])) > 40
