"""The clip plan (section 4.2): a pure function from a sample's number to its clip, so that runs resume.

Every random choice is a hash of (seed, stream, epoch, sample), never a step of a generator: any
position is reached directly, and N ranks see what M ranks see.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import UsageError

Ints = NDArray[np.int64]
Modality = Literal["rgb", "dif"]

# Streams keep the choices of one sample independent of each other.
_ORDER, _START, _CROP_Y, _CROP_X, _FLIP = range(5)
_CHOICES = np.array([[_START], [_CROP_Y], [_CROP_X], [_FLIP]])

# SplitMix64's constants.
_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_SHIFTS = np.uint64(30), np.uint64(27), np.uint64(31)
_FACTORS = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


@dataclass(frozen=True)
class ClipSpec:
    """What a clip looks like: ``frames`` frames, ``stride`` apart, cropped to ``crop`` x ``crop`` pixels.

    ``dif`` clips are differences of successive sampled frames: T of them need T + 1 decoded frames.
    """

    frames: int = 16
    stride: int = 1
    crop: int = 112
    modality: Modality = "rgb"

    def __post_init__(self) -> None:
        if min(self.frames, self.stride, self.crop) < 1:
            raise UsageError(
                f"frames, stride and crop must be at least 1, got {self.frames}, {self.stride}, {self.crop}"
            )
        if self.modality not in ("rgb", "dif"):
            raise UsageError(f"modality is {self.modality!r}; choose rgb or dif")

    @property
    def decoded_frames(self) -> int:
        """Frames to decode for one clip."""
        return self.frames + (self.modality == "dif")

    @property
    def span(self) -> int:
        """Frames of the video from the clip's first to its last one, both counted: (T - 1) * s + 1."""
        return (self.decoded_frames - 1) * self.stride + 1


@dataclass(frozen=True)
class Clips:
    """Planned clips, one a row; every array is (B,).

    ``sample`` is the global sample index, ``video`` the store's index, ``start`` the first frame,
    ``y`` and ``x`` the crop's top left corner in pixels, ``flip`` whether to mirror left and right.
    """

    sample: Ints
    video: Ints
    start: Ints
    y: Ints
    x: Ints
    flip: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.sample)


class Footage(Protocol):
    """What a plan needs to know of a store: frames a video, and the frames' side in pixels."""

    @property
    def frames(self) -> NDArray[np.int32]:
        """Frames of each video, (N,)."""

    @property
    def size(self) -> int:
        """Height and width of every frame in pixels."""


class Plan(Protocol):
    """Anything that knows the clips of a range of samples."""

    @property
    def spec(self) -> ClipSpec:
        """What each clip looks like."""

    def clips(self, first: int, count: int) -> Clips:
        """Return samples ``first`` to ``first + count - 1``."""


