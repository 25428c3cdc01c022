import json
import statistics

import pytest
import torch

from benchmarks.harness.compared import Goal
from benchmarks.harness.measure import Case, Figure, NotHere, Outcome, Result, interleave
from benchmarks.harness.session import SHARES, budget_of, environment, require_writable, save
from fastrot.distributed.runtime import Runtime
from pipelines.errors import FastrotError


class Clock:
    """Time that passes only when something is measured."""

    def __init__(self):
        self.now = 100.0
        self.log = []

    def __call__(self):
        return self.now

    def case(self, name, seconds=1.0, values=(1.0,), first_s=0.0):
        values = iter(values)

        def measure():
            self.log.append(name)
            self.now += first_s if first_s and name not in self.log[:-1] else seconds
            value = next(values)
            if isinstance(value, Exception):
                raise value
            return {"clips_per_s": value}

        return Case(name, measure, {"by": name}, first_s)


def run(clock, cases, budget_s=1e9, **options):
    return interleave(cases, budget_s=budget_s, shown=False, clock=clock, **options)


def test_rounds_go_a_b_a_b_and_the_warm_up_is_dropped():
    clock = Clock()
    cases = [clock.case("a", values=[99, 1, 4, 2]), clock.case("b", values=[98, 10, 30, 20])]
    found = run(clock, cases, repeats=3)
    assert clock.log == ["a", "b"] * 4
    assert list(found) == ["a", "b"]
    assert found["a"].repeats == 3
    assert found["a"].figures["clips_per_s"].values == (1, 4, 2)
    assert found["b"].median("clips_per_s") == 20
    assert found["b"].facts == {"by": "b"}
    assert found["a"].median("ms_per_step") is None
    assert found["a"].reason is None


@pytest.mark.parametrize("when", [0, 1, 2])
def test_a_case_that_fails_once_has_no_figures_and_is_not_tried_again(when):
    clock = Clock()
    values = [5.0] * when + [RuntimeError("the decoder\nis broken")]
    found = run(clock, [clock.case("bad", values=values), clock.case("good", values=[1] * 9)])
    assert found["bad"].failed == "RuntimeError: the decoder is broken"
    assert found["bad"].reason == "failed: RuntimeError: the decoder is broken"
    assert not found["bad"].figures
    assert found["bad"].repeats == 0
    assert clock.log.count("bad") == when + 1
    assert found["good"].repeats == 5


def test_not_here_is_no_failure():
    clock = Clock()
    found = run(clock, [clock.case("gpu", values=[NotHere("there is no GPU")])])
    assert found["gpu"].not_here == "there is no GPU"
    assert found["gpu"].failed is None
    assert clock.log == ["gpu"]


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_a_figure_that_is_no_number_is_a_failure(wrong):
    found = run(clock := Clock(), [clock.case("odd", values=[wrong])])
    assert "clips_per_s" in found["odd"].failed


def test_no_round_starts_that_would_not_fit_into_the_budget():
    clock = Clock()
    cases = [clock.case("a", 2, [1] * 9), clock.case("b", 3, [1] * 9)]
    found = run(clock, cases, budget_s=16)  # 5 s a round: the warm-up and two more
    assert [found[name].repeats for name in "ab"] == [2, 2]
    assert clock.now == 115


def test_what_the_budget_never_reached_is_said_and_has_no_figures():
    clock = Clock()
    cases = [clock.case("slow", 8, [1] * 9), clock.case("late", 1, [1] * 9)]
    found = run(clock, cases, budget_s=10.5)
    assert found["slow"].reason.startswith("not reached: the budget ran out")
    assert found["late"].repeats == 1  # it still fitted into the first measured round
    assert clock.now - 100 <= 10.5


def test_what_is_slow_to_make_starts_when_the_others_have_figures():
    clock = Clock()
    cases = [clock.case("slow", 1, [1] * 9, first_s=50), clock.case("a", 1, [1] * 9)]
    kept = []
    found = run(clock, cases, budget_s=1000, repeats=3, keep=kept.append)
    assert clock.log == ["a", "slow", "a", "slow", "a", "slow", "a"]
    assert [found[name].repeats for name in ("slow", "a")] == [2, 3]
    # Were it stopped while the slow one is made, the figures of the other would be there.
    assert [one["a"].repeats for one in kept] == [0, 0, 1, 1, 2, 2, 3]


