"""The spectrum benchmark: one tiny measurement from end to end, and the tables by hand."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.cheap_cues import spectrum, spectrum_page
from benchmarks.cheap_cues.saved_results import load
from benchmarks.cheap_cues.spectrum_page import draw, ledger_table, rotation_table
from fastrot.config import from_mapping
from fastrot.training.run import train
from pipelines.errors import FastrotError
from tests.helpers import moving_frames, write_video


def axis(channel: str, order: str, mean: float) -> dict:
    return {"channel": channel, "order": order, "mean": mean, "interval": 0.01, "told": 0.75}


PROTOCOL = {"frames": 8, "modality": "dif", "stride": 2, "crop": 56, "size": 64}
RESULTS = {
    "ledger": {
        "noise": {
            "videos": 7,
            "axes": [
                axis(channel, order, mean)
                for channel, mean in (("Y", 0.1), ("Cb", -0.2), ("Cr", 0.3))
                for order in ("gradient", "second difference")
            ],
        }
    },
    "rotation": {
        "intact": {
            "accuracy": 50.0,
            "half_width": 9.8,
            "axis": 90.0,
            "axis_half_width": 4.2,
            "videos": 100,
            "protocol": PROTOCOL,
        },
        "lowpass:2": {
            "accuracy": 20.0,
            "half_width": 6.5,
            "axis": 55.0,
            "axis_half_width": 7.1,
            "videos": 100,
            "protocol": PROTOCOL,
        },
    },
}


def test_tables_by_hand() -> None:
    cells = "+0.100 ± 0.010 | 75 % | -0.200 ± 0.010 | 75 % | +0.300 ± 0.010 | 75 %"
    assert f"| noise | 7 | {cells} |" in ledger_table(RESULTS).splitlines()
    lines = rotation_table(RESULTS).splitlines()
    assert "| none | 50.0 ± 9.8 | 90.0 ± 4.2 |" in lines
    assert "| blurred by 2 px | 20.0 ± 6.5 | 55.0 ± 7.1 |" in lines
    assert any("over 100 videos; 8 DIF frames at stride 2, crop 56 of 64" in line for line in lines)


def test_a_turned_video_has_the_pixels_of_the_upright_one(tmp_path: Path) -> None:
    import av

    def luma(path: Path) -> np.ndarray:
        with av.open(str(path)) as container:
            return np.stack(
                [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
            )

    source = write_video(tmp_path / "a.avi", moving_frames(5, 32, 48))
    turned = spectrum._turned(source, tmp_path / "b.mkv")
    np.testing.assert_array_equal(luma(turned), np.rot90(luma(source), -1, axes=(1, 2)))


@pytest.mark.slow
def test_everything_is_measured_and_drawn(
    tmp_path: Path, make_store, monkeypatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store = make_store()
    values = {
        "name": "tiny",
        "out": str(tmp_path / "runs"),
        "data": {"store": str(store.path), "split": "train1", "frames": 4, "crop": 32},
        "model": {"depth": 10, "width": 4},
        "train": {"batch": 4, "iterations": 1},
    }
    checkpoint = train(from_mapping(values), quiet=True).last
    clips = [write_video(tmp_path / f"{i}.avi", moving_frames(4, 32, 48, i)) for i in range(2)]
    monkeypatch.setattr(spectrum, "footage", lambda: clips)
    monkeypatch.setattr(spectrum, "WIDE", (24, 32))
    monkeypatch.setattr(spectrum, "SCRAMBLES", (None, "phase"))
    out = tmp_path / "spectrum.json"
    tiny = ["--videos", "3", "--size", "16", "--out", str(out)]
    spectrum.main([str(checkpoint), "--store", str(store.path), *tiny])
    results = load(out, spectrum.KEYS)
    assert {name: ledger["videos"] for name, ledger in results["ledger"].items()} == {
        "noise 32x24, stretch": 3,
        "noise 32x24, crop": 3,
        "noise written as the demo's videos": 3,
        "the demo's scenes": 3,
        "the demo's scenes, turned": 3,
        "footage, stretch": 2,
        "footage, stretch, turned": 2,
        "footage, crop": 2,
        "footage, crop, turned": 2,
        "the demo's videos": 6,
    }
    upright, turned = (
        results["ledger"][f"the demo's scenes{name}"]["axes"] for name in ("", ", turned")
    )
    for one, other in zip(upright, turned, strict=True):
        assert one["mean"] == pytest.approx(-other["mean"], abs=0.05)
    assert list(results["rotation"]) == ["intact", "phase"]
    for name, found in results["rotation"].items():
        counts = np.array(found["confusion"])
        assert counts.sum() == 24
        assert found["axis"] == pytest.approx(
            100 * (counts[::2, ::2].sum() + counts[1::2, 1::2].sum()) / 24
        )
        assert found["protocol"]["scramble"] == ("" if name == "intact" else name)
    assert str(tmp_path) not in out.read_text()
    written = out.read_text()
    capsys.readouterr()
    spectrum.main([str(checkpoint), "--store", str(store.path), *tiny])
    assert capsys.readouterr().out.count("already done") == 2
    assert out.read_text() == written
    del results["rotation"]["intact"]["axis_half_width"]  # as an earlier version wrote it
    out.write_text(json.dumps(results))
    spectrum.main([str(checkpoint), "--store", str(store.path), *tiny])
    assert load(out, spectrum.KEYS)["rotation"]["intact"]["axis_half_width"] > 0
    results = load(out, spectrum.KEYS)
    capsys.readouterr()
    spectrum.main(["--out", str(out), "--draw", str(tmp_path / "figure.png")])
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")
    assert ledger_table(results) in capsys.readouterr().out


def test_the_figure_has_an_interval_for_each_number(monkeypatch, tmp_path: Path) -> None:
    figures = []
    monkeypatch.setattr(spectrum_page, "write_figure", lambda figure, _: figures.append(figure))
    draw(RESULTS, tmp_path / "figure.png")
    cues, rotations = figures[0].axes
    assert [bar.lines[0].get_xdata()[0] for bar in cues.containers] == [0.1, -0.2, 0.3]
    for bars in cues.containers:
        (segment,) = bars.lines[2][0].get_segments()
        assert np.ptp(segment[:, 0]) == pytest.approx(0.02)
    right, axis = (
        [np.ptp(each[:, 1]) / 2 for each in bars.lines[2][0].get_segments()]
        for bars in rotations.containers
    )
    assert right == pytest.approx([9.8, 6.5])
    assert axis == pytest.approx([4.2, 7.1])
    assert "generated videos" in rotations.get_title()


def test_what_is_missing_is_said_plainly(tmp_path: Path, monkeypatch) -> None:
    with pytest.raises(FastrotError, match="measure first"):
        spectrum.main(["--out", str(tmp_path / "no.json"), "--draw", "figure.png"])
    with pytest.raises(SystemExit):
        spectrum.main(["--out", str(tmp_path / "no.json")])
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(FastrotError, match="need matplotlib"):
        draw(RESULTS, tmp_path / "figure.png")


def test_the_pages_tables_are_those_of_the_committed_figures() -> None:
    docs = Path(__file__).parents[3] / "docs"
    results = load(docs / "spectrum.json", spectrum.KEYS)
    page = (docs / "spectrum.md").read_text()
    assert ledger_table(results).strip() in page
    assert rotation_table(results).strip() in page
