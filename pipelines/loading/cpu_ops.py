"""Crop, resize, flip and frame difference (DIF, section 4.8) on the CPU.

On a GPU, DALI's operators do the same. Their CPU versions are several times slower than these: the slice
alone takes as long as reading, cropping and flipping here, and a difference takes five passes over int16
copies.
"""

from concurrent.futures import Executor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from pipelines.plan import Clips, ClipSpec

Frames = NDArray[np.uint8]


def new_batch(count: int, spec: ClipSpec) -> NDArray[Any]:
    """Return memory for ``count`` finished clips: (B, T, crop, crop, 3), uint8 for RGB, int16 for DIF."""
    shape = (count, spec.frames, spec.crop, spec.crop, 3)
    return np.empty(shape, dtype=np.uint8 if spec.modality == "rgb" else np.int16)


def finish_clip(frames: Frames, into: NDArray[Any], *, flip: bool, spec: ClipSpec) -> None:
    """Resize a region to the crop, flip it if asked to, and compute its differences for DIF.

    Releases the GIL, so several threads can run it in parallel.

    Args:
        frames: (decoded_frames, crop, crop, 3), with regions (decoded_frames, height, width, 3); often a view
            of larger frames.
        into: One clip of ``new_batch``.
        flip: Whether to mirror horizontally.
        spec: The clip's shape and modality.
    """
    rgb = spec.modality == "rgb"
    if spec.regions:
        frames = resized(frames, spec.crop)
    if flip:
        # torch mirrors channels-last pixels with vector instructions, much faster than numpy.
        frames = torch.from_numpy(frames).flip(2).numpy()
    if rgb:
        np.copyto(into, frames)
    else:
        signed = frames.astype(np.int16)  # uint8 would wrap around
        np.subtract(signed[1:], signed[:-1], out=into)


def resized(frames: Frames, crop: int) -> Frames:
    """Resize (T', height, width, 3) frames to (T', crop, crop, 3): bilinear, antialiased where it shrinks.

    Torch resizes uint8 pixels that are channels-last with vector instructions and integer weights. Its result
    is less than one grey level from that of floating-point numbers before rounding.
    """
    pixels = torch.from_numpy(frames).permute(0, 3, 1, 2)
    small = functional.interpolate(pixels, size=(crop, crop), mode="bilinear", antialias=True)
    result: Frames = small.permute(0, 2, 3, 1).numpy()
    return result


def finish_batch(frames: Frames, clips: Clips, spec: ClipSpec, threads: Executor) -> NDArray[Any]:
    """Return the finished clips of decoded frames.

    Args:
        frames: (B, decoded_frames, crop, crop, 3), cropped by the decoder; with regions, whole frames.
        clips: The planned clips.
        spec: The clips' shape and modality.
        threads: Process one clip per task.
    """
    batch = new_batch(len(clips), spec)

    def finish(row: int) -> None:
        clip = crop_of(frames[row], clips, row) if spec.regions else frames[row]
        finish_clip(clip, batch[row], flip=bool(clips.flip[row]), spec=spec)

    for _ in threads.map(finish, range(len(clips))):
        pass
    return batch


def crop_of(frames: Frames, clips: Clips, row: int) -> Frames:
    """Return the crop or region of clip ``row`` as a view of full frames, (T', height, width, 3)."""
    y, x = int(clips.y[row]), int(clips.x[row])
    return frames[:, y : y + int(clips.height[row]), x : x + int(clips.width[row])]
