"""The options of the video encoders, which make files that a CPU decodes faster, reach them."""

import io
import itertools

import av
import numpy as np

from pipelines.prepare import encode as module
from pipelines.prepare.encode import encode
from tests.helpers import moving_frames

FRAMES = list(moving_frames(6, 64, 64))

VP9 = {"b:v": "0", "deadline": "realtime", "lag-in-frames": "0"}


def has_cabac(avcc: bytes) -> bool:
    """Return entropy_coding_mode_flag of the first picture parameter set of a box avcC.

    ISO 14496-15, section 5.3.3.1, and H.264, section 7.3.2.2.
    """
    assert avcc[5] & 31 == 1  # one sequence parameter set
    at = 8 + int.from_bytes(avcc[6:8])
    assert avcc[at] == 1  # one picture parameter set
    unit = avcc[at + 3 : at + 3 + int.from_bytes(avcc[at + 1 : at + 3])]
    assert unit[0] & 31 == 8
    bits = itertools.chain.from_iterable(f"{byte:08b}" for byte in unit[1:])
    for _ in range(
        2
    ):  # the numbers of both sets, in Exp-Golomb code: zeros, 1, and as many bits as zeros
        zeros = sum(1 for _ in iter(lambda: next(bits), "1"))
        for _ in range(zeros):
            next(bits)
    return next(bits) == "1"


def by_default() -> bytes:
    """Return the header of a file of x264 at its preset alone."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "fast"})
        stream.width = stream.height = 64
        container.mux(stream.encode(av.VideoFrame.from_ndarray(FRAMES[0], "rgb24")))
        container.mux(stream.encode(None))
    data = file.getvalue()
    at = data.index(b"avcC") + 4
    return data[at : at - 8 + int.from_bytes(data[at - 8 : at - 4])]


def test_h264_has_no_arithmetic_code():
    assert has_cabac(by_default())
    assert not has_cabac(encode(FRAMES, "h264", 10, 25).header)


def test_vp9_is_encoded_with_cpu_used_5(monkeypatch):
    """The file does not contain the option, but another value gives another file."""

    def encoded(**options: str) -> object:
        with monkeypatch.context() as patch:
            patch.setitem(module._OPTIONS, "vp9", {**VP9, **options})
            return encode(noisy, "vp9", 20, 25).data

    noise = np.random.default_rng(0).integers(-20, 21, size=(len(FRAMES), 64, 64, 3))
    noisy = list(np.clip(np.stack(FRAMES) + noise, 0, 255).astype(np.uint8))
    ours = encode(noisy, "vp9", 20, 25).data
    assert ours == encoded(**{"cpu-used": "5"})
    assert ours not in (encoded(), encoded(**{"cpu-used": "7"}))
