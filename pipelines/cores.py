"""What this process may use of the machine."""

import os


def cores() -> int:
    """Return the CPU cores that this process may run on: a container may be pinned to a few of many."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        return os.cpu_count() or 1