def hash_bits(seed: int, stream: int | Ints, epoch: Ints, index: Ints) -> NDArray[np.uint64]:
    """Return 64 random bits for each (epoch, index), by SplitMix64's finaliser over the chained counters.

    Of several streams, (S, 1), the bits are (S, B): a batch's choices cost the calls of one.
    """
    bits = np.asarray(seed % 2**64, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for word in (stream, epoch, index):
            bits = (bits ^ np.asarray(word).astype(np.uint64)) + _GAMMA
            bits = (bits ^ (bits >> _SHIFTS[0])) * _FACTORS[0]
            bits = (bits ^ (bits >> _SHIFTS[1])) * _FACTORS[1]
            bits = bits ^ (bits >> _SHIFTS[2])
    return bits


def hash_uniform(seed: int, stream: int | Ints, epoch: Ints, index: Ints) -> NDArray[np.float64]:
    """Return a uniform number in [0, 1) for each (epoch, index), and for each stream as ``hash_bits``."""
    bits = hash_bits(seed, stream, epoch, index) >> np.uint64(11)
    return bits.astype(np.float64) * 2.0**-53


def hash_below(seed: int, stream: int, epoch: Ints, index: Ints, below: Ints) -> Ints:
    """Return a uniform integer in [0, below) for each (epoch, index)."""
    return (hash_uniform(seed, stream, epoch, index) * below).astype(np.int64)


def frame_numbers(clips: Clips, spec: ClipSpec, frames: NDArray[np.int32]) -> Ints:
    """Return the frames that each clip decodes, (B, decoded_frames).

    A clip that reaches the end of its video turns back there, and again at the first frame: of four
    frames it takes 0 1 2 3 2 1 0 1. So frames that follow each other in a clip are never further apart
    than ``stride``.
    """
    steps = spec.stride * np.arange(spec.decoded_frames, dtype=np.int64)
    last = frames[clips.video].astype(np.int64)[:, None] - 1
    there_and_back = np.maximum(2 * last, 1)  # of a single frame, every number is 0
    return last - np.abs(last - (clips.start[:, None] + steps) % there_and_back)


class TrainPlan:
    """One random clip per video and epoch (section 4.2), as an endless stream of samples.

    Sample g belongs to epoch g // N; each epoch is a permutation of the N videos. A clip starts
    anywhere it fits, is cropped anywhere in the frame, and flipped with probability ``flip``.
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
        # Draws belong to (epoch, video), not to the position, so they survive a change of the order.
        starts = np.maximum(self._frames[video].astype(np.int64) - self.spec.span + 1, 1)
        start, y, x, flip = hash_uniform(self._seed, _CHOICES, epoch, video)
        return Clips(
            sample=sample,
            video=video,
            start=(start * starts).astype(np.int64),
            y=(y * (self._margin + 1)).astype(np.int64),
            x=(x * (self._margin + 1)).astype(np.int64),
            flip=flip < self._flip,
        )

    def _order(self, epoch: int) -> Ints:
        """Return the epoch's permutation, by sorting hashes: the same on every platform and version."""
        if self._order_of_epoch is None or self._order_of_epoch[0] != epoch:
            index = np.arange(len(self.videos), dtype=np.int64)
            bits = hash_bits(self._seed, _ORDER, np.full_like(index, epoch), index)
            self._order_of_epoch = (epoch, np.argsort(bits, kind="stable"))
        return self._order_of_epoch[1]


class EvalPlan:
    """``clips_per_video`` clips evenly spread over each video, centre crop, no flip.

    Sample g is clip g % K of video ``videos[g // K]``; a single clip is the middle one.
    """

    __test__ = False  # not a test class, whatever pytest makes of the name

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
        """Return samples ``first`` to ``first + count - 1``; they must lie below ``len(self)``."""
        if first < 0 or first + count > len(self):
            raise ValueError(f"samples {first} to {first + count - 1} of a plan of {len(self)}")
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
        )


@dataclass(frozen=True)
class WindowPlan:
    """Shuffled windows of unprepared videos, of which only crops and flips are planned here.

    Attributes:
        spec: What a clip looks like.
        size: Side in pixels to which frames are stretched before the crop.
        step: Frames from one window's start to the next one's.
        seed: Of the order, the crops and the flips.
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
    """Return how many pixels a crop can move in a frame of ``size``; UsageError if it does not fit."""
    if spec.crop > size:
        raise UsageError(
            f"data.crop is {spec.crop}, but the store's frames are {size}x{size}: "
            f"choose a crop of at most {size}, or prepare with --size {spec.crop} or more"
        )
    return size - spec.crop


@dataclass(frozen=True)
class Share:
    """What one process loads: that of ``rank`` among ``world``, in ``accumulate`` micro-batches a step."""

    rank: int = 0
    world: int = 1
    accumulate: int = 1

    def micro_batch(self, batch: int) -> int:
        """Return the clips of a micro-batch, where all processes together take ``batch`` a step.

        Raises:
            UsageError: ``batch`` does not divide into world * accumulate equal micro-batches.
        """
        slots = self.world * self.accumulate
        if batch < 1 or batch % slots:
            raise UsageError(
                f"train.batch is {batch}, which does not divide by {self.world} ranks x "
                f"{self.accumulate} micro-batches: choose a multiple of {slots}"
            )
        return batch // slots


ALONE = Share()
"""The share of a single process, which is everything."""


def train_ranges(
    *, batch: int, start_step: int, steps: int, share: Share = ALONE
) -> Iterator[tuple[int, int]]:
    """Yield (first sample, count) of each micro-batch of a process, ``share.accumulate`` of them a step.

    Micro-batch m of rank r reads slot m * world + r of the step's global batch: two ranks see in one
    micro-batch what one rank sees in two.

    Raises:
        UsageError: ``batch`` does not divide into equal micro-batches.
    """
    clips = share.micro_batch(batch)
    return (
        (step * batch + (micro * share.world + share.rank) * clips, clips)
        for step in range(start_step, start_step + steps)
        for micro in range(share.accumulate)
    )


def eval_ranges(*, total: int, batch: int, share: Share) -> Iterator[tuple[int, int]]:
    """Yield (first sample, count) of a process's contiguous share of ``total`` samples."""
    begin, end = total * share.rank // share.world, total * (share.rank + 1) // share.world
    return ((first, min(batch, end - first)) for first in range(begin, end, batch))


eval_ranges.__test__ = False  # type: ignore[attr-defined]  # the same as for EvalPlan
