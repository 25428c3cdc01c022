"""Limits how many configurations of the rotation kernel are compiled: each takes seconds on a cold cache."""

from typing import Any


def compile_few(count: int | None) -> str:
    """Let the kernel choose among its first ``count`` configurations only; None allows all.

    Returns:
        a sentence that says so.
    """
    launch = _launcher()
    if launch is None:
        return "Triton is not installed: the rotation op runs in plain torch"
    if not hasattr(launch, "every"):
        launch.every = list(launch.configs)
    launch.configs = launch.every[:count]
    return f"the rotation kernel chooses among {len(launch.configs)} configurations"


def chosen() -> str:
    """Return the configuration that the kernel chose last."""
    return str(getattr(_launcher(), "best_config", None))


def _launcher() -> Any:
    try:
        from fastrot.rotation import kernel
    except ImportError:
        return None
    return kernel._launch
