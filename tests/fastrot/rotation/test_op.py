from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
import pytest
import torch
from torch import Tensor

from fastrot.rotation.op import normalize, rotate
from fastrot.rotation.pixels import Pixels
from fastrot.rotation.sets import RotationSet, rotation_set

ALL = rotation_set([0, 90, 180, 270])
SUBSETS = [rotation_set(s) for n in (2, 3, 4) for s in combinations((0, 90, 180, 270), n)]
MEAN = (0.4339, 0.4046, 0.3776)
STD = (0.151987, 0.14855, 0.1569)

# What a viewer sees when the picture on the left is turned counter-clockwise.
TURNED = {
    0: [[1, 2, 3], [4, 5, 6], [7, 8, 9]],
    90: [[3, 6, 9], [2, 5, 8], [1, 4, 7]],
    180: [[9, 8, 7], [6, 5, 4], [3, 2, 1]],
    270: [[7, 4, 1], [8, 5, 2], [9, 6, 3]],
}


def pixels(clips: Tensor, rotations: RotationSet) -> Tensor:
    """Rotate without changing a value: mean 0 and std 1/255."""
    return rotate(clips, rotations, mean=(0, 0, 0), std=(1 / 255,) * 3, dtype=torch.float32)


def noise(batch: int = 2, frames: int = 3, size: int = 5, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, frames, size, size, 3)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("rotations", SUBSETS, ids=str)
def test_three_by_three_picture(rotations: RotationSet) -> None:
    # Pixel p of clip b, frame t, channel c has the value p + 10 * (4b + 2t) + 100 * c.
    picture = torch.tensor(TURNED[0])
    clips = torch.empty((2, 2, 3, 3, 3), dtype=torch.int16)
    for b, t, c in np.ndindex(2, 2, 3):
        clips[b, t, :, :, c] = picture + 10 * (4 * b + 2 * t) + 100 * c
    out = pixels(clips, rotations)
    assert out.shape == (2 * len(rotations), 3, 2, 3, 3)
    for r, degrees in enumerate(rotations.degrees):
        for b, c, t in np.ndindex(2, 3, 2):
            expected = np.array(TURNED[degrees]) + 10 * (4 * b + 2 * t) + 100 * c
            np.testing.assert_allclose(out[2 * r + b, c, t].numpy(), expected, rtol=1e-6)


def test_rotations_form_a_group() -> None:
    def turn(clips: Tensor, degrees: int) -> Tensor:
        rows = pixels(clips, ALL)[ALL.degrees.index(degrees) * 2 :][:2]
        return rows.permute(0, 2, 3, 4, 1).round().to(torch.uint8)

    clips = noise()
    quarter = turn(clips, 90)
    assert not torch.equal(quarter, clips)
    assert torch.equal(turn(clips, 0), clips)
    assert torch.equal(turn(quarter, 90), turn(clips, 180))
    assert torch.equal(turn(turn(quarter, 90), 90), turn(clips, 270))
    assert torch.equal(turn(turn(turn(quarter, 90), 90), 90), clips)
    assert torch.equal(turn(quarter, 270), clips)
    assert torch.equal(turn(turn(clips, 180), 180), clips)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("rotations", SUBSETS, ids=str)
def test_memory_is_channels_last(rotations: RotationSet, dtype: torch.dtype) -> None:
    out = rotate(noise(), rotations, mean=MEAN, std=STD, dtype=dtype)
    assert out.dtype == dtype
    assert out.is_contiguous(memory_format=torch.channels_last_3d)
    assert not out.is_contiguous()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_values_are_normalised_in_float32_and_rounded_once(dtype: torch.dtype) -> None:
    # Each of the 256 values in each channel, as a 16x16 picture.
    clips = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16, 1).expand(-1, -1, -1, -1, 3)
    out = rotate(clips, ALL, mean=MEAN, std=STD, dtype=dtype)[0, :, 0]
    value = np.arange(256, dtype=np.float64).reshape(16, 16)
    exact = np.stack([(value - 255 * m) / (255 * s) for m, s in zip(MEAN, STD, strict=True)])
    # float32 leaves 2e-6 near zero at most; a first rounding to bfloat16 would err by 1e-2.
    step = {torch.float32: 0.0, torch.bfloat16: 2.0**-9, torch.float16: 2.0**-12}[dtype]
    # A last digit is at most 2 * step of the value's power of two; half of it is the rounding.
    bound = 2e-6 + 2 * step * 2.0 ** np.floor(np.log2(np.abs(exact)))
    assert (np.abs(out.double().numpy() - exact) <= bound).all()


