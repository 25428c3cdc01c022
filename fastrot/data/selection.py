"""Selection of a store's videos by the config (sections 4.1 and 4.7)."""

import zlib

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import UsageError
from pipelines.hashing import Stream, shuffled
from pipelines.plan import ClipSpec
from pipelines.store.reading import Store

Ints = NDArray[np.int64]


def select_videos(store: Store, split: str, *, labelled: bool, shots: int, seed: int) -> Ints:
    """Return the store indices of a split's videos, or of ``shots`` videos per class.

    Raises:
        UsageError: The split does not exist or is empty, labels are needed but missing, or a class has too
            few videos.
    """
    videos = store.select(split)
    if len(videos) == 0:
        raise UsageError(f"{store.path}: the split {split!r} has no videos: choose another split")
    without = videos[store.labels[videos] < 0]
    if (labelled or shots) and len(without):
        raise UsageError(
            f"{store.path}: {len(without)} videos of the split {split!r} have no action label, "
            f"such as {store.name(int(without[0]))}: choose a split of labelled videos"
        )
    return few_shot(store, videos, shots, seed) if shots else videos


def few_shot(store: Store, videos: Ints, shots: int, seed: int) -> Ints:
    """Return ``shots`` videos per class, in the store's order (section 4.7).

    Each class is shuffled once with the seed and the first videos are taken, so that a smaller number of
    shots is a subset of a larger one.

    Raises:
        UsageError: A class has fewer videos.
    """
    labels = store.labels[videos]
    chosen = []
    for label in np.unique(labels):
        mine = videos[labels == label]
        if len(mine) < shots:
            raise UsageError(
                f"data.shots is {shots}, but class {store.classes[label]} has only {len(mine)} videos "
                f"in the split: use at most {len(mine)}"
            )
        order = shuffled(seed, Stream.SHOTS, int(label), len(mine))
        chosen.append(mine[order[:shots]])
    return np.sort(np.concatenate(chosen))


def subset(store: Store, videos: Ints, count: int, seed: int) -> Ints:
    """Return ``count`` of the videos, in the store's order (section 4.7).

    The videos are shuffled once with the seed and the first ones are taken, so that a smaller number is a
    subset of a larger one.

    Raises:
        UsageError: There are fewer videos.
    """
    if len(videos) < count:
        raise UsageError(
            f"data.videos is {count}, but the split of {store.path} has only {len(videos)} videos: "
            "use fewer, or 0 for all"
        )
    order = shuffled(seed, Stream.SUBSET, 0, len(videos))
    return np.sort(videos[order[:count]])


def digest(store: Store, videos: Ints) -> int:
    """Return a checksum of the videos' names, content and labels, which a resumed run must match."""
    text = "\n".join(store.name(int(i)) for i in videos)
    text += f"\n{store.codec} {store.size} {store.classes}"
    content = np.stack([store.frames[videos], store.crc32[videos], store.labels[videos]])
    return zlib.crc32(
        content.astype("<i8").tobytes(), zlib.crc32(text.encode(errors="surrogatepass"))
    )


def speed_note(store: Store, videos: Ints, spec: ClipSpec) -> str:
    """Return a log line about the videos without room for the fastest clip; "" without speeds or such videos.

    Raises:
        UsageError: No video has room for it.
    """
    short = int((store.frames[videos] < spec.span).sum()) if spec.speeds else 0
    if not short:
        return ""
    what = f"shorter than the {spec.span} frames of a clip at the fastest of rotation.speeds"
    if short == len(videos):
        raise UsageError(
            f"{store.path}: every video of the split is {what}: use lower speeds, or a smaller data.frames "
            "or data.stride"
        )
    return (
        f"{short} of {len(videos)} videos are {what}: they are played at the slowest speed and train only "
        "the rotation"
    )


def short_clips(store: Store, videos: Ints, spec: ClipSpec) -> str:
    """Return how clips longer than their video are padded; "" if no video is shorter than the fastest."""
    return "reflect" if (store.frames[videos] < spec.span).any() else ""
