"""Squaring keeps shapes and colours, and adds nothing that distinguishes the axes of a frame."""

import io
from fractions import Fraction

import av
import numpy as np
import pytest

from pipelines.prepare.decoding import Decoder
from pipelines.prepare.encode import encode
from pipelines.prepare.squaring import Squarer, crop_area

SIZE = 48
# Columns and rows of luma to a sample of chroma.
STEPS = {
    "yuv420p": (2, 2),
    "yuvj422p": (2, 1),
    "yuv422p": (2, 1),
    "yuv440p": (1, 2),
    "yuv444p": (1, 1),
}


LEAKS = [*("h264 yuv420p", "yuv420p", "yuv422p", "yuv444p"), *("rgb24", "gbrp", "gray")]


def noise(rng, height, width):
    """Return noise of a pixel's grain, the same in all directions, (height, width) uint8."""
    y, x = np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None, :]
    white = np.fft.fft2(rng.standard_normal((height, width)))
    values = np.fft.ifft2(white * np.exp(-2 * np.pi**2 * (y**2 + x**2))).real
    return np.clip(np.rint(128 + 30 * values / values.std()), 16, 235).astype(np.uint8)


def fill(frame, planes):
    for plane, values in zip(frame.planes, planes, strict=True):
        lines = np.zeros((plane.height, plane.line_size), np.uint8)
        lines[:, : plane.width] = values
        plane.update(lines.tobytes())
    return frame


