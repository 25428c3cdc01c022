"""What codecs cost: two small stores from end to end, and the page's table."""

from pathlib import Path

import pytest

from benchmarks.tools import codec_costs
from benchmarks.tools.codec_table import costs_grid, default_costs, load_costs
from benchmarks.tools.jpegs import psnr
from pipelines.store.reading import Store
from tests.helpers import moving_frames, write_video

PAGE = Path(codec_costs.__file__).parents[2] / "docs" / "measurements.md"


def test_the_page_shows_the_table():
    assert costs_grid(load_costs()).to_markdown() in PAGE.read_text()


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("costs")
    paths = [
        write_video(folder / f"{count}.mp4", moving_frames(count, 48, 64, count))
        for count in (40, 52)
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codec_costs, "QUALITIES", {"raw": (None,), "h264": (20, 40)})
        patch.setattr(codec_costs, "COMPARED", 3)
        found = codec_costs.measure(folder, paths, copies=2, rounds=2)
    return folder, found


def test_raw_costs_its_bytes(measured):
    _, found = measured
    raw = default_costs(found, "raw")
    assert raw["kb_per_frame"] == pytest.approx(136 * 136 * 3 / 1e3)
    assert raw["read_kb"] == pytest.approx(16 * 136 * 136 * 3 / 1e3)
    assert raw["cpu_ms"] > 0
    assert "psnr" not in raw
    assert "whole_kb" not in raw


def test_a_clip_reads_less_than_its_video_and_less_quality_fewer_bytes(measured):
    folder, found = measured
    _, good, poor = found["costs"]
    store = Store.open(folder / "h264-20")
    assert len(store) == 4
    assert good["whole_kb"] == pytest.approx(store.bytes.mean() / 1e3)
    assert good["read_kb"] < good["whole_kb"]
    assert poor["kb_per_frame"] < good["kb_per_frame"]
    assert poor["psnr"] < good["psnr"]
    assert good["default"]
    assert not poor["default"]
    assert min(good["warm"], good["cold"], good["whole_cold"]) > 0
    assert "cold" not in poor


def test_the_psnr_is_of_the_same_frames(measured, monkeypatch):
    """A frame beside the right one would be much worse than the encoder."""
    folder, found = measured
    monkeypatch.setattr(codec_costs, "COMPARED", 3)
    frames = codec_costs.frames_of(Store.open(folder / "raw-None"))
    assert frames.shape == (6, 136, 136, 3)
    assert psnr(frames[:3], frames[3:]) < 20  # not the same video twice
    assert found["costs"][1]["psnr"] > psnr(frames[:-1], frames[1:]) + 3


def test_an_empty_cell_is_a_dash():
    row = {
        "codec": "raw",
        "quality": None,
        "kb_per_frame": 55.488,
        "cpu_ms": 0.5,
        "read_kb": 1234.5,
    }
    (cells,) = costs_grid({"costs": [row]}).rows
    assert cells == ["raw", "55.49", "-", "0.50", "1,234.5", "-", "-", "-", "-"]
