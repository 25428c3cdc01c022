"""Owner and state of a run's folder: a lock file and ``state.json``.

The kernel releases the lock when its owner ends for any reason. A state of ``running`` without a held lock
therefore means that the run was killed.
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

# `read_state` holds the lock only briefly; a process that is being killed holds it a little longer.
_TRIES, _PAUSE_S = 5, 0.1


class Ownership:
    """This process's lock on a run's folder, from ``claim`` to ``release``.

    Attributes:
        begun: Whether this process has written a state.
        note: A line for the log if the file system has no locks; otherwise empty.
    """

    def __init__(self, folder: Path, descriptor: int, made: list[Path], note: str):
        self._folder = folder
        self._descriptor = descriptor
        self._made = made
        self.begun = False
        self.note = note

    @classmethod
    def claim(cls, folder: Path) -> "Ownership":
        """Lock the folder; create it if missing.

        Raises:
            FastrotError: Another process has locked it; the message names that process.
            OSError: The folder cannot be created or written.
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
            os.close(descriptor)  # the previous owner has removed the file in the meantime
        else:
            raise FastrotError(
                f"{folder} is in use by {holder}: wait until it ends, stop it, or choose another name=..."
            )
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(_who()).encode(), 0)
        return cls(folder, descriptor, made, note)

    def write(self, state: State, step: int, reason: str | None = None) -> None:
        """Write ``state.json``.

        Args:
            state: State of the run.
            step: Step of the last checkpoint, from which a resumed run continues.
            reason: Reason for the state, if there is one.
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
        """Unlock the folder. If no state was written, remove the files and folders created by ``claim``."""
        if not self.begun:
            with contextlib.suppress(OSError):
                for path in self._made:
                    path.unlink() if path.name == LOCK else path.rmdir()
        os.close(self._descriptor)


def ending(error: BaseException) -> tuple[State, str]:
    """Return the state of a run after an error, and the reason to record."""
    if isinstance(error, PreemptedError):
        return "preempted", "stopped by a signal; saved"
    if isinstance(error, KeyboardInterrupt):
        return "failed", "interrupted by Ctrl-C"
    return "failed", first_line(error)


def read_state(folder: Path) -> dict[str, Any] | None:
    """Return the content of ``state.json``, or None if it is missing or invalid.

    A ``state`` of ``running`` is returned as ``killed`` if no process holds the lock.
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
    """Return a description of the process recorded in the lock file."""
    try:
        who = json.loads(lock.read_text())
        name = f"process {who['pid']} on {who['host']}"
        return f"{name}, Slurm job {who['job']}" if who["job"] else name
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def _without_locks(folder: Path) -> str:
    """Fall back to ``state.json``: raise an error if it names a live process on this machine."""
    state = read_state(folder) or {}
    here = state.get("host") == socket.gethostname() and state.get("pid") != os.getpid()
    if state.get("state") == "running" and here and _lives(state.get("pid")):
        raise FastrotError(
            f"{folder} is in use by process {state['pid']} on this machine: wait until it ends or stop it; "
            f"if it is not a fastrot run, remove {folder / STATE}"
        )
    return (
        f"the file system of {folder} does not support locks: a second process on another machine would "
        "not be detected"
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
    except OSError:  # held, or a file system without locks, where the owner is unknown
        return False
    finally:
        os.close(descriptor)
