"""Attention maps: where the first layer of a network is active (section 4.4, figures 1, 3 and 6 to 9)."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from fastrot.config import DataConfig
from fastrot.data.loaders import eval_loader
from fastrot.data.selection import Ints
from fastrot.distributed.runtime import Runtime
from fastrot.evaluation.trained import Trained, evaluating
from fastrot.rotation.sets import QUARTER_TURNS
from pipelines.loading.batches import Batch
from pipelines.store.reading import Store

BOX = 1 / 3
"""Side of the box as a share of the shorter side of the map."""


def attention_maps(trained: Trained, inputs: Tensor) -> Tensor:
    """Average the first convolution's activations, after BatchNorm and ReLU, over kernels and frames.

    Args:
        trained: The network, which is temporarily put in eval mode.
        inputs: (N, 3, T, H, W) normalised clips.

    Returns:
        (N, H, W) float32 at the resolution of the inputs.
    """
    network = trained.network
    with evaluating(network):
        active = network.relu(network.bn1(network.conv1(inputs))).float().mean(dim=(1, 2))
        size = inputs.shape[-2:]
        return F.interpolate(active[:, None], size, mode="bilinear", align_corners=False)[:, 0]


def hottest_box(heat: NDArray[np.float32]) -> tuple[int, int, int]:
    """Return (top, left, side) of the square with the highest mean in (H, W); ``BOX`` sets its side."""
    side = max(1, round(BOX * min(heat.shape)))
    sums = np.zeros((heat.shape[0] + 1, heat.shape[1] + 1))
    sums[1:, 1:] = heat.astype(np.float64).cumsum(axis=0).cumsum(axis=1)
    window = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    top, left = np.unravel_index(int(window.argmax()), window.shape)
    return int(top), int(left), side


@dataclass(frozen=True)
class Rotated:
    """One clip in one rotation.

    Attributes:
        degrees: Counter-clockwise.
        frame: (H, W, 3) uint8, the middle frame of the network's input.
        maps: (H, W) map of each network.
    """

    degrees: int
    frame: NDArray[np.uint8]
    maps: tuple[NDArray[np.float32], ...]


def attend(
    networks: list[Trained], store: Store, videos: Ints, runtime: Runtime
) -> list[list[Rotated]]:
    """Return the four rotations of each video with the maps of all networks.

    All networks get the same centre clips, in the format of the first network.
    """
    data = networks[0].config.data
    found = []
    frames = _middle_frames(data, store, videos, runtime)
    for batch, frame in zip(_centre_clips(data, store, videos, runtime), frames, strict=True):
        upright = networks[0].task.upright(batch, torch.float32)
        views = []
        for turns, degrees in enumerate(QUARTER_TURNS):
            inputs = torch.rot90(upright, turns, dims=(3, 4)).contiguous(
                memory_format=torch.channels_last_3d
            )
            maps = tuple(attention_maps(network, inputs)[0].cpu().numpy() for network in networks)
            views.append(Rotated(degrees, np.rot90(frame, turns), maps))
        found.append(views)
    return found


def _middle_frames(
    data: DataConfig, store: Store, videos: Ints, runtime: Runtime
) -> list[NDArray[np.uint8]]:
    """Return the middle RGB frame of each video's centre clip, also for frame differences."""
    pictures = replace(data, modality="rgb", camera_motion="keep", dead_zone=0, mean=None, std=None)
    clips = _centre_clips(pictures, store, videos, runtime)
    return [batch.clips[0, data.frames // 2].cpu().numpy() for batch in clips]


def _centre_clips(
    data: DataConfig, store: Store, videos: Ints, runtime: Runtime
) -> Iterator[Batch]:
    """Yield the centre clip of each video, one at a time."""
    loader, _ = eval_loader(data, store, videos, runtime, clips_per_video=1, batch=1, skip=False)
    with loader:
        yield from loader
