"""The chart of loaders."""

import pytest
from PIL import Image

from benchmarks.harness.chart import draw, groups
from benchmarks.harness.compared import Ratio
from benchmarks.harness.measure import Figure, Outcome, Result
from fastrot.runs.plots import has_matplotlib


def case(by, codec, rate):
    figures = {"clips_per_s": Figure.of([rate - 10, rate, rate + 20])}
    return Outcome(f"{by}, {codec}", {"by": by, "codec": codec}, 3, figures)


def times(codec, peer, value):
    return Ratio("", f"fastrot, {codec}", f"{peer}, {codec}", value, 0.9 * value, 1.1 * value, 8)


RESULT = Result(
    "loader",
    {},
    [
        case("fastrot", "mjpeg", 400.0),
        case("slow", "mjpeg", 100.0),
        case("good", "mjpeg", 200.0),
        case("alone", "mjpeg", 300.0),
        case("fastrot", "vp9", 80.0),
        case("good", "vp9", 160.0),
    ],
    ratios=[times("mjpeg", "slow", 4.1), times("mjpeg", "good", 2.0), times("vp9", "good", 0.5)],
)


def test_each_codec_has_ours_first_and_then_the_fastest():
    found = groups([Result("train", {}, []).to_json(), RESULT.to_json()])
    shown = {codec: [(bar.label, bar.text) for bar in bars] for codec, bars in found.items()}
    assert shown == {
        "mjpeg": [("fastrot", "400/s"), ("good", "200/s, 2.0×"), ("slow", "100/s, 4.1×")],
        "vp9": [("fastrot", "80/s"), ("good", "160/s, 0.5×")],
    }


def test_lengths_are_shares_of_our_rate():
    (_, good, slow), (_, faster) = groups([RESULT.to_json()]).values()
    assert [bar.share for bar in (good, slow, faster)] == [0.5, 0.25, 2.0]
    assert good.spread == pytest.approx((5 / 400, 10 / 400))  # quartiles of 190, 200, 220


@pytest.mark.skipif(not has_matplotlib(), reason="matplotlib is not installed")
def test_a_chart_needs_loaders_that_were_compared(tmp_path):
    assert not draw([Result("train", {}, []).to_json()], tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()
    assert draw([RESULT.to_json()], tmp_path / "some.png")
    with Image.open(tmp_path / "some.png") as picture:
        assert picture.width == 900