def test_rounding_is_to_nearest_even() -> None:
    # bfloat16 holds 8 bits: 257 lies halfway between 256 and 258, 259 between 258 and 260.
    clips = (
        torch.tensor([255, -255], dtype=torch.int16).view(1, 1, 1, 2, 1).expand(-1, -1, -1, -1, 3)
    )
    out = normalize(clips, Pixels((-2 / 255, -4 / 255, 0), (1 / 255,) * 3, torch.bfloat16))
    assert out[0, :, 0, 0].tolist() == [[256, -253], [260, -251], [255, -255]]


def test_negative_differences_keep_their_sign() -> None:
    clips = torch.tensor([-255, -1, 0, 255], dtype=torch.int16).view(1, 1, 2, 2, 1)
    out = rotate(
        clips.expand(-1, -1, -1, -1, 3), ALL, mean=(0, 0, 0), std=(0.1,) * 3, dtype=torch.float32
    )
    # The picture is [[-10, -10/255], [0, 10]]; these are its quarter and its half turn.
    torch.testing.assert_close(out[1, 2, 0], torch.tensor([[-10 / 255, 10.0], [-10.0, 0.0]]))
    torch.testing.assert_close(out[2, 0, 0], torch.tensor([[10.0, 0.0], [-10 / 255, -10.0]]))


@pytest.mark.parametrize(
    "view",
    [lambda x: x[:, ::2], lambda x: x[::2], lambda x: x[:, :, 1:4, 2:5], lambda x: x.flip(1)[1:]],
    ids=["time", "batch", "crop", "flip"],
)
def test_strided_views_rotate_like_their_copies(view: Callable[[Tensor], Tensor]) -> None:
    clips = view(noise(batch=3, frames=5, size=6))
    clips = clips[:, :, : min(clips.shape[2:4]), : min(clips.shape[2:4])]
    assert torch.equal(
        pixels(clips, ALL), pixels(clips.clone(memory_format=torch.contiguous_format), ALL)
    )
    assert pixels(clips, ALL).is_contiguous(memory_format=torch.channels_last_3d)


def test_input_is_left_as_it_was() -> None:
    clips = noise()
    before = clips.clone()
    pixels(clips, ALL)
    assert torch.equal(clips, before)


def test_normalize_is_the_rotation_by_zero_and_takes_oblong_frames() -> None:
    clips = noise()
    for dtype in (torch.float32, torch.bfloat16):
        rotated = rotate(clips, ALL, mean=MEAN, std=STD, dtype=dtype)
        assert torch.equal(normalize(clips, Pixels(MEAN, STD, dtype)), rotated[:2])
    oblong = normalize(clips[:, :, :3], Pixels(MEAN, STD, torch.float32))
    assert oblong.shape == (2, 3, 3, 3, 5)
    assert oblong.is_contiguous(memory_format=torch.channels_last_3d)


def test_half_turns_take_oblong_frames() -> None:
    oblong = noise()[:, :, :3]
    out = pixels(oblong, rotation_set([0, 180]))
    assert torch.equal(out[2:], out[:2].flip(3, 4))
    with pytest.raises(ValueError, match="square frames, got 3x5"):
        pixels(oblong, ALL)


@pytest.mark.parametrize(
    ("clips", "mean", "std", "dtype", "message"),
    [
        (noise()[0], MEAN, STD, torch.float32, r"\(B, T, H, W, 3\), got \(3, 5, 5, 3\)"),
        (noise()[..., :2], MEAN, STD, torch.float32, "B, T, H, W, 3"),
        (noise().permute(0, 4, 1, 2, 3), MEAN, STD, torch.float32, "B, T, H, W, 3"),
        (noise().float(), MEAN, STD, torch.float32, "uint8 or int16, got torch.float32"),
        (noise(), MEAN, STD, torch.float64, "got torch.float64"),
        (noise(), MEAN[:1], STD, torch.float32, "3 values each, got 1 and 3"),
        (noise(), MEAN, (0.1, 0.0, 0.1), torch.float32, "std must be positive"),
    ],
)
def test_wrong_input_is_refused(
    clips: Tensor, mean: Sequence[float], std: Sequence[float], dtype: torch.dtype, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        rotate(clips, ALL, mean=mean, std=std, dtype=dtype)
    with pytest.raises(ValueError, match=message):
        normalize(clips, Pixels(mean, std, dtype))
