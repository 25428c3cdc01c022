"""How many threads torch computes with in this process, and who chose that number."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "OMP_NUM_THREADS"


@dataclass(frozen=True)
class Threads:
    """A number of threads, and what chose it: a key of the config, a variable or the cores."""

    number: int
    chosen_by: str

    def __str__(self) -> str:
        return f"{self.number} ({self.chosen_by})"


def choose_threads(
    asked: int | None, cores: int, environment: Mapping[str, str] = os.environ
) -> Threads:
    """Choose the threads of torch: the config's, else the user's OMP_NUM_THREADS, else one a core.

    Args:
        asked: ``train.threads``; None where the config leaves it open.
        cores: this process's share of the machine's cores.
        environment: the variables that this process was started with.
    """
    if asked is not None:
        return Threads(asked, "train.threads")
    number = users_threads(environment)
    if number is not None:
        return Threads(number, VARIABLE)
    return Threads(cores, "its share of the cores")


def users_threads(environment: Mapping[str, str]) -> int | None:
    """Return the OMP_NUM_THREADS that the user set; None where there is none, or no positive number.

    Of a list such as 8,2, which is by level of nesting, the first number counts.
    """
    first = environment.get(VARIABLE, "").split(",")[0].strip()
    if not first.isdecimal() or int(first) == 0 or _is_torchruns(first, environment):
        return None
    return int(first)


def _is_torchruns(number: str, environment: Mapping[str, str]) -> bool:
    """Return whether torchrun set the number: 1, for several processes, where there was none.

    Workers are torchrun's children, and Linux shows the variables that a process was started with.
    Where they cannot be read, a worker's 1 is taken for torchrun's.
    """
    several = int(environment.get("LOCAL_WORLD_SIZE", 1)) > 1
    if number != "1" or not several or "TORCHELASTIC_RUN_ID" not in environment:
        return False
    try:
        variables = Path(f"/proc/{os.getppid()}/environ").read_bytes().split(b"\0")
    except OSError:
        return True
    return not any(each.startswith(f"{VARIABLE}=".encode()) for each in variables)
