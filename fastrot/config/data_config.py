"""The schema of the clips to train on: the section ``data`` of a configuration."""

from dataclasses import dataclass
from typing import Literal

from fastrot.config.values import Section, between, key, least
from pipelines.errors import UsageError

Modality = Literal["rgb", "dif"]
CameraMotion = Literal["keep", "remove"]

MOST_STRIDE = 4096

ASPECT_TOLERANCE = 0.01
"""How far the product of both aspect ratios may be from 1."""

# Mean and std of the pixels in units of the full range, by modality. RGB: from the authors' released code.
# DIF: not given in the paper. Differences are centred. 0.1 only sets the scale, which BatchNorm behind the
# first convolution removes again: it is about twice the deviation measured on five real videos (0.04).
STATISTICS: dict[str, tuple[list[float], list[float]]] = {
    "rgb": ([0.4339, 0.4046, 0.3776], [0.151987, 0.14855, 0.1569]),
    "dif": ([0.0, 0.0, 0.0], [0.1, 0.1, 0.1]),
}


@dataclass(frozen=True)
class DataConfig(Section):
    """The clips to train on.

    ``store`` is a folder made by ``fastrot prepare``. ``split`` is the split to train on, and ``eval_split``
    (optional) is evaluated during training. A clip has ``frames`` frames, ``stride`` frames apart, cropped
    to ``crop`` x ``crop`` pixels and flipped with probability ``flip``. ``mean`` and ``std`` are one value
    per channel in units of the full range 0..255; null uses those of the modality. ``threads`` is the number
    of loader threads (0: one for each core of the process's share, with a GPU at most 16), and ``prefetch``
    the number of batches prepared ahead. Up to four threads read. All of them do for raw stores, and on a
    CPU for h264 and vp9, because reading includes decoding and cropping. ``shots`` keeps this many videos per
    class (0: all), ``videos`` this many in total (0: all). Both subsets are drawn with the seed and are
    nested: a smaller one is part of a larger one.
    ``hw_decoder_load`` is the share of an mjpeg store's frames, 0 to 1, that the GPU's hardware JPEG decoder
    decodes, if the GPU has one. Unless it is 0, a run on a GPU first compares a few frames with the CPU's
    and stops if they differ.

    For DIF, ``camera_motion: remove`` aligns each frame with the next one before they are subtracted, and
    ``dead_zone`` shrinks differences towards 0 by this many of their 255 levels (docs/cheap_cues.md).

    Augmentation is ours, not the paper's (docs/guides/augmentation.md). Each choice is one for a whole
    training clip. ``scale`` and ``aspect`` resize a random region to the crop: the ends of its share of the
    frame's area and of its width / height. If only one is set, the other is that of the crop. ``grey`` is
    the probability that luma replaces all three channels. ``gain`` multiplies pixels (for DIF differences)
    by a factor between 1 / gain and gain. ``polarity`` negates the differences of half of the clips (DIF).

    ``check`` verifies the store's checksums while reading. A clip that cannot be read or decoded is replaced
    by the next one of the plan, and its video is named in the log. The run fails when more than
    ``broken_share`` of the clips are unreadable. The share is taken of at least a thousand clips, so the
    default of 0.01 always tolerates ten.

    ``source: reader`` reads ``store`` as a folder of unprepared videos instead. It reads every window of
    each video, one starting every ``step`` frames, stretched to ``size`` x ``size`` pixels.
    """

    store: str = ""
    source: Literal["store", "reader"] = "store"
    split: str = "all"
    eval_split: str | None = None
    modality: Modality = "rgb"
    frames: int = key(16, between(1, 4096))
    stride: int = key(1, between(1, MOST_STRIDE))
    crop: int = key(112, between(1, 8192))
    camera_motion: CameraMotion = "keep"
    dead_zone: int = key(0, between(0, 254))
    flip: float = key(0.5, between(0, 1))
    scale: list[float] | None = key(None, between(0.01, 1))
    aspect: list[float] | None = key(None, between(0.1, 10))
    grey: float = key(0.0, between(0, 1))
    gain: float = key(1.0, between(1, 16))
    polarity: bool = False
    mean: list[float] | None = key(None, between(-100, 100))
    std: list[float] | None = key(None, between(-100, 100))
    threads: int = key(0, between(0, 1024))
    prefetch: int = key(2, between(1, 64))
    hw_decoder_load: float = key(0.65, between(0, 1))
    shots: int = key(0, least(0))
    videos: int = key(0, least(0))
    size: int = key(136, between(1, 8192))
    step: int = key(8, least(1))
    broken_share: float = key(0.01, between(0, 1))
    check: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.modality != "dif":
            for name, off in (("camera_motion", "keep"), ("dead_zone", 0), ("polarity", False)):
                if (value := getattr(self, name)) != off:
                    raise UsageError(
                        f"data.{name} is {value!r}, but applies only to differences: set data.modality=dif"
                    )
        if self.shots and self.videos:
            raise UsageError("data.shots and data.videos cannot be combined: set one of them to 0")
        self._check_augmentation()
        for name, values in (("mean", self.mean), ("std", self.std)):
            if values is not None and len(values) != 3:
                raise UsageError(f"data.{name} is {values}: give three numbers, one per channel")
        if self.std is not None and min(self.std) < 1e-6:
            raise UsageError(f"data.std is {self.std}: each value must be at least 1e-6")

    def _check_augmentation(self) -> None:
        for name, ends in (("scale", self.scale), ("aspect", self.aspect)):
            if ends is not None and (len(ends) != 2 or ends[0] > ends[1]):
                raise UsageError(
                    f"data.{name} is {ends}: give two numbers, the smallest and the largest"
                )
        if self.aspect and abs(self.aspect[0] * self.aspect[1] - 1) > ASPECT_TOLERANCE:
            raise UsageError(
                f"data.aspect is {self.aspect}: the product of both must be 1 (within 1 %), such as "
                "[0.75, 1.333]. Otherwise stretched clips would reveal the rotation"
            )
        off = DataConfig.__dataclass_fields__
        for name in ("scale", "aspect", "grey", "gain", "polarity"):
            if self.source == "reader" and (value := getattr(self, name)) != off[name].default:
                raise UsageError(
                    f"data.{name} is {value!r}, but data.source=reader has no augmentation: prepare the "
                    "videos (`fastrot prepare`) and train on the store"
                )

    @property
    def statistics(self) -> tuple[list[float], list[float]]:
        """Mean and std per channel; those of the modality if not configured."""
        mean, std = STATISTICS[self.modality]
        return self.mean or mean, self.std or std
