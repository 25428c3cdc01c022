"""The CPU cores available to this process."""

import os


def cores() -> int:
    """Return the number of CPU cores this process may run on, which a container may limit."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        return os.cpu_count() or 1
