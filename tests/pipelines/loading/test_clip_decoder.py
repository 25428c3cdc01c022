"""The colours of clips decoded on a CPU, against the pictures that were encoded and DALI's conversion."""

import io

import av
import numpy as np
import pytest

from pipelines.loading.clip_decoder import ClipDecoder, UndecodableError, brighten
from pipelines.loading.dali_graph import import_dali
from pipelines.prepare.encode import encode
from pipelines.store.codecs import CODECS
from pipelines.store.mp4_tables import find_packets
from pipelines.store.packet_index import Packets
from tests.helpers import RESIZE, moving_frames

SIZE = 136


def natural_pictures(count: int) -> np.ndarray:
    """Return drifting pictures with the spectrum of photographs (1/f) and weak colours, uint8 RGB."""
    rng = np.random.default_rng(0)
    frequency = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.rfftfreq(256)[None])
    frequency[0, 0] = 1
    planes = []
    for contrast in (45, 12, 12):
        plane = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(256, 256))) / frequency)
        planes.append(contrast * plane / plane.std())
    grey, red, blue = planes
    scene = 120 + np.stack([grey + red, grey - (red + blue) / 4, grey + blue], axis=-1)
    frames = [scene[2 * t : 2 * t + SIZE, 3 * t : 3 * t + SIZE] for t in range(count)]
    return np.rint(np.stack(frames)).clip(0, 255).astype(np.uint8)


def decode_here(data: bytes, codec: str) -> np.ndarray:
    found = find_packets(memoryview(data), codec)
    packets = Packets(0, np.frombuffer(data, np.uint8), found.starts.tolist())
    count = len(packets.starts) - 1
    decoder = ClipDecoder(codec, SIZE, count)
    (frames,) = decoder.frames(found.header, [packets], range(count))
    clip = np.empty_like(frames)
    brighten(frames, clip)
    return clip


def decode_with_dali(data: bytes) -> np.ndarray:
    dali = import_dali()
    pipeline = dali.Pipeline(batch_size=1, num_threads=1, device_id=None)
    with pipeline:
        files = dali.fn.external_source(source=lambda: [np.frombuffer(data, np.uint8)], batch=True)
        pipeline.set_outputs(dali.fn.decoders.video(files, device="cpu"))
    pipeline.build()
    (output,) = pipeline.run()
    return np.array(output.as_tensor())[0]


def decode_accurately(data: bytes) -> np.ndarray:
    """Decode with FFmpeg's slow conversion, which is available for both codecs."""
    with av.open(io.BytesIO(data)) as container:
        return np.stack(
            [
                frame.to_ndarray(format="rgb24", src_colorspace="ITU601", interpolation=RESIZE)
                for frame in container.decode(video=0)
            ]
        )


def error_and_bias(frames: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    difference = frames.astype(int) - truth
    return float(np.abs(difference).mean()), float(difference.mean())


@pytest.mark.parametrize("codec", ["h264", "vp9"])
def test_colours_are_nearly_those_of_an_accurate_conversion(codec):
    """DALI decodes no H.264 on a CPU. FFmpeg's accurate conversion takes its place."""
    truth = natural_pictures(24)
    data = encode(list(truth), codec, CODECS[codec].quality, 25).data
    error, bias = error_and_bias(decode_here(data, codec), truth)
    others = {"FFmpeg, accurate": decode_accurately(data)}
    if codec == "vp9":
        others["DALI"] = decode_with_dali(data)
    print(f"{codec}: error {error:.2f}, bias {bias:+.2f} grey levels")
    assert abs(bias) < 0.3
    for name, frames in others.items():
        their_error, their_bias = error_and_bias(frames, truth)
        print(f"{name}: error {their_error:.2f}, bias {their_bias:+.2f} grey levels")
        assert error < their_error + 0.2


def test_frames_of_other_pixels_are_refused():
    """Three equal planes would be converted as if they were 4:2:0."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=25, options={"bf": "0"})
        stream.width = stream.height = SIZE
        stream.pix_fmt = "yuv444p"
        for picture in natural_pictures(2):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        container.mux(stream.encode(None))
    with pytest.raises(UndecodableError, match="frame 0 has yuv444p pixels, expected yuv420p"):
        decode_here(file.getvalue(), "h264")


@pytest.mark.parametrize(("size", "most"), [(50, 3), (130, 1)])
def test_lines_of_any_number_are_converted(size, most):
    """PyAV's pictures have a multiple of 4 lines, clips need not."""
    frames = moving_frames(most, size, size)
    data = encode(list(frames), "h264", 20, 25).data
    found = find_packets(memoryview(data), "h264")
    packets = Packets(0, np.frombuffer(data, np.uint8), found.starts.tolist())
    (clip,) = ClipDecoder("h264", size, most).frames(found.header, [packets], range(most))
    with av.open(io.BytesIO(data)) as container:
        whole = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    np.testing.assert_array_equal(clip, np.stack(whole))


def test_long_clips_are_converted_in_equal_parts():
    data = encode(list(natural_pictures(39)), "vp9", 22, 25).data
    found = find_packets(memoryview(data), "vp9")
    packets = Packets(0, np.frombuffer(data, np.uint8), found.starts.tolist())
    parts = ClipDecoder("vp9", SIZE, 40).frames(b"", [packets], range(39))
    assert [len(part) for part in parts] == [20, 19]


def test_white_stays_white_and_the_rest_gets_brighter():
    values = np.arange(256, dtype=np.uint8)
    brighten(values, values)
    assert values.tolist() == [*range(1, 256), 255]
