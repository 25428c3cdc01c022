"""Frame differences with the camera's motion compensated.

A moving camera turns a static scene into differences that reveal its orientation without any moving subject:
pans are mostly horizontal, and the ground has more texture than the sky. So each frame is aligned with the
next one before it is subtracted, using the dominant shift, zoom and rotation of the picture.
"""

import functools
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from pipelines.loading.batches import Batch, BatchLoader, WrappedLoader

_STEPS = 3  # Gauss-Newton steps at each resolution
_SMALLEST = 14  # pixels of the side at the coarsest resolution
_FARTHEST = 0.15  # largest motion of a corner between two frames, as a share of the side
# A motion is accepted if its residual is below this share of the residual without motion. On the demo set,
# cuts gave 0.96 and more, hand-held pans 0.93 and less. Capping differences at 20 levels limits subjects'
# influence.
_BETTER, _CAP = 0.94, 20
_ROUNDING = 0.05  # pixels


class DifferenceLoader(WrappedLoader):
    """A loader of DIF clips whose differences are computed or trimmed after loading.

    Args:
        loader: Loads RGB clips of T + 1 frames if ``compensate`` is set, otherwise DIF clips.
        compensate: Compensate the camera's motion (``compensated_differences``).
        dead_zone: Grey levels to ignore (``trim``).
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
    """Shrink differences towards 0 by ``dead_zone`` grey levels, and set smaller ones to 0.

    Interpolation blur and sensor noise leave small differences in a static scene, which would still
    distinguish smooth from rough textures.
    """
    return differences - differences.clamp(-dead_zone, dead_zone)


def compensated_differences(frames: Tensor) -> Tensor:
    """Align each frame with the next one and subtract it.

    The motion is a similarity (shift, zoom, rotation). It is estimated on grey values from coarse to fine by
    Gauss-Newton steps with weights that fall with the residual, so that independently moving subjects have
    little influence. A motion of more than 15 % of the side at a corner, or one that explains little (a cut
    between scenes), is rejected, and the frame is not moved. Where motion uncovers the border of a clip, a
    margin of equal width is set to zero along all four sides. Otherwise the uncovered side would reveal the
    direction. Interpolation blurs, so rough ground still leaves larger differences than smooth sky; ``trim``
    removes these.

    Args:
        frames: (B, T + 1, H, W, 3) uint8 frames of a clip, on any device.

    Returns:
        (B, T, H, W, 3) int16 differences in -255..255.

    Raises:
        ValueError: The frames have another shape or dtype, or there are fewer than 2.
    """
    if frames.ndim != 5 or frames.shape[-1] != 3 or frames.dtype != torch.uint8:
        raise ValueError(
            f"frames are {tuple(frames.shape)} {frames.dtype}, expected (B, T + 1, H, W, 3) uint8"
        )
    clips, count, height, width = frames.shape[:4]
    if min(count, height, width) < 2:
        raise ValueError(
            f"frames are {tuple(frames.shape)}: differences need at least 2 frames of at least 2x2 pixels"
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
    """Return (H * W, 3) pixel positions (right, down, 1) relative to the centre of the picture."""
    return _places(height, width, like.device, like.dtype)


@functools.lru_cache(maxsize=16)  # each batch uses the same few many times
def _places(height: int, width: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    down = torch.arange(height, device=device, dtype=dtype) - (height - 1) / 2
    right = torch.arange(width, device=device, dtype=dtype) - (width - 1) / 2
    y, x = torch.meshgrid(down, right, indexing="ij")
    return torch.stack([x, y, torch.ones_like(x)], dim=-1).reshape(-1, 3)


def _constant(like: Tensor, *values: float) -> Tensor:
    """Return a vector with the dtype and device of another tensor."""
    return _vector(values, like.device, like.dtype)


@functools.lru_cache(maxsize=64)  # copying a new one to a GPU blocks the host
def _vector(values: tuple[float, ...], device: torch.device, dtype: torch.dtype) -> Tensor:
    return torch.tensor(values, device=device, dtype=dtype)


def _warp(pictures: Tensor, motion: Tensor) -> Tensor:
    """Sample (N, C, H, W) pictures bilinearly at the positions given by (N, 2, 3) motions in pixels."""
    height, width = pictures.shape[-2:]
    places = _grid(height, width, pictures) @ motion.transpose(1, 2)
    scale = _constant(places, 2 / width, 2 / height)
    grid = (places * scale).reshape(-1, height, width, 2)
    return functional.grid_sample(pictures, grid, padding_mode="border", align_corners=False)


def _estimate(before: Tensor, after: Tensor) -> Tensor:
    """Return (N, 2, 3) similarities in pixels that map positions in ``after`` to positions in ``before``."""
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
    believed = (moved <= _FARTHEST * side) & left  # False for NaN
    return torch.where(believed[:, None, None], motion, identity)


def _residual(before: Tensor, after: Tensor, motion: Tensor) -> Tensor:
    """Return (N,) mean capped residuals of a motion, without the border that it may uncover."""
    height, width = before.shape[-2:]
    rows, columns = int(_FARTHEST * height), int(_FARTHEST * width)
    left = (after - _warp(before, motion)).abs()
    inner = left[..., rows : height - rows, columns : width - columns]
    return inner.clamp(max=_CAP).flatten(1).mean(dim=1)


def _improve(before: Tensor, after: Tensor, motion: Tensor) -> Tensor:
    """Return the motion after one Gauss-Newton step in the four parameters of a similarity."""
    height, width = after.shape[-2:]
    warped = _warp(before, motion)
    residual = (after - warped).flatten(1)
    padded = functional.pad(warped, (1, 1, 1, 1), mode="replicate")
    slope_x = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]).flatten(1) / 2
    slope_y = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]).flatten(1) / 2
    x, y, _ = _grid(height, width, after).unbind(-1)
    # Derivatives by (right, down, zoom, turn): a pixel changes by its slope times its displacement.
    lines = torch.stack(
        [slope_x, slope_y, slope_x * x + slope_y * y, slope_y * x - slope_x * y], dim=-1
    )
    spread = 1.5 * residual.abs().median(dim=1, keepdim=True).values + 1
    weighted = lines * (1 / (1 + (residual / spread).square())).unsqueeze(-1)
    normal = weighted.transpose(1, 2) @ lines
    # Damping of the diagonal gives no motion for flat pictures.
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
    """Return (4, 3) positions (right, down, 1) of the corner pixels relative to the centre."""
    height, width = like.shape[-2:]
    return _grid(height, width, like)[[0, width - 1, -width, -1]]


def _inside(motion: Tensor, before: Tensor, clips: int) -> Tensor:
    """Return (B, H, W) masks: 0 in a margin as wide as the clip's motions uncover, 1 inside."""
    height, width = before.shape[-2:]
    corners = _corners(before)
    over = (corners @ motion.transpose(1, 2)).abs() - corners[:, :2].abs() - _ROUNDING
    margin = over.clamp(min=0).reshape(clips, -1).amax(1).ceil()[:, None, None]
    x, y, _ = _grid(height, width, motion).abs().reshape(height, width, 3).unbind(-1)
    return (((width - 1) / 2 - x >= margin) & ((height - 1) / 2 - y >= margin)).to(motion.dtype)
