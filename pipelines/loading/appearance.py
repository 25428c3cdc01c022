"""Random colours of clips (ours, not the paper's): grey, gain, and the sign of differences.

Each choice is one for a whole clip, and a hash of (seed, sample). None of them depends on a direction.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipelines.hashing import Ints, Stream, hash_uniform
from pipelines.loading.batches import Batch, BatchLoader, WrappedLoader

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue (ITU-R BT.601)."""

_PART = 4  # frames

_STREAMS = np.array([[Stream.GREY], [Stream.GAIN], [Stream.POLARITY]])


@dataclass(frozen=True)
class Appearance:
    """The law of a clip's colours.

    Attributes:
        seed: Seed of the choices.
        grey: Probability, 0..1, that luma replaces all three channels. For DIF it is that of the differences.
        gain: Pixels, for DIF differences, are multiplied by a factor that is log-uniform in 1/gain..gain.
        polarity: Whether to negate all differences of a clip with probability one half (DIF only).
    """

    seed: int
    grey: float = 0.0
    gain: float = 1.0
    polarity: bool = False

    @property
    def changes(self) -> bool:
        """Whether any clip may be changed."""
        return self.grey > 0 or self.gain != 1 or self.polarity

    def drawn(self, sample: Ints) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """Return which samples become grey and the factor of each, (B,)."""
        grey, gain, sign = hash_uniform(self.seed, _STREAMS, np.zeros_like(sample), sample)
        factor = self.gain ** (2 * gain - 1)
        if self.polarity:
            factor = np.where(sign < 0.5, -factor, factor)
        return grey < self.grey, factor.astype(np.float32)


class AppearanceLoader(WrappedLoader):
    """A loader that changes the colours of another's clips. On a CPU it overwrites that loader's batches."""

    def __init__(self, loader: BatchLoader, appearance: Appearance):
        super().__init__(loader)
        self._appearance = appearance

    def __next__(self) -> Batch:
        batch = next(self.loader)
        grey, factor = self._appearance.drawn(batch.samples)
        if batch.clips.is_cuda:
            return replace(batch, clips=changed(batch.clips, grey, factor))
        change_in_place(batch.clips, grey, factor)
        return batch


def changed(clips: Tensor, grey: NDArray[np.bool_], factor: NDArray[np.float32]) -> Tensor:
    """Return clips of other colours: luma where ``grey``, times ``factor``, rounded, limited to the range.

    The host does not wait for the device.

    Args:
        clips: (B, T, H, W, 3), uint8 (0..255) or int16 differences (-255..255), on any device.
        grey: (B,).
        factor: (B,).
    """
    pixels = clips.float()
    if grey.any():
        luma = sum(weight * pixels[..., i] for i, weight in enumerate(LUMA))
        assert isinstance(luma, Tensor)
        pixels = torch.where(_column(grey, clips), luma.unsqueeze(-1), pixels)
    pixels = pixels.mul_(_column(factor, clips))
    return pixels.round_().clamp_(_lowest(clips), 255).to(clips.dtype)


def change_in_place(clips: Tensor, grey: NDArray[np.bool_], factor: NDArray[np.float32]) -> None:
    """Do the same as ``changed`` in the memory of the clips, for a CPU: equal within one grey level.

    Four frames at a time, so that the floating-point numbers stay in the cache, with luma as a product of
    matrices.
    """
    shape = (_PART, *clips.shape[2:])
    pixels, mixed = (torch.empty(shape, dtype=torch.float32) for _ in range(2))
    luma = torch.tensor(LUMA)[:, None].expand(3, 3).contiguous()
    for row in np.flatnonzero(grey | (factor != 1)):
        for first in range(0, clips.shape[1], _PART):
            part = clips[row, first : first + _PART]
            now = pixels[: len(part)].copy_(part)
            if grey[row]:
                out = mixed[: len(part)]
                torch.mm(now.view(-1, 3), luma, out=out.view(-1, 3))
                now = out
            now.mul_(float(factor[row])).round_().clamp_(_lowest(clips), 255)
            # numpy converts to uint8 in half of torch's time.
            np.copyto(part.numpy(), now.numpy(), casting="unsafe")


def _column(values: NDArray[np.generic], clips: Tensor) -> Tensor:
    """Return (B,) values as (B, 1, 1, 1, 1) on the clips' device."""
    return torch.from_numpy(values).to(clips.device, non_blocking=True).view(-1, 1, 1, 1, 1)


def _lowest(clips: Tensor) -> int:
    return 0 if clips.dtype == torch.uint8 else -255
