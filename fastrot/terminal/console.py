"""Progress output: a bar on a terminal, plain lines in a pipe."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Protocol

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from fastrot.terminal.wrapping import wrapped

LINE_EVERY_S = 5.0
WIDE = 64
"""Columns of a terminal from which a progress line has a bar; ten fewer, and it has no rate either."""

# All output uses one console, so that lines printed while a bar is shown appear above it.
_console = Console(highlight=False)


def say(text: str, *, hang: int = 0) -> None:
    """Print lines to standard output, above the progress bar if one is shown.

    On a terminal long lines are broken between words, and their rest is indented by ``hang`` columns.
    """
    if _console.is_terminal:
        text = wrapped(text, _console.width, hang=hang)
    _console.print(text, markup=False, soft_wrap=True)


def silence() -> None:
    """Print nothing from now on, in a process whose parent reports the progress."""
    _console.quiet = True


def show(table: RenderableType) -> None:
    """Print a table to standard output, 120 columns wide if it is not a terminal."""
    console = _console if _console.is_terminal else Console(highlight=False, width=120)
    console.print(table)


def rate_text(rate: float, unit: str) -> str:
    """Format a rate such as ``35.2 videos/s``; below 1 its inverse, such as ``21.3 s/step``.

    Args:
        rate: Items per second, above 0.
        unit: What is counted, in the plural.
    """
    return f"{rate:.1f} {unit}/s" if rate >= 1 else f"{1 / rate:.1f} s/{unit.removesuffix('s')}"


def duration(seconds: float) -> str:
    """Format a duration in its largest unit, such as ``26 days``."""
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.0f} {unit}"
    return f"{seconds:.0f} s"


class Advance(Protocol):
    """Callable that advances a progress display, as yielded by ``progress``."""

    def __call__(self, count: int = 1) -> None:
        """Add ``count`` finished items."""

    def to(self, done: int, total: int) -> None:
        """Set the progress to ``done`` of ``total``, as reported by ``pipelines``.

        The first call sets the start, which is not 0 if an earlier run did part of the work.
        """


@contextmanager
def progress(
    total: int, what: str, unit: str, *, shown: bool = True, lines: bool = True
) -> Iterator[Advance]:
    """Show the progress of ``what``, its rate in ``unit`` per second (or its inverse), and the time left.

    This is a bar on a terminal. Otherwise a plain line is printed every 5 seconds and at the end.

    Args:
        total: Number of items.
        what: The activity, such as "prepare".
        unit: What is counted, such as "videos".
        shown: False shows nothing, for processes other than the first.
        lines: False prints no plain lines, for callers that write their own log.
    """
    display: _Silent
    if shown and _console.is_terminal:
        display = _Bar(total, what, unit)
    elif shown and lines:
        display = _Lines(total, what, unit)
    else:
        display = _Silent()
    with display:
        yield display


class _Silent:
    """Display that shows nothing; base of the others."""

    def __call__(self, count: int = 1) -> None:
        pass

    def to(self, done: int, total: int) -> None:
        pass

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        pass


class _Lines(_Silent):
    """Plain lines such as ``prepare: 120/1400 videos, 35.2 videos/s, 0:00:36 left``."""

    def __init__(self, total: int, what: str, unit: str):
        self._total, self._what, self._unit = total, what, unit
        self._done = 0
        self._began = self._printed = time.monotonic()
        # Work done by an earlier run, set by the first `to`; excluded from the rate.
        self._skipped: int | None = None

    def __call__(self, count: int = 1) -> None:
        self._skipped = self._skipped or 0
        self._done += count
        if time.monotonic() - self._printed >= LINE_EVERY_S:
            self._print()

    def to(self, done: int, total: int) -> None:
        if self._skipped is None:
            self._skipped = self._done = done
        self._total = total
        self(done - self._done)

    def _print(self) -> None:
        self._printed = time.monotonic()
        rate = (self._done - (self._skipped or 0)) / max(self._printed - self._began, 1e-9)
        line = f"{self._what}: {self._done}/{self._total} {self._unit}"
        if rate:
            left = timedelta(seconds=round((self._total - self._done) / rate))
            line += f", {rate_text(rate, self._unit)}, {left} left"
        say(line)

    def __exit__(self, *error: object) -> None:
        if self._done or error[:1] == (None,):  # an error before the first item says enough
            self._print()


class _Bar(_Silent):
    """A bar with the count, the rate and the time left."""

    def __init__(self, total: int, what: str, unit: str):
        self._progress = Progress(
            *_columns(unit, _console.width),
            console=_console,
            # A rate needs two samples; with rich's default period, slow steps would leave only one.
            speed_estimate_period=3600,
        )
        self._task = self._progress.add_task(what, total=total)
        self._moved = False

    def __call__(self, count: int = 1) -> None:
        self._moved = True
        self._progress.advance(self._task, count)

    def to(self, done: int, total: int) -> None:
        if self._moved:
            self._progress.update(self._task, completed=done, total=total)
        else:  # work done by an earlier run; excluded from the rate
            self._moved = True
            self._progress.reset(self._task, completed=done, total=total)

    def __enter__(self) -> None:
        self._progress.start()

    def __exit__(self, *error: object) -> None:
        self._progress.stop()


def _columns(unit: str, width: int) -> list[ProgressColumn]:
    """Return the parts of a bar, which stays on one line: those that a narrow terminal can miss go first."""
    columns: list[ProgressColumn] = [TextColumn("{task.description}")]
    if width >= WIDE:
        columns.append(BarColumn(bar_width=min(40, width - WIDE + 10)))
    columns.append(TextColumn("{task.completed:.0f}/{task.total:.0f}"))
    if width >= WIDE - 10:
        columns.append(_Rate(unit))
    return [*columns, TimeRemainingColumn()]


class _Rate(ProgressColumn):
    def __init__(self, unit: str):
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(rate_text(speed, self._unit) if speed else f"- {self._unit}/s")
