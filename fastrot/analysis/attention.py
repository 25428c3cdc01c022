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
from fastrot.models.network import Network
from fastrot.rotation.sets import QUARTER_TURNS
from pipelines.loading.batches import Batch
from pipelines.store.reading import Store

BOX = 1 / 3
"""Side of the box as a share of the shorter side of the map."""


def attention_maps(network: Network, inputs: Tensor) -> Tensor:
    """Average the first convolution's activations, after BatchNorm and ReLU, over kernels.

    Args:
        network: The network, which is temporarily put in eval mode.
        inputs: (N, 3, T, H, W) normalised clips.

    Returns:
        (N, T, H / 2, W / 2) float32: a map for each frame, at the resolution of the convolution.
    """
    with evaluating(network):
        active: Tensor = network.relu(network.bn1(network.conv1(inputs)))
        return active.float().mean(dim=1)


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
    """Some frames of one clip in one rotation.

    Attributes:
        degrees: Counter-clockwise.
        numbers: F positions of the frames in the clip, from 0.
        frames: (F, H, W, 3) uint8.
        maps: (F, H, W) maps of each network.
    """

    degrees: int
    numbers: tuple[int, ...]
    frames: NDArray[np.uint8]
    maps: tuple[NDArray[np.float32], ...]


def attend(
    networks: list[Trained], store: Store, videos: Ints, runtime: Runtime, *, count: int
) -> list[list[Rotated]]:
    """Return the four rotations of each video's centre clip with the maps of all networks.

    All networks get the same clips, in the format of the first network.

    Args:
        networks: The networks.
        store: The store of the videos.
        videos: Indices in the store.
        runtime: The process.
        count: Number of frames: the middles of equal parts of the clip.
    """
    data = networks[0].config.data
    numbers = tuple(int((part + 0.5) * data.frames / count) for part in range(count))
    found = []
    pictures = centre_clips(_as_pictures(data), store, videos, runtime)
    for batch, picture in zip(centre_clips(data, store, videos, runtime), pictures, strict=True):
        frames = picture.clips[0, list(numbers)].cpu().numpy()
        views = []
        for turns, inputs in enumerate(all_turns(networks[0].task.upright(batch, torch.float32))):
            maps = tuple(
                _enlarged(attention_maps(each.network, inputs)[0, list(numbers)], data.crop)
                for each in networks
            )
            turned = np.rot90(frames, turns, axes=(1, 2))
            views.append(Rotated(QUARTER_TURNS[turns], numbers, turned, maps))
        found.append(views)
    return found


def all_turns(clips: Tensor) -> Iterator[Tensor]:
    """Yield clips (N, C, T, H, W) rotated by 0, 90, 180 and 270 degrees, in channels_last_3d."""
    for turns in range(len(QUARTER_TURNS)):
        yield torch.rot90(clips, turns, dims=(3, 4)).contiguous(
            memory_format=torch.channels_last_3d
        )


def centre_clips(
    data: DataConfig, store: Store, videos: Ints, runtime: Runtime, *, batch: int = 1
) -> Iterator[Batch]:
    """Yield the centre clip of each video, in batches.

    Raises:
        FastrotError: A clip cannot be read.
    """
    loader, _ = eval_loader(
        data, store, videos, runtime, clips_per_video=1, batch=batch, skip=False
    )
    with loader:
        yield from loader


def _as_pictures(data: DataConfig) -> DataConfig:
    """Return the config of the same clips as RGB frames; a DIF clip is made of one frame more."""
    frames = data.frames + (data.modality == "dif")
    return replace(
        data,
        modality="rgb",
        frames=frames,
        camera_motion="keep",
        dead_zone=0,
        polarity=False,
        mean=None,
        std=None,
    )


def _enlarged(maps: Tensor, size: int) -> NDArray[np.float32]:
    """Resize (F, h, w) maps to (F, size, size)."""
    large = F.interpolate(maps[:, None], (size, size), mode="bilinear", align_corners=False)
    enlarged: NDArray[np.float32] = large[:, 0].cpu().numpy()
    return enlarged
