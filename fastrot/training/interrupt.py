"""Signals that end a run after a step on which all processes agree."""

import faulthandler
import os
import signal
import socket
import threading
from types import FrameType, TracebackType

PREEMPTED, INTERRUPTED = 1, 2
"""A stop requested by the scheduler (SIGTERM, SIGUSR1) or by the user (Ctrl-C). The higher value wins."""

_NOW_S = 2.0
_INTERRUPTED_CODE, _QUIT_CODE = 130, 131
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP, signal.SIGQUIT)


class Interrupt:
    """A context that records SIGINT, SIGTERM, SIGUSR1, SIGHUP and SIGQUIT in ``asked``.

    A second SIGINT ends the process immediately; a second SIGQUIT prints the stack of every thread and ends
    the process. A SIGHUP that is already ignored, for example under nohup, stays ignored. torchrun forwards
    Ctrl-C as a SIGTERM in addition to the terminal's SIGINT, which counts as one request.

    A process that is blocked in a library, on a device or on another process does not run Python's signal
    handlers. A thread therefore ends it two seconds after the second SIGINT.

    Attributes:
        asked: 0, PREEMPTED or INTERRUPTED.
    """

    def __init__(self) -> None:
        self.asked = 0
        self._before: dict[int, object] = {}
        self._left = threading.Event()

    def _note(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and self.asked == INTERRUPTED:
            raise KeyboardInterrupt
        self.asked = max(self.asked, INTERRUPTED if number == signal.SIGINT else PREEMPTED)

    def __enter__(self) -> "Interrupt":
        # Only the main thread can set handlers. In other threads, the caller's handlers stay in place.
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                    continue
                self._before[number] = signal.signal(number, self._note)
            self._receiver, self._sender = socket.socketpair()
            self._sender.setblocking(False)
            self._woken = signal.set_wakeup_fd(self._sender.fileno(), warn_on_full_buffer=False)
            threading.Thread(target=self._watch, name="fastrot-interrupt", daemon=True).start()
        return self

    def _watch(self) -> None:
        """Read signal numbers, which the interpreter writes even while the main thread is blocked."""
        interrupts = quits = 0
        with self._receiver:
            while interrupts < 2:
                numbers = self._receiver.recv(64)
                if not numbers:
                    return
                interrupts += numbers.count(signal.SIGINT)
                quits += numbers.count(signal.SIGQUIT)
                if quits >= 2:
                    faulthandler.dump_traceback(file=2)
                    os._exit(_QUIT_CODE)
        if not self._left.wait(_NOW_S):
            os._exit(_INTERRUPTED_CODE)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._left.set()
        if self._before:
            signal.set_wakeup_fd(self._woken)
            self._sender.close()
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