def noise_frame(rng, pixels, height, width):
    """Return a frame of isotropic noise; a sample of chroma is the mean of its pixels."""
    channels = [noise(rng, height, width) for _ in range(3)]
    if pixels in ("rgb24", "gbrp"):
        return av.VideoFrame.from_ndarray(np.stack(channels, axis=-1), pixels)
    if pixels == "gray":
        return av.VideoFrame.from_ndarray(channels[0], pixels)
    across, down = STEPS[pixels]
    shape = (height // down, down, width // across, across)
    chroma = [np.rint(plane.reshape(shape).mean(axis=(1, 3))) for plane in channels[1:]]
    return fill(av.VideoFrame(width, height, pixels), [channels[0], *chroma])


def through_h264(frame):
    """Return the frame as H.264 keeps it without loss: its chroma is then tagged as sited to the left."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as container:
        stream = container.add_stream(
            "libx264", rate=25, options={"qp": "0", "preset": "ultrafast"}
        )
        stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, "yuv420p"
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with av.open(io.BytesIO(buffer.getvalue())) as container:
        return next(Decoder(container).frames())


def axis_contrasts(picture):
    """Return the logarithms of how much rougher luma and two chromas are along the rows than the columns."""
    red, green, blue = np.moveaxis(picture.astype(float), -1, 0)
    contrasts = []
    for channel in ((red + 2 * green + blue) / 4, blue - green, red - green):
        across = np.square(np.diff(channel, axis=1)).mean()
        down = np.square(np.diff(channel, axis=0)).mean()
        contrasts.append(np.log((across + 1e-9) / (down + 1e-9)))
    return contrasts


def leak(pixels, fit, reduction, pictures=20):
    """Return the share of pictures whose axis a threshold on one contrast reveals (chance: a half)."""
    # Stretching is the same along both axes for squares only.
    side = 4 * round(SIZE * reduction / 4)
    width = side if fit == "stretch" else side * 4 // 3 // 4 * 4
    squarer = Squarer(SIZE, fit)
    contrasts = []
    for seed in range(pictures):
        frame = noise_frame(np.random.default_rng(seed), pixels.removeprefix("h264 "), side, width)
        frame = through_h264(frame) if pixels.startswith("h264") else frame
        contrasts.append(axis_contrasts(squarer.square(frame)))
    above = (np.array(contrasts) > 0).mean(axis=0)
    # Of gray pictures the chromas are nothing: no contrast, no sign.
    flat = np.abs(contrasts).max(axis=0) == 0
    return float(np.where(flat, 0.5, np.maximum(above, 1 - above)).max())


@pytest.mark.parametrize("fit", ["stretch", "crop"])
@pytest.mark.parametrize("reduction", [1.3, 2, 3])
@pytest.mark.parametrize("pixels", LEAKS)
def test_squaring_does_not_reveal_the_axis(pixels, reduction, fit):
    """RGB without full chroma input and H.264 with chroma's tagged site reveal the axis of every picture."""
    assert leak(pixels, fit, reduction) < 0.85


@pytest.mark.parametrize(("width", "height"), [(1280, 720), (320, 240), (341, 256), (100, 177)])
@pytest.mark.parametrize("size", [40, 64])
def test_a_crop_scales_both_axes_by_the_same_number(width, height, size):
    """A ramp along both axes rises as fast along each: the long side is not rounded after scaling."""
    y, x = np.mgrid[:height, :width]
    ramp = (20 * (x + y)).astype(np.uint16)
    frame = av.VideoFrame.from_ndarray(ramp, "gray16le")
    square = Squarer(size, "crop").square(frame)[..., 1].astype(float)
    inner = square[2:-2, 2:-2]
    rows, columns = np.mgrid[: inner.shape[0], : inner.shape[1]]
    unknowns = np.stack([columns.ravel(), rows.ravel(), np.ones(inner.size)], axis=1)
    across, down = np.linalg.lstsq(unknowns, inner.ravel(), rcond=None)[0][:2]
    assert across == pytest.approx(down, rel=5e-4)  # rounding the long side gave up to 5e-3


def test_crop_areas_by_hand():
    assert crop_area(1280, 720) == (720, 720, 280, 0)
    assert crop_area(100, 177) == (100, 100, 0, 38)
    assert crop_area(641, 481, block=2) == (480, 480, 80, 0)  # chroma is cut where luma is
    assert crop_area(720, 480, Fraction(8, 9)) == (540, 480, 90, 0)
    wide, tall, x, y = crop_area(720, 576, Fraction(64, 45), block=2)
    assert wide * 64 / 45 == pytest.approx(tall, rel=1e-4)
    assert 540 <= tall <= 576
    assert wide % 2 == tall % 2 == x % 2 == y % 2 == 0


@pytest.mark.parametrize(("width", "height"), [(1, 1), (2, 1), (1, 9), (3, 3), (5, 200)])
@pytest.mark.parametrize("aspect", [Fraction(1), Fraction(64, 45), Fraction(1, 300)])
@pytest.mark.parametrize("block", [1, 2, 4])
def test_crop_areas_of_tiny_frames_lie_within_them(width, height, aspect, block):
    wide, tall, x, y = crop_area(width, height, aspect, block)
    assert wide >= 1
    assert tall >= 1
    assert 0 <= x <= width - wide
    assert 0 <= y <= height - tall


def test_interlaced_frames_are_scaled_as_whole_pictures():
    """Scaled by fields, rows come from one field and the next one from the other: combs."""
    rng = np.random.default_rng(0)
    planes = [noise(rng, 288, 352), noise(rng, 144, 176), noise(rng, 144, 176)]
    frames = {}
    for flags in ("", "tff=1"):
        buffer = io.BytesIO()
        with av.open(buffer, "w", format="matroska") as container:
            options = {"qp": "0", "x264-params": flags} if flags else {"qp": "0"}
            stream = container.add_stream("libx264", rate=25, options=options)
            stream.width, stream.height, stream.pix_fmt = 352, 288, "yuv420p"
            frame = fill(av.VideoFrame(352, 288, "yuv420p"), planes)
            frame.pts, frame.time_base = 0, Fraction(1, 25)
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        with av.open(io.BytesIO(buffer.getvalue())) as container:
            frames[flags] = next(Decoder(container).frames())
    assert frames["tff=1"].interlaced_frame
    assert not frames[""].interlaced_frame
    for fit in ("stretch", "crop"):
        squarer = Squarer(SIZE, fit)
        np.testing.assert_array_equal(squarer.square(frames["tff=1"]), squarer.square(frames[""]))


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv422p", "yuv444p", "yuvj420p", "yuvj422p"])
@pytest.mark.parametrize("matrix", ["601", "709"])
def test_colours_follow_the_frames_tags(pixels, matrix):
    """The inverse of the matrix, by hand: pure red of each standard, in limited or full range."""
    red_luma, blue_luma = {"601": (0.299, 0.114), "709": (0.2126, 0.0722)}[matrix]
    luma, cb, cr = red_luma, -red_luma / (2 - 2 * blue_luma), 0.5
    full = pixels.startswith("yuvj")
    base, luma_range, chroma_range = (0, 255, 255) if full else (16, 219, 224)
    levels = [base + luma_range * luma, 128 + chroma_range * cb, 128 + chroma_range * cr]
    frame = av.VideoFrame(96, 96, pixels)
    fill(frame, [np.uint8(min(255, round(level))) for level in levels])
    frame.colorspace = {"601": 5, "709": 1}[matrix]
    frame.color_range = 2 if full else 1
    square = Squarer(SIZE, "stretch").square(frame)
    np.testing.assert_allclose(square.reshape(-1, 3).mean(axis=0), (255, 0, 0), atol=3)


def test_one_squarer_takes_frames_of_changing_size_and_format():
    squarer = Squarer(SIZE, "crop")
    rng = np.random.default_rng(0)
    for pixels, height, width in (("yuv420p", 96, 128), ("rgb24", 128, 96), ("yuv420p", 96, 128)):
        frame = noise_frame(rng, pixels, height, width)
        np.testing.assert_array_equal(squarer.square(frame), Squarer(SIZE, "crop").square(frame))


@pytest.mark.parametrize("codec", ["h264", "vp9"])
def test_halving_chroma_for_a_video_store_does_not_reveal_the_axis(codec):
    """Stored chroma is as rough along rows as along columns; PyAV's defaults revealed the axis."""
    contrasts = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        picture = np.stack([noise(rng, 136, 136) for _ in range(3)], axis=-1)
        data = encode([picture], codec, quality=1, fps=25).data
        with av.open(io.BytesIO(data)) as container:
            planes = next(container.decode(video=0)).to_ndarray()[136:].reshape(2, 68, 68)
        across = np.square(np.diff(planes.astype(float), axis=2)).mean(axis=(1, 2))
        down = np.square(np.diff(planes.astype(float), axis=1)).mean(axis=(1, 2))
        contrasts.append(np.log(across / down))
    above = (np.array(contrasts) > 0).mean(axis=0)
    assert np.maximum(above, 1 - above).max() < 0.85
