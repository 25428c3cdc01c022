"""The number of torch's compute threads in this process, and the origin of that number."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "OMP_NUM_THREADS"


@dataclass(frozen=True)
class Threads:
    """A number of threads and its origin: a config key, an environment variable or the cores."""

    number: int
    chosen_by: str

    def __str__(self) -> str:
        return f"{self.number} ({self.chosen_by})"


def choose_threads(
    asked: int | None, cores: int, environment: Mapping[str, str] = os.environ
) -> Threads:
    """Choose torch's threads: the config's number, else the user's OMP_NUM_THREADS, else one per core.

    Args:
        asked: ``train.threads``; None if the config does not set it.
        cores: This process's share of the machine's cores.
        environment: Environment variables of this process.
    """
    if asked is not None:
        return Threads(asked, "train.threads")
    number = users_threads(environment)
    if number is not None:
        return Threads(number, VARIABLE)
    return Threads(cores, "its share of the cores")


def users_threads(environment: Mapping[str, str]) -> int | None:
    """Return the OMP_NUM_THREADS set by the user; None if it is not set or not a positive number.

    In a list such as 8,2 (one number per nesting level), the first number is used.
    """
    first = environment.get(VARIABLE, "").split(",")[0].strip()
    if not first.isdecimal() or int(first) == 0 or _is_torchruns(first, environment):
        return None
    return int(first)


def _is_torchruns(number: str, environment: Mapping[str, str]) -> bool:
    """Return whether torchrun set the number: it sets 1 for several processes if the user set none.

    Workers are child processes of torchrun, and Linux shows the variables that torchrun was started with.
    If they cannot be read, a worker's 1 is assumed to come from torchrun.
    """
    several = int(environment.get("LOCAL_WORLD_SIZE", 1)) > 1
    if number != "1" or not several or "TORCHELASTIC_RUN_ID" not in environment:
        return False
    try:
        variables = Path(f"/proc/{os.getppid()}/environ").read_bytes().split(b"\0")
    except OSError:
        return True
    return not any(each.startswith(f"{VARIABLE}=".encode()) for each in variables)
