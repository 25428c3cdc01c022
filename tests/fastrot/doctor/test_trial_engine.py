"""The doctor's line about the hardware JPEG decoder, of stand-ins."""

import numpy as np
import pytest
import torch

from fastrot.doctor.trial_engine import check_trial, try_engine
from pipelines.loading import jpeg_engine

without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")


@pytest.fixture
def compared(monkeypatch):
    """Pretend that there is a GPU, whose decoder is off by 1.5; return what it was given."""
    given = []

    def differences(jpegs, crop, device):
        given.append((len(jpegs), crop, device.type))
        assert jpeg_engine.decode(jpegs, crop, torch.device("cpu")).std() > 5
        return np.array([0.5, 1.5])

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(jpeg_engine, "engine_differences", differences)
    return given


@without_gpu
def test_without_a_gpu_nothing_is_tried():
    assert try_engine() is None


@without_gpu
def test_the_sample_or_the_stores_frames_are_compared(compared, make_store):
    assert try_engine() == 1.5
    assert try_engine(make_store("raw")) == 1.5
    assert try_engine(make_store("mjpeg", size=48)) == 1.5
    assert compared == [(1, 112, "cuda"), (1, 112, "cuda"), (6, 48, "cuda")]


@without_gpu
def test_the_sample_replaces_unreadable_frames(compared, make_store, monkeypatch):
    monkeypatch.setattr(jpeg_engine, "first_packets", lambda store, videos: {})
    assert try_engine(make_store("mjpeg", size=48)) == 1.5
    assert compared == [(1, 48, "cuda")]


@without_gpu
def test_a_failure_is_reported_by_its_first_line(compared, monkeypatch):
    def fail(jpegs, crop, device):
        raise RuntimeError("nvJPEG failed\nmore")

    monkeypatch.setattr(jpeg_engine, "engine_differences", fail)
    assert try_engine() == "nvJPEG failed"


@pytest.mark.parametrize(
    ("found", "status", "word"),
    [
        (0.4, "good", "0.40 of 255"),
        (3.2, "warning", "3.20 of 255"),
        ("nvJPEG failed", "warning", "nvJPEG failed"),
    ],
)
def test_each_result_has_its_status(found, status, word):
    check = check_trial(found)
    assert (check.name, check.status, check.stops) == ("JPEG decoder", status, False)
    assert word in check.found
    assert ("data.hw_decoder_load=0" in check.remedy) == (status == "warning")
