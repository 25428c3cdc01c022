"""Differences of frames without the camera's motion: what moves together is laid over itself first.

A moving camera turns a still scene into differences, and these tell what is up without any moving
subject: pans are mostly level, a ground is rougher than a sky. So each frame is laid over the one
after it before it is taken away, by the shift, zoom and turn that most of the picture agrees on.
"""

import functools
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from pipelines.loading.batches import Batch, BatchLoader, WrappedLoader

_STEPS = 3  # Gauss-Newton steps at each resolution
_SMALLEST = 14  # pixels of the side at the coarsest resolution
_FARTHEST = 0.15  # how far a corner may move between two frames, as a share of the side
# The residual that a motion must leave, as a share of what no motion leaves. On pictures of the demo set,
# cuts gave 0.96 and more, hand-held pans 0.93 and less; counting up to 20 levels keeps subjects out of it.
_BETTER, _CAP = 0.94, 20
_ROUNDING = 0.05  # pixels


class DifferenceLoader(WrappedLoader):
    """A loader of DIF clips whose differences are made, or trimmed, after loading.

    Args:
        loader: gives RGB clips of T + 1 frames where ``compensate``, else DIF clips.
        compensate: take the camera's motion out (`compensated_differences`).
        dead_zone: grey levels that do not count (`trim`).
    """

    def __init__(self, loader: BatchLoader, *, compensate: bool, dead_zone: int):
        super().__init__(loader)
        self._compensate = compensate
        self._dead_zone = dead_zone

    def __next__(self) -> Batch:
        batch = next(self.loader)
        clips = compensated_differences(batch.clips) if self._compensate else batch.clips
        return replace(batch, clips=trim(clips, self._dead_zone) if self._dead_zone else clips)


def trim(differences: Tensor, dead_zone: int) -> Tensor:
    """Bring differences nearer to 0 by ``dead_zone`` grey levels, and smaller ones to 0.

    What is left of a still scene, because sampling between pixels blurs and sensors are noisy, is
    small, and yet tells the smooth from the rough.
    """
    return differences - differences.clamp(-dead_zone, dead_zone)


def compensated_differences(frames: Tensor) -> Tensor:
    """Take each frame, laid over the next one, away from the next one.

    The motion is a similarity (shift, zoom, turn), estimated on grey values from coarse to fine by
    Gauss-Newton steps whose weights fall with the residual, so that a subject that moves by itself
    counts little. Motions of more than 15 % of the side at a corner, or that explain little (a cut
    between scenes), are not believed: those frames stay where they are. Where the motion uncovers the
    border of a clip, a frame of equal width is set to zero along all four sides: otherwise the
    uncovered side would tell the direction. Sampling between pixels blurs, so a rough ground still
    leaves more than a smooth sky; `trim` takes that away.

    Args:
        frames: (B, T + 1, H, W, 3) uint8 frames of a clip, on any device.

    Returns:
        (B, T, H, W, 3) int16 differences in -255..255.

    Raises:
        ValueError: the frames have another shape or type, or there are fewer than 2.
    """
    if frames.ndim != 5 or frames.shape[-1] != 3 or frames.dtype != torch.uint8:
        raise ValueError(
            f"frames are {tuple(frames.shape)} {frames.dtype}, expected (B, T + 1, H, W, 3) uint8"
        )
    clips, count, height, width = frames.shape[:4]
    if min(count, height, width) < 2:
        raise ValueError(
            f"frames are {tuple(frames.shape)}: differences need 2 of at least 2x2 pixels"
        )
    # (N, 3, H, W) float, N = B * T pairs.
    pictures = frames.movedim(-1, 2).float()
    before = pictures[:, :-1].reshape(-1, 3, height, width)
    after = pictures[:, 1:].reshape(-1, 3, height, width)
    motion = _estimate(before.mean(1, keepdim=True), after.mean(1, keepdim=True))
    difference = (after - _warp(before, motion)).round_()
    inside = _inside(motion, before, clips)
    kept = difference.reshape(clips, count - 1, 3, height, width) * inside[:, None, None]
    return kept.movedim(2, -1).to(torch.int16)


def _grid(height: int, width: int, like: Tensor) -> Tensor:
    """(H * W, 3) places (right, down, 1) of pixels from the middle of the picture."""
    return _places(height, width, like.device, like.dtype)


