"""Write frames as a video file in the format of UCF101."""

import io
from fractions import Fraction
from pathlib import Path

import av
from av.video.reformatter import Interpolation, VideoReformatter

from fastrot.synthetic.render import Frames
from pipelines.files import write_file

# Without FULL_CHR_H_INP, swscale drops every second column before it halves the chroma along x, but averages
# along y: the roughness of the colours then reveals the axis of a rotation.
_HALVE = Interpolation.BILINEAR | Interpolation.FULL_CHR_H_INP | Interpolation.ACCURATE_RND


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
    _, height, width, _ = frames.shape
    buffer = io.BytesIO()
    # Bit-exact: the file does not contain the encoder's version, so equal frames give equal bytes.
    with av.open(buffer, "w", format="avi", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("mpeg4", rate=Fraction(fps))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        # Coarser quantisers leave block artefacts that could reveal the rotation or identify the video.
        stream.options = {"qmin": "2", "qmax": "2", "flags": "+bitexact"}
        stream.codec_context.thread_count = 1
        converter = VideoReformatter()
        for image in frames:
            rgb = av.VideoFrame.from_ndarray(image, format="rgb24")
            yuv = converter.reformat(rgb, format="yuv420p", interpolation=_HALVE)
            container.mux(stream.encode(yuv))
        container.mux(stream.encode())
    return buffer.getvalue()
