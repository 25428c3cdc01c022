"""The codecs of a store, with their sizes and qualities."""

from dataclasses import dataclass

from pipelines.errors import UsageError


@dataclass(frozen=True)
class Codec:
    """A format in which a store keeps frames.

    ``suffix`` is the suffix of a shard. ``video`` is True for whole encoded files, False for single frames.
    ``quality`` is the default on FFmpeg's scale for the codec (lower is better; None if lossless), and
    ``qualities`` are the ends of the scale. ``least`` is the side in pixels of the smallest frame that NVDEC
    decodes, and ``even`` whether sides must be even. ``block`` is the side in pixels of its largest blocks.
    """

    suffix: str
    video: bool = False
    quality: int | None = None
    qualities: tuple[int, int] = (0, 0)
    least: int = 1
    even: bool = False
    block: int = 1


CODECS = {
    "raw": Codec(suffix="npy"),
    "mjpeg": Codec(suffix="mjpeg", quality=2, qualities=(1, 31), block=8),
    # NVDEC's minimum is 48x16 for H.264 and 128x128 for VP9. 4:2:0 needs even sides.
    "h264": Codec(
        suffix="mp4s", video=True, quality=20, qualities=(0, 51), least=48, even=True, block=16
    ),
    "vp9": Codec(
        suffix="mp4s", video=True, quality=22, qualities=(0, 63), least=128, even=True, block=64
    ),
}


def check_size(name: str, size: int) -> None:
    """Reject a frame size that NVDEC cannot decode, before spending hours on encoding.

    Raises:
        UsageError: The codec does not support frames of ``size`` x ``size`` pixels.
    """
    codec = CODECS[name]
    if size < codec.least:
        raise UsageError(
            f"--size is {size}, but GPUs decode {name} only from {codec.least} pixels up: "
            f"choose --size {codec.least} or more, or --codec mjpeg or raw"
        )
    if codec.even and size % 2:
        raise UsageError(
            f"--size is {size}, but {name} uses subsampled colour (4:2:0), which needs an even size: "
            f"choose --size {size + 1}, or --codec mjpeg or raw"
        )


def grid_warnings(name: str, size: int) -> list[str]:
    """Return a warning if frames are not whole blocks of the codec: its grid may then reveal a rotation.

    Counted from the other end, edges of blocks lie elsewhere. With whole blocks they do not, and neither do
    those of random or centred crops, on average.
    """
    codec = CODECS[name]
    if size % codec.block == 0:
        return []
    lower = size // codec.block * codec.block
    sizes = [each for each in (lower, lower + codec.block) if each >= codec.least]
    return [
        f"--size is {size}, not a multiple of {name}'s blocks of {codec.block} pixels, so their edges may "
        f"reveal a rotation by 180 degrees: --size {' or '.join(map(str, sizes))} keeps them symmetric"
    ]


def check_quality(name: str, quality: int | None) -> int | None:
    """Return the given encoding quality, or the codec's default.

    Raises:
        UsageError: The quality is out of range.
    """
    codec = CODECS[name]
    if quality is None or codec.quality is None:
        return codec.quality
    best, worst = codec.qualities
    if not best <= quality <= worst:
        raise UsageError(
            f"--quality is {quality}, but {name} supports {best} (best) to {worst} (smallest files): "
            f"the default is {codec.quality}"
        )
    return quality
