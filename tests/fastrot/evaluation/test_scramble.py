"""Scrambled clips against numpy's spectra and a Gaussian summed by hand."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from fastrot.config import Config
from fastrot.distributed.runtime import Runtime
from fastrot.evaluation.clip_set import ClipSet, Reading
from fastrot.evaluation.rotation_accuracy import evaluate_rotation
from fastrot.evaluation.scramble import Scramble, low_passed, phase_scrambled, phase_seeds
from fastrot.evaluation.trained import Trained
from fastrot.tasks import make_task
from pipelines.errors import UsageError
from pipelines.loading.batches import Batch
from pipelines.store.reading import Store

TinyConfig = Callable[..., Config]


def clips(count: int = 2, side: int = 12, seed: int = 0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.uniform(-255, 255, (count, 3, side, side, 3)).astype(np.float32))


def batch_of(values: torch.Tensor, first: int = 0) -> Batch:
    samples = np.arange(first, first + len(values))
    return Batch(values, torch.zeros(len(values)), samples, samples)


def spectrum(values: torch.Tensor) -> np.ndarray:
    return np.fft.fft2(values.double().numpy(), axes=(2, 3))


@pytest.mark.parametrize("side", [12, 13])
def test_phase_keeps_every_amplitude_and_the_mean(side: int) -> None:
    before = clips(side=side)
    after = phase_scrambled(before, [5, 6])
    assert after.dtype == torch.float32
    assert not torch.allclose(after, before, atol=50)
    np.testing.assert_allclose(np.abs(spectrum(after)), np.abs(spectrum(before)), atol=0.1)
    torch.testing.assert_close(after.mean((2, 3)), before.mean((2, 3)), atol=1e-3, rtol=0)


def test_all_frames_and_channels_of_a_clip_have_the_phases_of_white_noise() -> None:
    after = phase_scrambled(clips(), [5, 6])
    noise = np.random.default_rng(6).standard_normal((12, 12))
    expected = np.exp(1j * np.angle(np.fft.fft2(noise))).ravel()[1:]
    found = spectrum(after)[1]
    found = (found / np.abs(found)).transpose(0, 3, 1, 2).reshape(9, -1)[:, 1:]
    np.testing.assert_allclose(found, np.tile(expected, (9, 1)), atol=2e-3)


def test_equal_frames_stay_equal_and_clips_differ() -> None:
    still = clips(1)[:, :1].expand(2, 4, -1, -1, -1)
    after = phase_scrambled(still, [1, 2])
    torch.testing.assert_close(after[:, 1:], after[:, :1].expand(-1, 3, -1, -1, -1))
    assert not torch.allclose(after[0], after[1], atol=50)


def gaussian_by_hand(frame: np.ndarray, sigma: float) -> np.ndarray:
    """Blur (H, W) by adding shifted copies of the padded frame."""
    reach = int(np.ceil(4 * sigma))
    height, width = frame.shape
    padded = np.pad(frame.astype(np.float64), reach, mode="edge")
    total, weights = np.zeros(frame.shape), 0.0
    for y in range(2 * reach + 1):
        for x in range(2 * reach + 1):
            weight = np.exp(-((y - reach) ** 2 + (x - reach) ** 2) / (2 * sigma**2))
            total += weight * padded[y : y + height, x : x + width]
            weights += weight
    return total / weights


@pytest.mark.parametrize("sigma", [0.7, 2, 6])  # the last one reaches beyond the frame
def test_lowpass_is_a_gaussian(sigma: float) -> None:
    before = clips(1)
    after = low_passed(before, sigma)
    for frame in range(3):
        for channel in range(3):
            expected = gaussian_by_hand(before[0, frame, :, :, channel].numpy(), sigma)
            np.testing.assert_allclose(after[0, frame, :, :, channel], expected, atol=1e-3)


@pytest.mark.parametrize("text", ["phase", "lowpass:0.8"])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16])
def test_clips_are_rounded_and_clipped(text: str, dtype: torch.dtype) -> None:
    least = 0 if dtype == torch.uint8 else -255
    given = torch.where(clips(side=16) > 0, 255, least).to(dtype)
    found = Scramble.parse(text).apply(batch_of(given, first=3), seed=7)
    seeds = phase_seeds(np.arange(3, 5), 7)
    exact = (
        phase_scrambled(given.float(), seeds) if text == "phase" else low_passed(given.float(), 0.8)
    )
    assert found.dtype == dtype
    assert text != "phase" or exact.max() > 256  # something is to be clipped
    expected = np.clip(np.rint(exact.numpy()), least, 255)
    np.testing.assert_array_equal(found.numpy(), expected)


def test_a_clip_depends_on_its_sample_and_the_seed_only() -> None:
    phase = Scramble("phase")
    given = clips(4).to(torch.int16)
    whole = phase.apply(batch_of(given), seed=1)
    part = phase.apply(batch_of(given[2:], first=2), seed=1)
    torch.testing.assert_close(part, whole[2:])
    other = phase.apply(batch_of(given), seed=2)
    assert (other != whole).float().mean() > 0.9


@pytest.mark.parametrize("text", ["", "phases", "phase:2", "lowpass:", "lowpass:0", "lowpass:inf"])
def test_unknown_scrambles_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="choose phase, lowpass"):
        Scramble.parse(text)


def test_scrambles_are_named_as_they_are_read() -> None:
    for text, name in (
        ("phase", "phase"),
        ("lowpass", "lowpass:2"),
        ("lowpass:0.5", "lowpass:0.5"),
    ):
        assert str(Scramble.parse(text)) == name
        assert Scramble.parse(name) == Scramble.parse(text)


def test_the_network_sees_scrambled_clips(tiny_config: TinyConfig, runtime: Runtime) -> None:
    """Also that without a scramble it sees the loader's clips, and that the protocol names the scramble."""
    config = tiny_config(data={"modality": "dif"})
    torch.manual_seed(1)
    task = make_task(config, ["class0", "class1"])
    network = task.network(config.model)
    runtime.place(network)
    trained = Trained(network, task, config)
    store = Store.open(config.data.store)
    seen = {}
    for scramble in (None, Scramble("phase")):
        reading = Reading(trained, ClipSet(store, "all", 2, batch=5, scramble=scramble), runtime)
        seen[scramble] = torch.cat([batch.clips for _, batch in reading.batches("test")])
    intact, found = seen.values()
    phases = phase_seeds(np.arange(12), config.seed)
    expected = phase_scrambled(intact.float(), phases).round().clamp(-255, 255)
    torch.testing.assert_close(found, expected.to(torch.int16))

    result = evaluate_rotation(trained, ClipSet(store, "all", scramble=Scramble("phase")), runtime)
    assert "4 DIF, scrambled (phase) frames" in str(result.protocol)
    assert any("spectrum alone" in line for line in result.lines())
    plain = evaluate_rotation(trained, ClipSet(store, "all"), runtime)
    assert "scramble" not in " ".join(plain.lines())
