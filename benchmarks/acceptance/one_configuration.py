"""A plugin of pytest, for the processes of pytest-xdist: the rotation kernel compiles one configuration."""

from benchmarks.acceptance.kernel_configs import compile_few


def pytest_configure() -> None:
    """Limit the configurations before any test runs."""
    compile_few(1)
