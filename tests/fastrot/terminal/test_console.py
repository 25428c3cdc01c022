import re
import time

import pytest
from rich.console import Console

from fastrot.terminal import console


def test_a_pipe_gets_plain_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "LINE_EVERY_S", 0.0)
    with console.progress(40, "prepare", "videos") as advance:
        advance(10)
        advance.to(30, 50)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in lines] == [
        "prepare: 10/40 videos",
        "prepare: 30/50 videos",
        "prepare: 30/50 videos",  # the end is always said
    ]
    assert re.fullmatch(r"prepare: 30/50 videos, [\d.]+ videos/s, \d+:\d\d:\d\d left", lines[-1])


def test_lines_come_seconds_apart(capsys: pytest.CaptureFixture[str]) -> None:
    with console.progress(1000, "prepare", "videos") as advance:
        for _ in range(1000):
            advance()
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_what_an_earlier_run_did_is_not_in_the_rate(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter([0.0, 1.0, 2.0, 10.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(times))
    with console.progress(120, "prepare", "videos") as advance:
        advance.to(99, 120)  # they were there before
        advance.to(100, 120)
    assert "100/120 videos, 10.0 s/video, 0:03:20 left" in capsys.readouterr().out


@pytest.mark.parametrize("keywords", [{"shown": False}, {"lines": False}])
def test_silence_where_asked(capsys: pytest.CaptureFixture[str], keywords: dict[str, bool]) -> None:
    with console.progress(3, "train", "steps", **keywords) as advance:
        advance(3)
    assert capsys.readouterr().out == ""


def test_a_terminal_gets_a_bar_with_rate_and_lines_above(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        console, "_console", Console(force_terminal=True, width=100, highlight=False)
    )
    with console.progress(10, "train", "steps", lines=False) as advance:
        advance(4)
        console.say("step 4  loss [1.0]")
    out = capsys.readouterr().out
    assert "4/10" in out
    assert "steps/s" in out
    assert "step 4  loss [1.0]" in out


@pytest.mark.parametrize(
    ("rate", "text"), [(35.24, "35.2 steps/s"), (1.0, "1.0 steps/s"), (0.047, "21.3 s/step")]
)
def test_a_rate_below_one_is_told_by_its_inverse(rate: float, text: str) -> None:
    assert console.rate_text(rate, "steps") == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (119, "119 s"),
        (120, "2 minutes"),
        (7199, "120 minutes"),
        (3 * 3600, "3 hours"),
        (26 * 86400, "26 days"),
        (2e8, "2,315 days"),
    ],
)
def test_durations_in_their_largest_unit(seconds: float, text: str) -> None:
    assert console.duration(seconds) == text


def test_the_bar_knows_the_rate_of_steps_that_take_a_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    bar = console._Bar(100, "train", "steps")
    monkeypatch.setattr(bar._progress, "get_time", lambda: now[0])
    for _ in range(3):
        now[0] += 60.0
        bar()
    (task,) = bar._progress.tasks
    assert console._Rate("steps").render(task).plain == "60.0 s/step"


def test_long_lines_are_not_wrapped_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    console.say("x " * 200)
    assert len(capsys.readouterr().out.splitlines()) == 1


@pytest.mark.parametrize("width", [120, 80, 60, 40])
def test_a_bar_stays_on_one_line(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Console(force_terminal=True, width=width, highlight=False)
    monkeypatch.setattr(console, "_console", terminal)
    with console.progress(104_000, "pretrain", "steps", lines=False) as advance:
        advance(99_000)
        advance(1)
    out = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", capsys.readouterr().out)
    lines = [line for line in re.split(r"[\r\n]+", out) if line.strip()]
    assert all("pretrain" in line and "/104000" in line for line in lines)
    assert max(map(len, lines)) <= width


def test_a_terminal_breaks_long_lines_between_words_and_leaves_paths_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Console(force_terminal=True, width=40, highlight=False)
    monkeypatch.setattr(console, "_console", terminal)
    path = "/data/" + "x" * 60
    console.say(f"wrote results.md, tables and figures to {path}")
    console.say("  two  columns\n\nand a line")
    assert capsys.readouterr().out.splitlines() == [
        "wrote results.md, tables and figures to",
        path,
        "  two  columns",
        "",
        "and a line",
    ]


def test_the_rest_of_a_long_line_is_indented(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal = Console(force_terminal=True, width=50, highlight=False)
    monkeypatch.setattr(console, "_console", terminal)
    console.say("warning  memory  1 of 2 GiB available, which is less\nno", hang=9)
    assert capsys.readouterr().out.splitlines() == [
        "warning  memory  1 of 2 GiB available, which is",
        "         less",
        "no",
    ]


def test_an_error_before_the_first_item_leaves_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    def fail(done: int) -> None:
        with console.progress(3, "prepare", "videos") as advance:
            advance(done)
            raise KeyError

    for done, lines in ((0, 0), (1, 1)):
        with pytest.raises(KeyError):
            fail(done)
        assert capsys.readouterr().out.count("\n") == lines
