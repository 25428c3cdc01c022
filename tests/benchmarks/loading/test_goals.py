import pytest

from benchmarks.harness.compared import Ratio
from benchmarks.harness.measure import Figure, Outcome
from benchmarks.loading.goals import goals, ratios, torchcodec_goals
from benchmarks.loading.loader_cases import Sizes


def case(by, codec, rate, modality="rgb", frames=16, **facts):
    figures = {} if rate is None else {"clips_per_s": Figure.of([rate])}
    facts |= {"by": by, "codec": codec, "modality": modality, "frames": frames}
    return Outcome(f"{by} {codec} {modality} {frames}", facts, 1, figures)


CASES = [
    case("fastrot", "raw", 4000.0),
    case("fastrot", "raw", 1500.0, "dif"),
    case("fastrot", "raw", 2400.0, augmented=True),
    case("fastrot", "raw", 600.0, "dif", augmented=True),
    case("fastrot", "raw", 9999.0, frames=32),
    case("map", "raw", 1000.0),
    case("numpy", "raw", 2000.0),
    case("fastrot", "mjpeg", 600.0),
    case("fastrot", "mjpeg", 450.0, "dif"),
    case("torchcodec", "mjpeg", 240.0),
    case("pyav", "mjpeg", None),
    case("torchcodec", "vp9", 250.0),
    case("fastrot", "vp9", None),
]


def memory(clips):
    figures = {"watched_clips": Figure.of([clips]), "growth_mb": Figure.of([1.5])}
    return Outcome("memory", {}, 1, figures)


SIZES = Sizes((16, 32), 8, 1.0, 5, 20_000)
LIMITS = {
    "memory copy, 1 thread": Outcome("copy", {}, 1, {"clips_per_s": Figure.of([8000.0])}),
    "memory copy, 2 threads": Outcome("copy", {}, 1, {"clips_per_s": Figure.of([9000.0])}),
}


def test_ratios_of_hand_computed_figures():
    found = {goal.name: goal for goal in goals(CASES, LIMITS, [memory(20_008.0)], SIZES)}
    assert {name: goal.value for name, goal in found.items()} == pytest.approx(
        {
            "mjpeg: times the best peer on the same files": 2.5,
            "raw: times the best peer on raw": 2.0,
            "raw: share of a plain memory copy, 1 thread": 0.5,
            "raw: share of a plain memory copy, 2 threads": 4 / 9,
            "raw, rgb: augmented, share of plain": 0.6,
            "raw, dif: augmented, share of plain": 0.4,
            "raw: times the best peer that decodes": 16.0,
            "mjpeg: DIF's share of RGB": 0.75,
            "raw: DIF's share of RGB": 0.375,
            "memory: MB of growth over 20,000": 1.5,
        }
    )
    assert [name for name, goal in found.items() if not goal.met] == [
        "raw, dif: augmented, share of plain",
        "raw: DIF's share of RGB",
    ]


def test_a_peer_that_was_not_measured_meets_no_goal():
    alone = [one for one in CASES if one.facts["by"] == "fastrot"]
    found = {goal.name: goal for goal in goals(alone, LIMITS, [], SIZES)}
    assert found["raw: times the best peer on raw"].value is None
    assert not found["raw: times the best peer on raw"].met


def test_a_store_of_one_codec_has_only_its_goals():
    only = [one for one in CASES if one.facts.get("codec") == "mjpeg"]
    names = [goal.name for goal in goals(only, LIMITS, [], SIZES)]
    assert names == ["mjpeg: times the best peer on the same files", "mjpeg: DIF's share of RGB"]


@pytest.mark.parametrize("one", [memory(19_999.0), Outcome("memory", failed="OSError: no")])
def test_memory_over_too_few_clips_is_not_judged(one):
    (goal,) = goals([], LIMITS, [one], SIZES)
    assert goal.name == "memory: MB of growth over 20,000"
    assert goal.value is None
    assert not goal.met


def test_our_rate_is_compared_with_each_peer_of_the_codec():
    unchecked = case("fastrot", "raw", 8000.0)
    unchecked = Outcome("unchecked", {**unchecked.facts, "changed": "x"}, 1, unchecked.figures)
    found = {ratio.name: ratio.value for ratio in ratios([*CASES, unchecked], 16)}
    assert found == pytest.approx(
        {
            "raw: fastrot over map": 4.0,
            "raw: fastrot over numpy": 2.0,
            "mjpeg: fastrot over torchcodec": 2.5,
        }
    )


def test_goals_against_torchcodec_are_the_ratio_in_workers_and_the_lower_end_in_threads():
    def over(peer, value, low):
        return Ratio(f"vp9: fastrot over torchcodec {peer}", "", "", value, low, 9.0, 8)

    given = [over("+ DataLoader", 1.6, 1.4), over("in threads", 1.3, 1.1)]
    workers, threads, *absent = torchcodec_goals(given, ["raw", "mjpeg", "vp9", "h264"])
    assert (workers.value, workers.goal, workers.met) == (1.6, 1.5, True)
    assert (threads.value, threads.goal, threads.met) == (1.1, 1.15, False)
    assert [(goal.name.partition(":")[0], goal.value, goal.met) for goal in absent] == [
        ("h264", None, False)
    ] * 2
