"""The comparison of JPEG encoders."""

import json
import sys

import numpy as np
import pytest

from benchmarks.tools import jpegs
from tests.helpers import moving_frames, write_video


def test_psnr_is_that_of_the_mean_square():
    frames = np.full((2, 4, 4, 3), 100, dtype=np.uint8)
    others = frames.copy()
    others[0] += 10  # in one of two frames: a mean square of 50
    assert jpegs.psnr(frames, others) == pytest.approx(10 * np.log10(255**2 / 50))
    assert jpegs.psnr(others, frames) == jpegs.psnr(frames, others)


def test_every_video_and_all_together_are_measured(tmp_path, monkeypatch, capsys):
    for i, count in enumerate((3, 5)):
        write_video(tmp_path / f"{i}.mp4", moving_frames(count, 48, 64, i))
    monkeypatch.setattr(sys, "argv", ["jpegs", str(tmp_path), "--repeats", "1", "--quality", "5"])
    jpegs.main()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["video"], line["frames"]) for line in lines] == [
        *(("0.mp4", 3), ("1.mp4", 5), ("all", 8)),
    ]
    whole = lines[-1]
    mean = (3 * lines[0]["ffmpeg_kb"] + 5 * lines[1]["ffmpeg_kb"]) / 8
    assert whole["ffmpeg_kb"] == pytest.approx(mean, abs=0.02)
    assert whole["bytes_ratio"] == pytest.approx(whole["prepare_kb"] / whole["ffmpeg_kb"], abs=0.02)
    assert min(whole["prepare_psnr"], whole["ffmpeg_psnr"]) > 30
