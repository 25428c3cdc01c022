"""Ctrl-C that waits for the end of the step."""

import signal
import threading
from types import FrameType, TracebackType


class Interrupt:
    """While entered, notes the first SIGINT or a SIGTERM in ``asked``; a second SIGINT acts at once.

    torchrun passes Ctrl-C on as a SIGTERM besides the terminal's SIGINT, which is one request, not two.
    """

    def __init__(self) -> None:
        self.asked = False
        self._interrupted = False
        self._before: dict[int, object] = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self._interrupted:
            raise KeyboardInterrupt
        self._interrupted |= number == signal.SIGINT
        self.asked = True

    def __enter__(self) -> "Interrupt":
        # Python lets only the main thread set handlers; in others, who interrupts decides what happens.
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
