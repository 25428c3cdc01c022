"""What DALI's graph is given for a batch that was read: see ``graph.build_pipeline``."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.loading.clip_reader import ReadBatch
from pipelines.plan import Clips, ClipSpec, frame_numbers
from pipelines.store.reading import Store


def arrays(read: ReadBatch, store: Store, spec: ClipSpec, *, gpu: bool) -> tuple[Any, ...]:
    """Return the arrays of a batch in the order of the codec's external source."""
    clips, data = read.clips, read.data
    flip = clips.flip.astype(np.int32)
    if store.codec == "raw":
        return data, flip
    if store.codec == "mjpeg":
        return _of_packets(clips, data, store.size - spec.crop, spec, gpu=gpu)
    numbers = frame_numbers(clips, spec, store.frames).astype(np.int32)
    return (data, numbers, _corners(clips), flip) if gpu else (data, numbers)


def _of_packets(
    clips: Clips, packets: Any, margin: int, spec: ClipSpec, *, gpu: bool
) -> tuple[Any, ...]:
    each = spec.decoded_frames
    margin = max(margin, 1)  # without a margin every position is 0
    fed = [
        packets,
        np.repeat((clips.y / margin).astype(np.float32), each),
        np.repeat((clips.x / margin).astype(np.float32), each),
    ]
    if gpu:
        fed.append(np.repeat(clips.flip.astype(np.int32), each))
    if gpu and spec.modality == "dif":
        last = len(packets) - 1
        fed.append(np.minimum(np.arange(1, last + 2, dtype=np.int32), last))
    return tuple(fed)


def _corners(clips: Clips) -> NDArray[np.int32]:
    return np.stack([clips.y, clips.x], axis=1).astype(np.int32)
