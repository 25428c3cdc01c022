import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from fastrot.rotation import angles
from fastrot.rotation.angles import RADIUS, SIGMA, inscribed_size, rotate_all, rotate_each
from fastrot.rotation.pixels import Pixels
from fastrot.rotation.sets import EIGHTH_TURNS

PLAIN = Pixels((0, 0, 0), (1 / 255, 1 / 255, 1 / 255), torch.float32)


def noise(clips: int, size: int, seed: int = 0, frames: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (clips, frames, size, size, 3), generator=generator).to(
        torch.uint8
    )


def slow(frame: np.ndarray, degrees: float, patch: int) -> np.ndarray:
    """Rotate one picture, pixel by pixel: the Gaussian's weighted mean at the rotated position."""
    size = len(frame)
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    out = np.zeros((patch, patch, 3))
    for i in range(patch):
        for j in range(patch):
            y, x = i - (patch - 1) / 2, j - (patch - 1) / 2
            at = ((size - 1) / 2 + y * cos + x * sin, (size - 1) / 2 + x * cos - y * sin)
            total = 0.0
            for row in range(math.floor(at[0]) - RADIUS + 1, math.floor(at[0]) + RADIUS + 1):
                for column in range(math.floor(at[1]) - RADIUS + 1, math.floor(at[1]) + RADIUS + 1):
                    assert 0 <= row < size
                    assert 0 <= column < size
                    if max(abs(at[0] - row), abs(at[1] - column)) >= RADIUS - 1e-9:
                        continue
                    distance = (at[0] - row) ** 2 + (at[1] - column) ** 2
                    weight = math.exp(-distance / (2 * SIGMA**2))
                    out[i, j] += weight * frame[row, column]
                    total += weight
            out[i, j] /= total
    return out


@pytest.mark.parametrize("degrees", [0, 45, 90, 123.4, 180, 315])
@pytest.mark.parametrize("size", [24, 27])
def test_against_a_slow_reference(degrees, size):
    clips = noise(2, size, frames=2)
    got = rotate_all(clips, [degrees], PLAIN)
    patch = inscribed_size(size)
    assert got.shape == (2, 3, 2, patch, patch)
    expected = slow(clips[1, 1].numpy(), degrees, patch)
    np.testing.assert_allclose(
        got[1, :, 1].permute(1, 2, 0).numpy(), expected, atol=0.51
    )  # rounded


def test_quarter_turns_are_rot90_of_the_upright_patch():
    clips = noise(1, 30)
    upright, *turned = rotate_all(clips, [0, 90, 180, 270], PLAIN)
    for k, clip in enumerate(turned, 1):
        torch.testing.assert_close(clip, torch.rot90(upright, k, dims=(2, 3)), atol=1, rtol=0)


def test_a_spot_moves_counter_clockwise():
    clips = torch.zeros(1, 1, 41, 41, 3, dtype=torch.uint8)
    clips[0, 0, 19:22, 28:31] = 255  # right of the centre
    patch = inscribed_size(41)
    (turned,) = rotate_all(clips, [45], PLAIN)
    brightest = divmod(int(turned[0, 0].argmax()), patch)
    middle = (patch - 1) / 2
    reach = 9 / math.sqrt(2)
    assert brightest == (round(middle - reach), round(middle + reach))  # up and to the right


def test_the_order_is_rotation_major_and_the_memory_channels_last():
    clips = noise(3, 24, frames=2)
    out = rotate_all(clips, [0, 45], PLAIN)
    assert out.is_contiguous(memory_format=torch.channels_last_3d)
    torch.testing.assert_close(out[3 + 2], rotate_all(clips[2:], [45], PLAIN)[0])


def test_each_clip_by_its_own_angles():
    clips = noise(2, 24, frames=2)
    degrees = torch.tensor([[10.0, 200.0], [300.0, 45.0]])
    out = rotate_each(clips, degrees, PLAIN)
    assert out.shape[0] == 4
    for view in range(2):
        for clip in range(2):
            (alone,) = rotate_all(clips[clip : clip + 1], [degrees[view, clip].item()], PLAIN)
            torch.testing.assert_close(out[2 * view + clip], alone)


def test_clips_rotated_together_are_rotated_as_alone(monkeypatch):
    clips = noise(5, 24, frames=2)
    degrees = torch.linspace(0, 359, 15).round().view(3, 5)
    alone = rotate_each(clips, degrees, PLAIN)
    for together in (2, 5):
        monkeypatch.setattr(angles, "_together", lambda _, together=together: together)
        assert torch.equal(rotate_each(clips, degrees, PLAIN), alone)


@pytest.mark.gpu
def test_a_gpu_rotates_by_the_same_angles():
    clips = noise(3, 40, frames=2)
    degrees = torch.tensor([[0.0, 90.0, 123.0], [45.0, 270.0, 359.0]])
    away = rotate_each(clips.cuda(), degrees, PLAIN).cpu() - rotate_each(clips, degrees, PLAIN)
    assert away.abs().max() <= 1.001  # a tie may be rounded to either side
    assert (away.abs() > 0.5).float().mean() < 1e-3


