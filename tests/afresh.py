"""Imports a module a second time. Without PyAV, because tests of kernels also run where it is missing."""

import importlib.util
from types import ModuleType


def load_afresh(name: str) -> ModuleType:
    """Run a module afresh, so that it reads TRITON_INTERPRET now; others keep theirs."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
