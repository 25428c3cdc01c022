"""Correlations of attention maps with each other and with a cue that needs no network (section 4.4)."""

from collections.abc import Mapping
from itertools import combinations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from fastrot.analysis.attention import all_turns, attention_maps, centre_clips
from fastrot.config.data_config import Modality
from fastrot.data.selection import Ints
from fastrot.distributed.runtime import Runtime
from fastrot.evaluation.trained import Trained
from pipelines.store.reading import Store

CUES: dict[Modality, str] = {"dif": "|DIF|", "rgb": "|gradient|"}
"""What the cue is made of, for each modality."""

OVER = ("pixels and frames", "pixels of the maps' means over the frames")
"""What the correlations are over: the second ones ignore when a network is active."""

KERNEL = 7  # frames and pixels of the first convolution


def cue(clips: Tensor, modality: Modality) -> Tensor:
    """Return how much each pixel changes: in time for DIF, in space for RGB.

    Args:
        clips: (B, T, H, W, 3) uint8 RGB or int16 DIF.
        modality: What the clips are.

    Returns:
        (B, 1, T, H, W) float32: the mean of |DIF| over the colours, or the magnitude of the gradient of the
        colours' mean by central differences.
    """
    values = clips.float()
    if modality == "dif":
        return values.abs().mean(dim=-1)[:, None]
    along_y, along_x = torch.gradient(values.mean(dim=-1), dim=(2, 3))
    return torch.hypot(along_y, along_x)[:, None]


def boxed(values: Tensor) -> Tensor:
    """Average (B, 1, T, H, W) over boxes of the first convolution's size, at its positions.

    The result, (B, T, H / 2, W / 2), is what the convolution gives if all its weights are equal.
    """
    padded = F.pad(
        values, (KERNEL // 2,) * 6
    )  # pooling's own padding rejects clips shorter than the box
    return F.avg_pool3d(padded, KERNEL, stride=(1, 2, 2))[:, 0]


def pearson(one: Tensor, other: Tensor) -> Tensor:
    """Return the correlation of (B, ...) with (B, ...) over all but the first dimension.

    It is (B,) float64, NaN where one of them is constant.
    """
    first, second = (each.double().flatten(1) for each in (one, other))
    first, second = (each - each.mean(dim=1, keepdim=True) for each in (first, second))
    spread = (first.square().sum(dim=1) * second.square().sum(dim=1)).sqrt()
    return (first * second).sum(dim=1) / spread


def correlate(
    networks: Mapping[str, Trained], store: Store, videos: Ints, runtime: Runtime, *, batch: int
) -> dict[tuple[str, str], NDArray[np.float64]]:
    """Correlate the networks' maps, and the cue, in each centre clip.

    All networks get the same clips, in the format of the first network.

    Args:
        networks: The networks by name.
        store: The store of the videos.
        videos: N indices in the store.
        runtime: The process.
        batch: Clips per batch, before rotation.

    Returns:
        For each pair of names, where the last name is that of the cue: (N, 2) correlations over what ``OVER``
        says, averaged over the four rotations; NaN for a video with a constant map.

    Raises:
        FastrotError: A clip cannot be read.
    """
    first = next(iter(networks.values()))
    data = first.config.data
    pairs = list(combinations([*networks, CUES[data.modality]], 2))
    found: dict[tuple[str, str], list[Tensor]] = {pair: [] for pair in pairs}
    for loaded in centre_clips(data, store, videos, runtime, batch=batch):
        turned = all_turns(first.task.upright(loaded, torch.float32))
        changes = all_turns(cue(loaded.clips, data.modality))
        views: dict[tuple[str, str], list[Tensor]] = {pair: [] for pair in pairs}
        for inputs, change in zip(turned, changes, strict=True):
            maps = {name: attention_maps(each.network, inputs) for name, each in networks.items()}
            maps[CUES[data.modality]] = boxed(change)
            for pair in pairs:
                one, other = maps[pair[0]], maps[pair[1]]
                means = pearson(one.mean(dim=1), other.mean(dim=1))
                views[pair].append(torch.stack([pearson(one, other), means], dim=1))
        for pair in pairs:
            found[pair].append(torch.stack(views[pair]).mean(dim=0))
    return {pair: torch.cat(each).cpu().numpy() for pair, each in found.items()}
