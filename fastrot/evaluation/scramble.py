"""Scrambled copies of clips, which ask how much of a rotation accuracy (section 4.3) needs the content.

Not in the paper. A scramble changes the clips as the network sees them, before they are rotated: RGB frames,
or for DIF the differences (after the camera's motion was removed and the dead zone applied, if the config
says so). Differences are scrambled, and not the frames before, so that it is the spectrum of the network's
input that is kept; differences of scrambled frames would have another one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipelines.errors import UsageError
from pipelines.hashing import Stream, hash_bits
from pipelines.loading.batches import Batch

DEFAULT_SIGMA = 2.0
_FORMS = f"phase, lowpass (sigma {DEFAULT_SIGMA:g}) or lowpass:SIGMA, such as lowpass:4"


@dataclass(frozen=True)
class Scramble:
    """How clips are scrambled: ``phase`` (``phase_scrambled``) or ``lowpass`` (``low_passed``).

    ``sigma`` is the standard deviation of the low-pass filter in pixels; it means nothing for ``phase``.
    """

    kind: Literal["phase", "lowpass"]
    sigma: float = DEFAULT_SIGMA

    @classmethod
    def parse(cls, text: str) -> "Scramble":
        """Read ``phase``, ``lowpass`` or ``lowpass:SIGMA``.

        Raises:
            UsageError: The text is none of these, or the deviation is not a positive number.
        """
        kind, colon, number = text.partition(":")
        if kind == "phase" and not colon:
            return cls("phase")
        if kind == "lowpass":
            try:
                sigma = float(number) if colon else DEFAULT_SIGMA
            except ValueError:
                sigma = 0.0
            if 0 < sigma < float("inf"):
                return cls("lowpass", sigma)
        raise UsageError(f"{text!r} is not a scramble: choose {_FORMS}")

    def __str__(self) -> str:
        return "phase" if self.kind == "phase" else f"lowpass:{self.sigma:g}"

    @property
    def question(self) -> str:
        """What an accuracy on clips scrambled like this answers, as a line to print."""
        if self.kind == "phase":
            return (
                "asked: how much of a rotation accuracy is spectrum alone; the clips have their own "
                "amplitude spectra and random phases. A spectrum reveals at most the axis, never up from "
                "down (of four rotations at most 50 %, chance 25 %). Compare with the accuracy without "
                "--scramble."
            )
        return (
            "asked: how much of a rotation accuracy coarse structure gives alone; the clips are blurred by "
            f"a Gaussian of {self.sigma:g} pixels. Compare with the accuracy without --scramble."
        )

    def apply(self, batch: Batch, seed: int) -> Tensor:
        """Return the scrambled clips of a batch, of the same shape, dtype and device.

        Values are computed in float32, rounded, and clipped to the range of the dtype: 0..255 for uint8 RGB,
        -255..255 for int16 DIF. A clip depends on ``seed`` and its sample number only.
        """
        clips = batch.clips
        values = clips.float()
        if self.kind == "phase":
            values = phase_scrambled(values, phase_seeds(batch.samples, seed))
        else:
            values = low_passed(values, self.sigma)
        least = 0 if clips.dtype == torch.uint8 else -255
        return values.round_().clamp_(least, 255).to(clips.dtype)


def phase_seeds(samples: NDArray[np.int64], seed: int) -> list[int]:
    """Return the seed of each sample's phases, a hash as in the clip plan."""
    return [int(bits) for bits in hash_bits(seed, Stream.PHASES, np.zeros_like(samples), samples)]


def phase_scrambled(clips: Tensor, seeds: Sequence[int]) -> Tensor:
    """Replace the phases of each frame's spectrum, and keep its amplitudes and its mean.

    Every channel of every frame keeps its own amplitude spectrum; all of a clip have the same random phases,
    so that frames with similar spectra stay similar. Contours, objects and the direction of motion are gone;
    the amount of detail along each axis, its change over time, and the contrast of frames are kept. The
    phases are those of white noise, and so antisymmetric: the result is real. A clip turned by 180 degrees
    has the same amplitudes, so the result cannot distinguish opposite rotations. The spectrum is that of the
    periodic clip: a step from one border to the opposite one is part of it.

    A network has never seen such clips in training. Its accuracy on them is therefore a lower bound of what
    the spectrum reveals.

    Args:
        clips: (B, T, H, W, C) float.
        seeds: The seed of each clip's phases, B integers of at least 0.

    Returns:
        (B, T, H, W, C) float, not clipped to the range of pixels.
    """
    height, width = clips.shape[2:4]
    noise = np.stack([np.random.default_rng(s).standard_normal((height, width)) for s in seeds])
    phases = np.exp(1j * np.angle(np.fft.rfft2(noise))).astype(np.complex64)
    turns = torch.from_numpy(phases).to(clips.device)[:, None, :, :, None]
    spectrum = torch.fft.rfft2(clips, dim=(2, 3))
    scrambled = spectrum.abs() * turns
    scrambled[:, :, 0, 0] = spectrum[:, :, 0, 0]  # the mean, whose sign is not a phase
    real: Tensor = torch.fft.irfft2(scrambled, s=(height, width), dim=(2, 3))
    return real


def low_passed(clips: Tensor, sigma: float) -> Tensor:
    """Blur every frame by a Gaussian of ``sigma`` pixels along both axes; borders are repeated outwards.

    Args:
        clips: (B, T, H, W, C) float.
        sigma: Standard deviation in pixels; the filter ends at four of them.

    Returns:
        (B, T, H, W, C) float.
    """
    down = _gaussian(clips.shape[2], sigma).to(clips)
    right = _gaussian(clips.shape[3], sigma).to(clips)
    return torch.einsum("ih,jw,bthwc->btijc", down, right, clips)


def _gaussian(side: int, sigma: float) -> Tensor:
    """Return the filter along one axis as a matrix, (side, side) float64, rows adding up to 1."""
    reach = int(np.ceil(4 * sigma))
    offsets = torch.arange(-reach, reach + 1)
    weights = torch.exp(-(offsets.double() ** 2) / (2 * sigma**2))
    sources = (torch.arange(side)[:, None] + offsets).clamp_(0, side - 1)
    matrix = torch.zeros(side, side, dtype=torch.float64)
    return matrix.scatter_add_(1, sources, (weights / weights.sum()).expand(side, -1))
