"""Who works in a run's folder, and how the run stands: a lock, and ``state.json`` beside it.

The kernel drops the lock when its owner ends, however it ends. So a state of ``running`` whose lock
nobody holds is that of a run that was killed.
"""

import contextlib
import fcntl
import json
import os
import socket
import time
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pipelines.errors import FastrotError, PreemptedError, first_line
from pipelines.files import write_file

State = Literal["running", "done", "preempted", "failed"]

LOCK, STATE = ".lock", "state.json"

# `read_state` holds the lock for an instant; a process that is being killed for a little longer.
_TRIES, _PAUSE_S = 5, 0.1


class Ownership:
    """This process's hold on a run's folder, from ``claim`` to ``release``.

    Attributes:
        begun: whether this process has written a state.
        note: a line for the log where the file system has no locks; else empty.
    """

    def __init__(self, folder: Path, descriptor: int, made: list[Path], note: str):
        self._folder = folder
        self._descriptor = descriptor
        self._made = made
        self.begun = False
        self.note = note

    @classmethod
    def claim(cls, folder: Path) -> "Ownership":
        """Take the folder, made if absent.

        Raises:
            FastrotError: another process has it; the message names that one.
            OSError: it cannot be made or written.
        """
        lock = folder / LOCK
        made = [path for path in (lock, folder, *folder.parents) if not path.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        for attempt in range(_TRIES):
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = _owner_of(lock)
                os.close(descriptor)
                if attempt < _TRIES - 1:
                    time.sleep(_PAUSE_S)
                continue
            except OSError:
                note = _without_locks(folder)
                break
            if _is_at(descriptor, lock):
                note = ""
                break
            os.close(descriptor)  # its last owner has removed it meanwhile
        else:
            raise FastrotError(
                f"{folder} is in use by {holder}: wait until it has ended or stop it, or choose "
                "another name=..."
            )
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(_who()).encode(), 0)
        return cls(folder, descriptor, made, note)

    def write(self, state: State, step: int, reason: str | None = None) -> None:
        """Write ``state.json``.

        Args:
            state: how the run stands.
            step: that of its last checkpoint, from which a resumed run continues.
            reason: why it is so, where there is something to say.
        """
        self.begun = True
        values = {
            "state": state,
            **_who(),
            "restarts": int(os.environ.get("SLURM_RESTART_COUNT") or 0),
            "step": step,
            "reason": reason,
            "time": datetime.now().astimezone().isoformat(timespec="seconds"),
        }
        write_file(self._folder / STATE, json.dumps(values) + "\n")

    def release(self) -> None:
        """Let others have the folder. Where nothing has begun, what ``claim`` made is removed."""
        if not self.begun:
            with contextlib.suppress(OSError):
                for path in self._made:
                    path.unlink() if path.name == LOCK else path.rmdir()
        os.close(self._descriptor)


def ending(error: BaseException) -> tuple[State, str]:
    """Return the state in which an error leaves a run, and the reason to write down."""
    if isinstance(error, PreemptedError):
        return "preempted", "a signal asked to stop; saved"
    if isinstance(error, KeyboardInterrupt):
        return "failed", "interrupted by Ctrl-C"
    return "failed", first_line(error)


def read_state(folder: Path) -> dict[str, Any] | None:
    """Return what ``state.json`` says, None where there is none or it is no state.

    Its ``state`` is ``killed`` where it says ``running`` and nobody holds the lock.
    """
    try:
        values = json.loads((folder / STATE).read_text())
    except (OSError, ValueError):
        return None
    if not isinstance(values, dict) or "state" not in values:
        return None
    if values["state"] == "running" and _is_free(folder / LOCK):
        values["state"] = "killed"
    return values


def _who() -> dict[str, Any]:
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "job": os.environ.get("SLURM_JOB_ID"),
    }


def _owner_of(lock: Path) -> str:
    """Return the name of the process that wrote itself into the lock."""
    try:
        who = json.loads(lock.read_text())
        name = f"process {who['pid']} on {who['host']}"
        return f"{name}, Slurm job {who['job']}" if who["job"] else name
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def _without_locks(folder: Path) -> str:
    """Do without a lock: refuse where ``state.json`` names a process of this machine that still lives."""
    state = read_state(folder) or {}
    here = state.get("host") == socket.gethostname() and state.get("pid") != os.getpid()
    if state.get("state") == "running" and here and _lives(state.get("pid")):
        raise FastrotError(
            f"{folder} is in use by process {state['pid']} on this machine: wait until it has ended or "
            f"stop it; if it is no fastrot run, remove {folder / STATE}"
        )
    return (
        f"the file system of {folder} has no locks: a second process on another machine would not be "
        "noticed"
    )


def _lives(pid: object) -> bool:
    try:
        os.kill(int(str(pid)), 0)
    except PermissionError:
        return True
    except (OSError, ValueError):
        return False
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _is_free(lock: Path) -> bool:
    try:
        descriptor = os.open(lock, os.O_RDONLY)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return True
    except OSError:  # held, or a file system without locks, where nobody knows
        return False
    finally:
        os.close(descriptor)
