"""The frame that is compared is the encoded one, and a wrong decoder would show."""

import numpy as np
import pytest
import torch

from benchmarks.acceptance import hardware_jpeg
from benchmarks.acceptance.moving_picture import SIZE, moving_picture
from benchmarks.harness.measure import NotHere, Options
from fastrot.distributed.runtime import Runtime
from pipelines.prepare.jpeg import encode_jpegs

CPU = Options(Runtime(torch.device("cpu"), rank=0, world=1, threads=1, precision="fp32"))


@pytest.fixture(scope="module")
def jpeg():
    (packet,) = encode_jpegs(moving_picture(1), 2)
    return np.frombuffer(packet, dtype=np.uint8)


def test_pictures_move_by_two_pixels():
    first, _, third = moving_picture(3)
    assert first.shape == (SIZE, SIZE, 3)
    np.testing.assert_array_equal(third[:, 4:], first[:, :-4])
    other = next(moving_picture(1, seed=1))
    assert np.abs(first.astype(int) - other).mean() > 20


def test_the_training_graph_decodes_its_middle(jpeg):
    got = hardware_jpeg.decoded(jpeg, CPU.device, 1.0)[0]
    (picture,) = moving_picture(1)
    margin = (SIZE - 112) // 2
    expected = picture[margin : margin + 112, margin : margin + 112]
    assert np.abs(got.astype(int) - expected).mean() < 3


def test_differences_are_in_levels(jpeg, monkeypatch):
    monkeypatch.setattr(hardware_jpeg, "_require_gpu", lambda device: None)
    same = hardware_jpeg.compare(jpeg, CPU, 1.0)
    assert same == {"mean_difference": 0, "most_difference": 0}
    right = hardware_jpeg.decoded
    calls = []

    def shifted(*arguments):
        calls.append(arguments)
        return right(*arguments) // 2 if len(calls) == 2 else right(*arguments)

    monkeypatch.setattr(hardware_jpeg, "decoded", shifted)
    wrong = hardware_jpeg.compare(jpeg, CPU, 1.0)
    assert 40 < wrong["mean_difference"] < wrong["most_difference"] <= 128


def test_without_a_gpu_nothing_is_compared(jpeg):
    for measure in (hardware_jpeg.compare, hardware_jpeg.rate):
        with pytest.raises(NotHere, match="no GPU"):
            measure(jpeg, CPU, 1.0)
