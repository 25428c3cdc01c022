"""What a store's codec means for sizes, qualities and decoders: one table for all that ask."""

from dataclasses import dataclass

from pipelines.errors import UsageError


@dataclass(frozen=True)
class Codec:
    """One way to keep a video's frames.

    ``suffix`` is that of a shard; ``video`` tells whole encoded files from single frames. ``quality``
    is the default on FFmpeg's scale for the codec (lower is better), and ``qualities`` its ends; None
    where nothing is lost. ``least`` is the smallest frame that NVDEC decodes, in pixels.
    """

    suffix: str
    video: bool = False
    quality: int | None = None
    qualities: tuple[int, int] = (0, 0)
    least: int = 1
    even: bool = False
    on_cpu: bool = True


CODECS = {
    "raw": Codec(suffix="npy"),
    "mjpeg": Codec(suffix="mjpeg", quality=2, qualities=(1, 31)),
    # NVDEC: width from 48 and height from 16 for H.264, 128 for both with VP9. 4:2:0 needs even sides.
    "h264": Codec(
        suffix="mp4s", video=True, quality=18, qualities=(0, 51), least=48, even=True, on_cpu=False
    ),
    "vp9": Codec(suffix="mp4s", video=True, quality=20, qualities=(0, 63), least=128, even=True),
}


def check_size(name: str, size: int) -> None:
    """Refuse frames that NVDEC would not decode, before hours are spent on encoding them.

    Raises:
        UsageError: ``size`` x ``size`` pixels do not suit the codec.
    """
    codec = CODECS[name]
    if size < codec.least:
        raise UsageError(
            f"--size is {size}, but GPUs decode {name} only from {codec.least} pixels: "
            f"choose --size {codec.least} or more, or --codec mjpeg or raw"
        )
    if codec.even and size % 2:
        raise UsageError(
            f"--size is {size}, but {name} is stored with halved colour (4:2:0), which needs an even "
            f"number: choose --size {size + 1}, or --codec mjpeg or raw"
        )


def check_quality(name: str, quality: int | None) -> int | None:
    """Return the quality to encode with: the given one, or the codec's default.

    Raises:
        UsageError: the codec has no such quality.
    """
    codec = CODECS[name]
    if quality is None or codec.quality is None:
        return codec.quality
    best, worst = codec.qualities
    if not best <= quality <= worst:
        raise UsageError(
            f"--quality is {quality}; of {name} it goes from {best} (best) to {worst} (smallest), "
            f"usually {codec.quality}"
        )
    return quality
