"""The clip plan (section 4.2): a pure function from a sample's index to its clip, so that runs can resume.

Every random choice is a hash of (seed, stream, epoch, sample) instead of the next number of a generator. Any
position can be computed directly, and N ranks see the same clips as M ranks.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import UsageError
from pipelines.hashing import Ints, Stream, hash_below, hash_uniform, shuffled

Modality = Literal["rgb", "dif"]

_CHOICES = np.array([[Stream.START], [Stream.CROP_Y], [Stream.CROP_X], [Stream.FLIP]])


@dataclass(frozen=True)
class ClipSpec:
    """The shape of a clip: ``frames`` frames, ``stride`` apart, cropped to ``crop`` x ``crop`` pixels.

    ``dif`` clips are differences of successive sampled frames, so T frames need T + 1 decoded frames. A
    training plan draws one of ``speeds`` for each clip, as a factor of the stride; () is the stride alone.
    With ``regions``, clips are regions of planned height and width, which the loader resizes to ``crop``.
    """

    frames: int = 16
    stride: int = 1
    crop: int = 112
    modality: Modality = "rgb"
    regions: bool = False
    speeds: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if min(self.frames, self.stride, self.crop) < 1:
            raise UsageError(
                f"frames, stride and crop must be at least 1, got {self.frames}, {self.stride}, {self.crop}"
            )
        if self.modality not in ("rgb", "dif"):
            raise UsageError(f"modality is {self.modality!r}: choose rgb or dif")

    @property
    def decoded_frames(self) -> int:
        """The number of frames to decode for one clip."""
        return self.frames + (self.modality == "dif")

    @property
    def span(self) -> int:
        """Video frames from the fastest clip's first to its last, inclusive: (T - 1) * s + 1."""
        return (self.decoded_frames - 1) * self.stride * max(self.speeds, default=1) + 1

    def strides(self, speed: Ints) -> Ints:
        """Return the strides of speeds, given as indices of ``speeds``; -1 is the slowest."""
        return self.stride * np.array([*self.speeds, min(self.speeds, default=1)])[speed]


@dataclass(frozen=True)
class Clips:
    """Planned clips, one per row. Every array is (B,).

    ``sample`` is the global sample index, ``video`` the video's index in the store, ``start`` the first
    frame, ``y`` and ``x`` the crop's top left corner in pixels, ``flip`` whether to mirror horizontally,
    ``height`` and ``width`` the size in pixels: ``crop``, unless ``ClipSpec.regions`` is set.
    ``speed`` the index of its speed in ``ClipSpec.speeds``, or -1 if none was drawn.
    """

    sample: Ints
    video: Ints
    start: Ints
    y: Ints
    x: Ints
    flip: NDArray[np.bool_]
    height: Ints
    width: Ints
    speed: Ints

    def __len__(self) -> int:
        return len(self.sample)


class Footage(Protocol):
    """The part of a store that a plan uses: the frames per video and the frame size in pixels."""

    @property
    def frames(self) -> NDArray[np.int32]:
        """Number of frames of each video, (N,)."""

    @property
    def size(self) -> int:
        """Height and width of every frame in pixels."""


class Plan(Protocol):
    """An object that returns the clips of a range of samples."""

    @property
    def spec(self) -> ClipSpec:
        """The shape of each clip."""

    def clips(self, first: int, count: int) -> Clips:
        """Return samples ``first`` to ``first + count - 1``."""


def frame_numbers(clips: Clips, spec: ClipSpec, frames: NDArray[np.int32]) -> Ints:
    """Return the frame numbers that each clip decodes, (B, decoded_frames).

    A clip longer than its video is reflected at the last frame and again at the first: a video of four frames
    gives 0 1 2 3 2 1 0 1. Successive frames of a clip are therefore never more than its stride apart.
    """
    steps: Ints = spec.strides(clips.speed)[:, None] * np.arange(spec.decoded_frames)
    last = frames[clips.video].astype(np.int64)[:, None] - 1
    there_and_back = np.maximum(2 * last, 1)  # for a single frame, every number is 0
    return last - np.abs(last - (clips.start[:, None] + steps) % there_and_back)


