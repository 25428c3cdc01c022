"""Which process this is, by torchrun's variables: known before torch is imported."""

import os


def is_first_process() -> bool:
    """Return whether this is rank 0, or the only process: the one that prints and writes."""
    return os.environ.get("RANK", "0") == "0"


def is_first_on_machine() -> bool:
    """Return whether this is the first, or the only, process of its machine."""
    return os.environ.get("LOCAL_RANK", "0") == "0"
