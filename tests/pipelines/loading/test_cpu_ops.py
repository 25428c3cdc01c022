import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from pipelines.loading.cpu_ops import finish_batch, finish_clip, new_batch
from pipelines.plan import Clips, ClipSpec


@pytest.mark.parametrize("flip", [False, True])
def test_a_clip_is_mirrored_and_differences_are_signed(flip):
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (4, 9, 11, 3), dtype=np.uint8)
    frames[0], frames[1] = 255, 0  # the largest differences, which uint8 would wrap
    crop = frames[:, 1:8, 2:9]
    wanted = crop[:, :, ::-1] if flip else crop
    rgb, dif = ClipSpec(4, crop=7), ClipSpec(3, crop=7, modality="dif")
    into = new_batch(1, rgb)
    finish_clip(crop, into[0], flip=flip, spec=rgb)
    np.testing.assert_array_equal(into[0], wanted)
    into = new_batch(1, dif)
    finish_clip(crop, into[0], flip=flip, spec=dif)
    np.testing.assert_array_equal(into[0], np.diff(wanted.astype(int), axis=0))
    assert into.min() == -255


@pytest.mark.parametrize("shape", [(16, 112, 112, 3), (64, 9, 224, 3), (2, 3, 11_000, 3)])
def test_big_clips_are_mirrored_too(shape):
    frames = np.random.default_rng(2).integers(0, 256, shape, dtype=np.uint8)
    into = np.empty(shape, dtype=np.uint8)
    finish_clip(frames, into, flip=True, spec=ClipSpec(shape[0], crop=shape[1]))
    np.testing.assert_array_equal(into, frames[:, :, ::-1])


THREADS = """
import os
import numpy as np, torch
from pipelines.loading.cpu_ops import finish_clip, new_batch
from pipelines.plan import ClipSpec
from pipelines.loading.threads import serial_threads

torch.set_num_threads(4)
before = len(os.listdir("/proc/self/task"))
threads = serial_threads(3, "test")

def read(spec):
    frames = np.zeros((spec.decoded_frames, spec.crop, spec.crop, 3), dtype=np.uint8)
    finish_clip(frames, new_batch(1, spec)[0], flip=True, spec=spec)
    return torch.get_num_threads()

specs = [ClipSpec(16), ClipSpec(16, modality="dif"), ClipSpec(64, crop=224)] * 3
print(*threads.map(read, specs))
print(len(os.listdir("/proc/self/task")) - before, torch.get_num_threads())
print(*serial_threads(2, "later").map(lambda _: torch.get_num_threads(), range(4)))
"""


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="no Linux")
def test_finishing_starts_no_threads_beside_those_that_read():
    ran = subprocess.run(
        [sys.executable, "-c", THREADS], check=True, capture_output=True, text=True, timeout=120
    )
    of_readers, of_process, of_later_readers = (line.split() for line in ran.stdout.splitlines())
    assert of_readers == ["1"] * 9
    assert of_process == ["3", "4"]  # threads more than before; torch's own number, unchanged
    assert of_later_readers == ["1"] * 4


def test_each_clip_of_a_batch_is_flipped_as_planned():
    frames = np.random.default_rng(1).integers(0, 256, (2, 3, 6, 6, 3), dtype=np.uint8)
    zeros = np.zeros(2, dtype=np.int64)
    flip = np.array([True, False])
    side = zeros + 6
    clips = Clips(zeros, zeros, zeros, zeros, zeros, flip, side, side, speed=zeros - 1)
    wanted = np.stack([frames[0][:, :, ::-1], frames[1]])
    with ThreadPoolExecutor(2) as threads:
        found = finish_batch(frames, clips, ClipSpec(3, crop=6), threads)
    np.testing.assert_array_equal(found, wanted)
