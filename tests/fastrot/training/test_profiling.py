import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from fastrot.config import Config, ProfileConfig
from fastrot.training import profiling
from fastrot.training.profiling import profiled, span
from fastrot.training.run import train

SPANS = {"data", "rotate", "forward", "backward", "optimizer"}


def events(path: Path) -> list[dict[str, Any]]:
    """Return the events of a Chrome trace that last some time."""
    trace: list[dict[str, Any]] = json.loads(path.read_text())["traceEvents"]
    return [event for event in trace if event.get("ph") == "X"]


def within(inner: dict[str, Any], outer: dict[str, Any]) -> bool:
    return bool(
        outer["ts"] <= inner["ts"] and inner["ts"] + inner["dur"] <= outer["ts"] + outer["dur"]
    )


def test_a_run_writes_a_trace_of_the_steps_asked_for(
    tiny_config: Callable[..., Config], capsys: pytest.CaptureFixture[str]
) -> None:
    result = train(
        tiny_config(
            profile={"steps": 2, "wait": 1, "warmup": 1}, train={"accumulate": 2, "batch": 4}
        )
    )
    path = result.folder / "profile.json"
    assert f"profiled 2 steps: open {path}" in capsys.readouterr().out
    found = events(path)
    named = {
        name: [
            event for event in found if event["name"] == name and event["cat"] == "user_annotation"
        ]
        for name in SPANS
    }
    # Two steps of two micro-batches.
    assert {name: len(each) for name, each in named.items()} == {
        **dict.fromkeys(SPANS, 4),
        "optimizer": 2,
    }
    for operation, name in (("fastrot::rotate", "rotate"), ("aten::convolution", "forward")):
        calls = [event for event in found if event["name"] == operation]
        assert calls, operation
        assert all(any(within(call, outer) for outer in named[name]) for call in calls)


def test_no_profile_unless_asked_for(tmp_path: Path) -> None:
    with profiled(ProfileConfig(), tmp_path / "p.json", done=print) as step:
        step()
    assert not list(tmp_path.iterdir())


def test_a_run_that_ends_within_the_window_leaves_what_there_is(tmp_path: Path) -> None:
    said: list[str] = []
    with profiled(
        ProfileConfig(steps=5, wait=0, warmup=1), tmp_path / "p.json", done=said.append
    ) as step:
        step()
        with span("forward"):
            torch.ones(2).add(1)
        step()
    assert len(said) == 1
    assert said[0].startswith("profiled 1 steps: ")
    assert "forward" in {event["name"] for event in events(tmp_path / "p.json")}
    assert [path.name for path in tmp_path.iterdir()] == ["p.json"]


@pytest.mark.parametrize("made", [0, 1, 2, 3])
def test_a_run_that_ends_before_the_window_says_so(tmp_path: Path, made: int) -> None:
    said: list[str] = []
    config = ProfileConfig(steps=2, wait=1, warmup=2)
    with profiled(config, tmp_path / "p.json", done=said.append) as step:
        for _ in range(made):
            step()
    assert said == [
        f"no step was profiled: the run ended after {made} steps, but profile.wait + profile.warmup is 3"
    ]
    assert not list(tmp_path.iterdir())


def test_spans_are_nvtx_ranges_only_where_there_is_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(torch.cuda.nvtx, "range_push", calls.append)
    monkeypatch.setattr(torch.cuda.nvtx, "range_pop", lambda: calls.append("pop"))

    def fail(cuda: bool) -> None:
        with span("data"):
            calls.append(f"body {cuda}")
            raise ValueError("within")

    for cuda in (False, True):
        monkeypatch.setattr(profiling, "_has_cuda", lambda cuda=cuda: cuda)
        with pytest.raises(ValueError, match="within"):
            fail(cuda)
    assert calls == ["body False", "data", "body True", "pop"]