@pytest.mark.parametrize("clips", [1, 2])  # of a single one, what was computed is but a view
@pytest.mark.parametrize("channels", [3, 8])
def test_memory_is_channels_last_however_many_clips(clips, channels):
    pixels = noise(clips, 30, frames=4)
    each = torch.full((2, clips), 30.0)
    padded = replace(PLAIN, channels=channels)
    for out in (
        rotate_all(pixels, [0, 45], padded),
        rotate_each(pixels, each, padded),
    ):
        assert out.shape[:3] == (2 * clips, channels, 4)
        assert out.is_contiguous(memory_format=torch.channels_last_3d)
        assert not out[:, 3:].any()


def test_normalisation():
    clips = torch.full((1, 1, 24, 24, 3), 51, dtype=torch.uint8)
    clips[..., 2] = 102
    out = rotate_all(clips, [45], Pixels((0.1, 0.2, 0.3), (0.5, 0.25, 0.1), torch.float32))
    for channel, value in enumerate((0.2, 0.0, 1.0)):  # (51/255 - 0.1) / 0.5 and so on
        torch.testing.assert_close(out[0, channel], torch.full_like(out[0, channel], value))


def statistics_of(clip: np.ndarray) -> np.ndarray:
    """Spectrum in bands of frequency and direction, and the spread along each border, over a clip."""
    pictures = clip.reshape(-1, *clip.shape[-2:])
    centred = pictures - pictures.mean(axis=(1, 2), keepdims=True)
    power = np.log((np.abs(np.fft.fft2(centred)) ** 2).mean(axis=0) + 1e-9)
    fy, fx = np.meshgrid(*[np.fft.fftfreq(power.shape[0])] * 2, indexing="ij")
    radius, angle = np.hypot(fy, fx), np.arctan2(fy, fx) % np.pi
    bands = [
        power[(radius >= low) & (radius < low + 0.1) & (abs(angle - middle) < np.pi / 8)].mean()
        for low in (0.1, 0.2, 0.3, 0.4)
        for middle in (np.pi / 8, 3 * np.pi / 8, 5 * np.pi / 8, 7 * np.pi / 8)
    ]
    edges = (pictures[:, 0], pictures[:, -1], pictures[:, :, 0], pictures[:, :, -1])
    borders = [edge.std() for edge in edges]
    return np.array(bands + borders)


def accuracy_on_noise(rotate) -> float:
    """Return a linear classifier's accuracy on unseen noise in eight rotations."""
    # Machines lent for their GPU may lack it.
    from sklearn.linear_model import LogisticRegression

    features, labels = [], []
    for turned in rotate(noise(150, 48, frames=8)):
        features += [statistics_of(clip) for clip in turned]
        labels += list(range(8))
    labels = np.array(labels)
    features = (features - np.mean(features, axis=0)) / np.std(features, axis=0)
    half = len(labels) // 2
    model = LogisticRegression(max_iter=500).fit(features[:half], labels[:half])
    return float((model.predict(features[half:]) == labels[half:]).mean())


def by_our_kernel(clips):
    out = rotate_all(clips, EIGHTH_TURNS, PLAIN)
    return out.view(8, len(clips), *out.shape[1:]).transpose(0, 1).numpy()


def by_bilinear_reading(clips):
    patch = inscribed_size(clips.shape[2])
    pictures = clips.permute(0, 1, 4, 2, 3).flatten(1, 2).float()
    turned = []
    for degrees in EIGHTH_TURNS:
        cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        scale = patch / clips.shape[2]
        matrix = torch.tensor([[cos, -sin, 0.0], [sin, cos, 0.0]]) * scale
        grid = torch.nn.functional.affine_grid(
            matrix.expand(len(clips), 2, 3), [len(clips), 24, patch, patch], align_corners=False
        )
        turned.append(torch.nn.functional.grid_sample(pictures, grid, align_corners=False))
    return torch.stack(turned, dim=1).numpy()


def test_spectrum_and_border_of_noise_do_not_tell_the_class():
    """600 test clips: chance is 12.5 %, three standard errors of it 16.6 %."""
    assert accuracy_on_noise(by_our_kernel) < 0.166


def test_the_same_statistics_tell_the_class_after_bilinear_reading():
    assert accuracy_on_noise(by_bilinear_reading) > 0.22


def test_frames_must_be_square_and_large_enough():
    with pytest.raises(ValueError, match="square"):
        rotate_all(torch.zeros(1, 1, 20, 22, 3, dtype=torch.uint8), [45], PLAIN)
    with pytest.raises(ValueError, match="too small"):
        inscribed_size(11)
    assert inscribed_size(112) == 72
