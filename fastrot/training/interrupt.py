"""Signals that end a run: they wait for the end of a step, on which all processes agree."""

import faulthandler
import os
import signal
import socket
import threading
from types import FrameType, TracebackType

PREEMPTED, INTERRUPTED = 1, 2
"""How a stop was asked for: by the machine's keeper, or by a person. The higher one wins."""

_NOW_S = 2.0
_INTERRUPTED_CODE, _QUIT_CODE = 130, 131
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP, signal.SIGQUIT)


class Interrupt:
    """While entered, notes the first SIGINT, SIGTERM, SIGUSR1, SIGHUP or SIGQUIT in ``asked``.

    A second SIGINT acts at once; a second SIGQUIT prints what every thread is doing and ends the process.
    A SIGHUP that is ignored already, as under nohup, stays ignored.
    torchrun passes Ctrl-C on as a SIGTERM besides the terminal's SIGINT, which is one request, not two.
    At once means at once: a process that waits in a library, for a device or for another process,
    does not run Python's handlers, and is ended by a thread after two seconds.

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
        # Python lets only the main thread set handlers; in others, who interrupts decides what happens.
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                    continue
                self._before[number] = signal.signal(number, self._note)
            self._told, self._tell = socket.socketpair()
            self._tell.setblocking(False)
            self._woken = signal.set_wakeup_fd(self._tell.fileno(), warn_on_full_buffer=False)
            threading.Thread(target=self._watch, name="fastrot-interrupt", daemon=True).start()
        return self

    def _watch(self) -> None:
        """Read the numbers of signals, which the interpreter writes whatever the main thread does."""
        interrupts = quits = 0
        with self._told:
            while interrupts < 2:
                numbers = self._told.recv(64)
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
            self._tell.close()
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
