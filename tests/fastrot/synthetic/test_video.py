"""Written videos have the same detail along both axes, in luma and in the colours."""

import numpy as np
import pytest

from fastrot.analysis.cue_measures import colour_planes, detail
from fastrot.synthetic.noise import noise
from fastrot.synthetic.video import write_video
from pipelines.prepare.transcode import stream_frames


@pytest.mark.parametrize("size", [64, 51])
def test_a_video_of_noise_has_the_same_detail_along_both_axes(tmp_path, size):
    path, ratios = tmp_path / "noise.avi", []
    for seed in range(24):
        write_video(path, noise(np.random.default_rng(seed), 2, 64, 64), fps=25)
        frames, _, _ = stream_frames(path, None, size, "stretch", lambda frames, _: list(frames))
        energies = detail(colour_planes(np.stack(frames)))
        ratios.append(np.log(energies[..., 0] / energies[..., 1]).mean(axis=0))
    mean, deviation = np.mean(ratios, axis=0), np.std(ratios, axis=0, ddof=1)
    # A conversion that drops columns of the chroma, instead of averaging them, gives 0.4 in Cb and Cr.
    assert np.all(np.abs(mean) < 4 * deviation / len(ratios) ** 0.5)
    assert np.all(np.abs(mean) < 0.05)
