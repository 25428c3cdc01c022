"""Write frames as a video file in the format of UCF101."""

import io
from fractions import Fraction
from pathlib import Path

from fastrot.synthetic.render import Frames
from pipelines.files import write_file


def write_video(path: Path, frames: Frames, *, fps: int) -> None:
    """Write a video as MPEG-4 part 2 in AVI, finely quantised. The file is written atomically.

    Args:
        path: The file; its folder must exist.
        frames: (T, H, W, 3) uint8 RGB, H and W even.
        fps: Frames per second.

    Raises:
        FastrotError: The file cannot be written.
    """
    write_file(path, _encode(frames, fps))


def _encode(frames: Frames, fps: int) -> bytes:
    import av

    _, height, width, _ = frames.shape
    buffer = io.BytesIO()
    # Bit-exact: the file does not contain the encoder's version, so equal frames give equal bytes.
    with av.open(buffer, "w", format="avi", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("mpeg4", rate=Fraction(fps))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        # Coarser quantisers leave block artefacts that could reveal the rotation or identify the video.
        stream.options = {"qmin": "2", "qmax": "2", "flags": "+bitexact"}
        stream.codec_context.thread_count = 1
        for image in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return buffer.getvalue()
