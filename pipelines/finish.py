"""Crop, flip and frame difference on the CPU, in one pass over the clip.

DALI's operators do the same on a GPU. Its CPU versions cost several times as much: the slice alone takes
as long as reading, cropping and flipping take here, and a difference is five passes over int16 copies.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pipelines.plan import Clips, ClipSpec

Frames = NDArray[np.uint8]

_SERIAL = 32_767
"""Elements up to which torch works in the calling thread alone (at::internal::GRAIN_SIZE, less one)."""


def new_batch(count: int, spec: ClipSpec) -> NDArray[Any]:
    """Return memory for ``count`` finished clips: (B, T, crop, crop, 3), uint8 for RGB, int16 for DIF."""
    shape = (count, spec.frames, spec.crop, spec.crop, 3)
    return np.empty(shape, dtype=np.uint8 if spec.modality == "rgb" else np.int16)


def finish_clip(frames: Frames, into: NDArray[Any], *, flip: bool, spec: ClipSpec) -> None:
    """Flip a clip and take its differences.

    Runs without the GIL, so several threads do this at the same time.

    Args:
        frames: (decoded_frames, crop, crop, 3), often a view of larger frames.
        into: one clip of ``new_batch``.
        flip: whether to mirror left and right.
        spec: the clip's shape and modality.
    """
    rgb = spec.modality == "rgb"
    if flip:
        mirrored = into if rgb else np.empty(frames.shape, dtype=np.uint8)
        _mirror(frames, mirrored)
        frames = mirrored
    elif rgb:
        np.copyto(into, frames)
    if not rgb:
        np.subtract(frames[1:], frames[:-1], out=into, dtype=np.int16)  # uint8 would wrap


def _mirror(frames: Frames, into: Frames) -> None:
    """Write (T, H, W, 3) ``frames`` with left and right exchanged to ``into``.

    torch mirrors channels-last pixels with vector instructions, many times faster than numpy. It is given
    pieces that it does not share out: OpenMP would start a team of threads for each thread that reads.
    """
    clip, target = (torch.from_numpy(each).permute(0, 3, 1, 2) for each in (frames, into))
    row = 3 * clip.shape[3]
    depth = min(len(clip), max(1, _SERIAL // row))
    rows = max(1, _SERIAL // (row * depth))
    for deep, goal in zip(torch.split(clip, depth), torch.split(target, depth), strict=True):
        for piece, place in zip(
            torch.split(deep, rows, 2), torch.split(goal, rows, 2), strict=True
        ):
            place.copy_(piece.flip(3))


def finish_batch(frames: Frames, clips: Clips, spec: ClipSpec) -> NDArray[Any]:
    """Return the finished clips of decoded frames.

    Args:
        frames: (B, decoded_frames, H, W, 3), of the stored size, or cropped by the decoder.
        clips: their plan.
        spec: the clips' shape and modality.
    """
    batch = new_batch(len(clips), spec)
    cropped = frames.shape[2] == spec.crop  # frames of the crop's size have but one place for it
    for row, clip in enumerate(frames):
        if not cropped:
            clip = crop_of(clip, clips, row, spec)
        finish_clip(clip, batch[row], flip=bool(clips.flip[row]), spec=spec)
    return batch


def crop_of(frames: Frames, clips: Clips, row: int, spec: ClipSpec) -> Frames:
    """Return the view of clip ``row``'s crop, (decoded_frames, crop, crop, 3), of whole frames."""
    y, x = int(clips.y[row]), int(clips.x[row])
    return frames[:, y : y + spec.crop, x : x + spec.crop]