class TrainPlan:
    """One random clip per video and epoch (section 4.2), as an infinite stream of samples.

    Sample g belongs to epoch g // N. Each epoch is a permutation of the N videos. A clip starts at a random
    frame from which it fits, is cropped at a random position, and is flipped with probability ``flip``. Its
    speed is drawn too if the spec has several. A video without room for the fastest clip is played at the
    slowest speed instead, with speed -1: a fast clip that turns back at its end would reveal its speed.
    """

    def __init__(
        self, store: Footage, videos: Ints, spec: ClipSpec, *, seed: int, flip: float = 0.5
    ):
        self.spec = spec
        self.videos = videos
        self._seed = seed
        self._flip = flip
        self._frames = store.frames
        self._margin = crop_margin(store.size, spec)
        self._order_of_epoch: tuple[int, Ints] | None = None
        if len(videos) == 0:
            raise UsageError("no videos to train on: the split is empty")

    def clips(self, first: int, count: int) -> Clips:
        """Return samples ``first`` to ``first + count - 1`` of the stream."""
        sample = np.arange(first, first + count, dtype=np.int64)
        epoch, position = np.divmod(sample, len(self.videos))
        video = np.empty_like(sample)
        for number in np.unique(epoch):
            of_epoch = epoch == number
            video[of_epoch] = self.videos[self._order(int(number))[position[of_epoch]]]
        # Hashed by (epoch, video) rather than by position, so they do not depend on the order.
        frames, spec = self._frames[video].astype(np.int64), self.spec
        speed = np.full_like(sample, -1)
        if spec.speeds:
            choices = np.where(frames >= spec.span, len(spec.speeds), 0)
            speed = hash_below(self._seed, Stream.SPEED, epoch, video, choices) - (choices == 0)
        starts = np.maximum(frames - (spec.decoded_frames - 1) * spec.strides(speed), 1)
        start, y, x, flip = hash_uniform(self._seed, _CHOICES, epoch, video)
        return Clips(
            sample=sample,
            video=video,
            start=(start * starts).astype(np.int64),
            y=(y * (self._margin + 1)).astype(np.int64),
            x=(x * (self._margin + 1)).astype(np.int64),
            flip=flip < self._flip,
            height=np.full_like(sample, self.spec.crop),
            width=np.full_like(sample, self.spec.crop),
            speed=speed,
        )

    def _order(self, epoch: int) -> Ints:
        """Return the epoch's permutation, from memory if it is that of the last call."""
        if self._order_of_epoch is None or self._order_of_epoch[0] != epoch:
            order = shuffled(self._seed, Stream.ORDER, epoch, len(self.videos))
            self._order_of_epoch = (epoch, order)
        return self._order_of_epoch[1]


class EvalPlan:
    """``clips_per_video`` evenly spaced clips of each video, centre crop, no flip.

    With K clips per video, sample g is clip g % K of ``videos[g // K]``. A single clip is the middle one.
    """

    __test__ = False  # pytest must not collect it

    def __init__(self, store: Footage, videos: Ints, spec: ClipSpec, *, clips_per_video: int):
        if clips_per_video < 1:
            raise UsageError(f"clips per video must be at least 1, got {clips_per_video}")
        self.spec = spec
        self.videos = videos
        self.clips_per_video = clips_per_video
        self._frames = store.frames
        self._margin = crop_margin(store.size, spec)

    def __len__(self) -> int:
        return len(self.videos) * self.clips_per_video

    def clips(self, first: int, count: int) -> Clips:
        """Return samples ``first`` to ``first + count - 1``; all must be below ``len(self)``."""
        if first < 0 or first + count > len(self):
            raise ValueError(
                f"samples {first} to {first + count - 1} are outside the plan's {len(self)} samples"
            )
        sample = np.arange(first, first + count, dtype=np.int64)
        which, k = np.divmod(sample, self.clips_per_video)
        video = self.videos[which]
        room = np.maximum(self._frames[video].astype(np.int64) - self.spec.span, 0)
        gaps = self.clips_per_video - 1
        centre = np.full_like(sample, self._margin // 2)
        return Clips(
            sample=sample,
            video=video,
            start=k * room // gaps if gaps else room // 2,
            y=centre,
            x=centre,
            flip=np.zeros(count, dtype=bool),
            height=np.full_like(sample, self.spec.crop),
            width=np.full_like(sample, self.spec.crop),
            speed=np.full(count, -1),
        )


@dataclass(frozen=True)
class WindowPlan:
    """Crops and flips for shuffled windows of unprepared videos. DALI plans the windows.

    Attributes:
        spec: The shape of a clip.
        size: Height and width in pixels that frames are stretched to before the crop.
        step: Frames from the start of one window to the start of the next.
        seed: Seed of the order, the crops and the flips.
        flip: Probability of mirroring a clip.
    """

    spec: ClipSpec
    size: int
    step: int
    seed: int
    flip: float = 0.5

    def crops(self, sample: Ints) -> tuple[Ints, NDArray[np.bool_]]:
        """Return the crops' top left corners (y, x), (B, 2) int64, and the flips, (B,) bool."""
        places = crop_margin(self.size, self.spec) + 1
        _, y, x, flip = hash_uniform(self.seed, _CHOICES, np.zeros_like(sample), sample)
        return (np.stack([y, x], axis=1) * places).astype(np.int64), flip < self.flip


def crop_margin(size: int, spec: ClipSpec) -> int:
    """Return how many pixels a crop can move within a frame of ``size`` pixels.

    Raises:
        UsageError: The crop is larger than the frame.
    """
    if spec.crop > size:
        raise UsageError(
            f"data.crop is {spec.crop}, but the store's frames are {size}x{size}: "
            f"choose a crop of at most {size}, or prepare with --size {spec.crop} or more"
        )
    return size - spec.crop
