"""The disk's speed, of a real store and of stand-in figures."""

import pytest

from fastrot.doctor.disk import DiskSpeed, check_disk, clip_bytes, measure_disk


def test_a_clip_of_a_raw_store_is_16_frames(make_store):
    assert clip_bytes(make_store("raw", size=40)) == 16 * 40 * 40 * 3


def test_a_disk_is_measured(make_store):
    store = make_store("raw", size=40)
    speed = measure_disk(store, seconds=0.05)
    assert speed.bytes_per_s > 0
    assert speed.clips_per_s == pytest.approx(speed.bytes_per_s / clip_bytes(store))


def test_too_slow_is_too_slow_for_the_gpus_there_are():
    # 43.2 GFLOP a clip and four rotations: 100 TFLOP/s are 579 clips/s, by hand.
    slow = DiskSpeed(bytes_per_s=1e8, clips_per_s=570, cached=False)
    assert check_disk(slow, gpus=0).status == "good"
    assert check_disk(slow, gpus=1).status == "warning"
    assert check_disk(DiskSpeed(1e8, 590, cached=False), gpus=1).status == "good"
    assert "NVMe" in check_disk(DiskSpeed(1e8, 590, cached=False), gpus=8).remedy