def test_what_is_slow_to_make_leaves_the_others_their_repeats_where_it_does_not_fit():
    clock = Clock()
    cases = [clock.case("a", 1, [1] * 9), clock.case("slow", 1, [1] * 9, first_s=50)]
    found = run(clock, cases, budget_s=20, repeats=3)
    assert clock.log == ["a"] * 4
    assert found["slow"].reason.startswith("not reached: the budget ran out")
    assert found["a"].repeats == 3


def test_what_was_slow_to_make_is_measured_once_where_no_whole_round_fits():
    clock = Clock()
    cases = [clock.case("a", 10, [1] * 9), clock.case("slow", 4, [1] * 9, first_s=5)]
    found = run(clock, cases, budget_s=31, repeats=3)
    assert clock.log == ["a", "a", "slow", "slow"]
    assert [found[name].repeats for name in ("a", "slow")] == [1, 1]


def test_names_are_unique():
    clock = Clock()
    with pytest.raises(ValueError, match="same name"):
        run(clock, [clock.case("a"), clock.case("a")])


def test_quartiles_of_hand_computed_values():
    assert Figure.of([4.0, 1.0, 3.0, 2.0, 5.0]) == Figure(3, 2, 4, (4, 1, 3, 2, 5))
    assert Figure.of([7.0]) == Figure(7, 7, 7, (7,))
    assert Figure.of([1.0, 2.0]).median == statistics.median([1, 2])


@pytest.mark.parametrize(
    ("goal", "met"),
    [
        (Goal("ratio", 2.0, 2.0), True),
        (Goal("ratio", 1.99, 2.0), False),
        (Goal("ratio", None, 2.0), False),
        (Goal("growth", 3.0, 4.0, at_most=True), True),
        (Goal("growth", 5.0, 4.0, at_most=True), False),
        (Goal("growth", None, 4.0, at_most=True), False),
        (Goal("cold", 2.0, 2.0, judged=False), False),
    ],
)
def test_goals(goal, met):
    assert goal.met is met


def test_the_file_has_the_environment_first_and_numbers_as_numbers(tmp_path):
    result = Result(
        "loader",
        {"frames": [16]},
        [Outcome("a", {"by": "a"}, 2, {"clips_per_s": Figure.of([1.0, 3.0])})],
        goals=[Goal("ratio", 3.0, 2.0)],
    )
    path = tmp_path / "new" / "figures.json"
    require_writable(path)
    assert not path.exists()
    save(path, {"device": "cpu"}, [result], took_s=1.234)
    content = json.loads(path.read_text())
    assert list(content) == ["environment", "took_s", "results"]
    case = content["results"][0]["cases"][0]
    assert case["figures"]["clips_per_s"] == {"median": 2, "q1": 1.5, "q3": 2.5, "values": [1, 3]}
    assert content["results"][0]["goals"][0]["met"] is True
    (tmp_path / "file").touch()
    for wrong in (tmp_path / "file" / "figures.json", tmp_path):
        with pytest.raises(FastrotError, match=r"cannot (write|be written)"):
            require_writable(wrong)
        with pytest.raises(FastrotError, match=r"cannot (write|be written)"):
            save(wrong, {}, [], took_s=0)


def test_the_environment_names_processor_versions_and_no_folder_of_the_program(monkeypatch):
    monkeypatch.setattr("sys.argv", ["/somewhere/bin/fastrot", "bench", "all"])
    found = environment(Runtime(torch.device("cpu"), 0, 1, 2, "fp32"))
    assert found["packages"]["torch"] == torch.__version__
    assert found["command"] == ["fastrot", "bench", "all"]
    assert found["cpu"]
    assert found["memory_gb"] > 0.1


def test_the_budget_of_all_is_used_up_exactly():
    names = list(SHARES)
    left = 600.0
    for i, name in enumerate(names):
        left -= budget_of(name, left, names[i:])
    assert left == pytest.approx(0)
    assert budget_of("train", 50.0, ["train"]) == 50.0
    first = budget_of(names[0], 600.0, names)
    assert budget_of(names[1], 600.0 - first / 2, names[1:]) > 600.0 * SHARES[names[1]]


def test_a_benchmark_that_breaks_as_a_whole_is_shown_as_that():
    result = Result.of_failure("train", MemoryError("no room"))
    assert result.broken
    assert result.cases[0].failed == "MemoryError: no room"