@functools.lru_cache(maxsize=16)  # a batch asks for the same few many times
def _places(height: int, width: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    down = torch.arange(height, device=device, dtype=dtype) - (height - 1) / 2
    right = torch.arange(width, device=device, dtype=dtype) - (width - 1) / 2
    y, x = torch.meshgrid(down, right, indexing="ij")
    return torch.stack([x, y, torch.ones_like(x)], dim=-1).reshape(-1, 3)


def _constant(like: Tensor, *values: float) -> Tensor:
    """A vector of the type and on the device of another tensor."""
    return _vector(values, like.device, like.dtype)


@functools.lru_cache(maxsize=64)  # the host waits for a GPU to copy a new one
def _vector(values: tuple[float, ...], device: torch.device, dtype: torch.dtype) -> Tensor:
    return torch.tensor(values, device=device, dtype=dtype)


def _warp(pictures: Tensor, motion: Tensor) -> Tensor:
    """Sample (N, C, H, W) pictures bilinearly where (N, 2, 3) motions in pixels send each pixel."""
    height, width = pictures.shape[-2:]
    places = _grid(height, width, pictures) @ motion.transpose(1, 2)
    scale = _constant(places, 2 / width, 2 / height)
    grid = (places * scale).reshape(-1, height, width, 2)
    return functional.grid_sample(pictures, grid, padding_mode="border", align_corners=False)


def _estimate(before: Tensor, after: Tensor) -> Tensor:
    """(N, 2, 3) similarities in pixels that send a place in ``after`` to its place in ``before``."""
    levels = [(before, after)]
    while min(levels[-1][0].shape[-2:]) >= 2 * _SMALLEST:
        coarse_before, coarse_after = (functional.avg_pool2d(each, 2) for each in levels[-1])
        levels.append((coarse_before, coarse_after))
    identity = torch.eye(2, 3, device=before.device).repeat(len(before), 1, 1)
    motion = identity
    for level, (one, other) in reversed(list(enumerate(levels))):
        for _ in range(_STEPS):
            motion = _improve(one, other, motion)
        if level:
            motion = motion * _constant(motion, 1, 1, 2)
    side = max(before.shape[-2:])
    moved = (_corners(before) @ (motion - identity).transpose(1, 2)).abs().amax((1, 2))
    left = _residual(before, after, motion) < _BETTER * _residual(before, after, identity)
    believed = (moved <= _FARTHEST * side) & left  # false where anything is not a number
    return torch.where(believed[:, None, None], motion, identity)


def _residual(before: Tensor, after: Tensor, motion: Tensor) -> Tensor:
    """(N,) mean sizes, capped, of what a motion leaves unexplained within the border it may uncover."""
    height, width = before.shape[-2:]
    rows, columns = int(_FARTHEST * height), int(_FARTHEST * width)
    left = (after - _warp(before, motion)).abs()
    inner = left[..., rows : height - rows, columns : width - columns]
    return inner.clamp(max=_CAP).flatten(1).mean(dim=1)


def _improve(before: Tensor, after: Tensor, motion: Tensor) -> Tensor:
    """One Gauss-Newton step for the four parameters of a similarity."""
    height, width = after.shape[-2:]
    warped = _warp(before, motion)
    residual = (after - warped).flatten(1)
    padded = functional.pad(warped, (1, 1, 1, 1), mode="replicate")
    slope_x = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]).flatten(1) / 2
    slope_y = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]).flatten(1) / 2
    x, y, _ = _grid(height, width, after).unbind(-1)
    # Of a step (right, down, zoom, turn): the change of a pixel is its slope times its displacement.
    lines = torch.stack(
        [slope_x, slope_y, slope_x * x + slope_y * y, slope_y * x - slope_x * y], dim=-1
    )
    spread = 1.5 * residual.abs().median(dim=1, keepdim=True).values + 1
    weighted = lines * (1 / (1 + (residual / spread).square())).unsqueeze(-1)
    normal = weighted.transpose(1, 2) @ lines
    # A little more on the diagonal keeps flat pictures, which show no motion, where they are.
    inertia = height * width / 8
    flat = residual.shape[1] * _constant(normal, 1, 1, inertia, inertia)
    target = weighted.transpose(1, 2) @ residual.unsqueeze(-1)
    right, down, zoom, turn = (
        torch.linalg.solve_ex(normal + torch.diag(flat), target).result.squeeze(-1).unbind(-1)
    )
    step = torch.stack(
        [torch.stack([1 + zoom, -turn, right], -1), torch.stack([turn, 1 + zoom, down], -1)], dim=1
    )
    bottom = _constant(step, 0, 0, 1).expand(len(step), 1, 3)
    return motion @ torch.cat([step, bottom], dim=1)


def _corners(like: Tensor) -> Tensor:
    """(4, 3) places (right, down, 1) of a picture's corner pixels from its middle."""
    height, width = like.shape[-2:]
    return _grid(height, width, like)[[0, width - 1, -width, -1]]


def _inside(motion: Tensor, before: Tensor, clips: int) -> Tensor:
    """(B, H, W) 1 within the frame of equal width that no motion of the clip uncovers, 0 in it."""
    height, width = before.shape[-2:]
    corners = _corners(before)
    over = (corners @ motion.transpose(1, 2)).abs() - corners[:, :2].abs() - _ROUNDING
    margin = over.clamp(min=0).reshape(clips, -1).amax(1).ceil()[:, None, None]
    x, y, _ = _grid(height, width, motion).abs().reshape(height, width, 3).unbind(-1)
    return (((width - 1) / 2 - x >= margin) & ((height - 1) / 2 - y >= margin)).to(motion.dtype)
