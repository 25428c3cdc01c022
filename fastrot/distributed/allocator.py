"""Settings of the C library's memory allocator."""

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -3, -4


def keep_freed_memory() -> bool:
    """Make glibc keep freed memory for the next step; return whether the settings were accepted.

    By default glibc returns every block above 32 MB to the kernel. On a CPU, the page faults of allocating it
    again cost several times the training step itself. Other C libraries are not changed.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        return False
    accepted = [
        mallopt(_M_MMAP_THRESHOLD, 32 << 20),
        mallopt(_M_TRIM_THRESHOLD, -1),  # as a size_t: never
        mallopt(_M_MMAP_MAX, 0),
    ]
    return all(accepted)
