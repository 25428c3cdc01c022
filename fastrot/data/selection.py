"""Which videos of a store a config selects (sections 4.1 and 4.7)."""

import zlib

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import UsageError
from pipelines.plan import ClipSpec
from pipelines.store.reading import Store

Ints = NDArray[np.int64]


def select_videos(store: Store, split: str, *, labelled: bool, shots: int, seed: int) -> Ints:
    """Return the store's indices of a split's videos, or of ``shots`` of each class.

    Raises:
        UsageError: no such split, an unlabelled video where labels are needed, too few in a class.
    """
    videos = store.select(split)
    if len(videos) == 0:
        raise UsageError(f"{store.path}: the split {split!r} has no videos")
    without = videos[store.labels[videos] < 0]
    if (labelled or shots) and len(without):
        raise UsageError(
            f"{store.path}: {len(without)} videos of the split {split!r} have no action label, "
            f"such as {store.name(int(without[0]))}"
        )
    return few_shot(store, videos, shots, seed) if shots else videos


def few_shot(store: Store, videos: Ints, shots: int, seed: int) -> Ints:
    """Return ``shots`` of each class's videos, in the store's order (section 4.7).

    The draw orders each class once by the seed and takes the first ones, so that a smaller number of
    shots is a subset of a larger one.

    Raises:
        UsageError: a class has fewer.
    """
    labels = store.labels[videos]
    chosen = []
    for label in np.unique(labels):
        mine = videos[labels == label]
        if len(mine) < shots:
            raise UsageError(
                f"data.shots is {shots}, but class {store.classes[label]} has {len(mine)} videos "
                "in the split"
            )
        order = np.random.default_rng([seed, int(label)]).permutation(len(mine))
        chosen.append(mine[order[:shots]])
    return np.sort(np.concatenate(chosen))


def subset(store: Store, videos: Ints, count: int, seed: int) -> Ints:
    """Return ``count`` of the videos, in the store's order (section 4.7).

    The draw orders them once by the seed and takes the first ones, so that a smaller number is a subset
    of a larger one.

    Raises:
        UsageError: there are fewer.
    """
    if len(videos) < count:
        raise UsageError(
            f"data.videos is {count}, but the split of {store.path} has {len(videos)} videos"
        )
    order = np.random.default_rng([seed, len(videos)]).permutation(len(videos))
    return np.sort(videos[order[:count]])


def digest(store: Store, videos: Ints) -> int:
    """Return a checksum of the chosen videos' names, bytes and labels: what a resumed run must find again."""
    text = "\n".join(store.name(int(i)) for i in videos)
    text += f"\n{store.codec} {store.size} {store.classes}"
    content = np.stack([store.frames[videos], store.crc32[videos], store.labels[videos]])
    return zlib.crc32(
        content.astype("<i8").tobytes(), zlib.crc32(text.encode(errors="surrogatepass"))
    )


def short_clips(store: Store, videos: Ints, spec: ClipSpec) -> str:
    """Return how clips are filled that are longer than their video; "" where no video is so short."""
    return "reflect" if (store.frames[videos] < spec.span).any() else ""
