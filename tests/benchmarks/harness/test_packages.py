"""Whether a package is installed, without importing it."""

import sys

import pytest

from benchmarks.harness.packages import installed


@pytest.mark.parametrize(
    ("module", "found"),
    [("json.decoder", True), ("no_such_package", False), ("no_such_package.part", False)],
)
def test_packages_and_their_modules(module, found):
    assert installed(module) is found


def test_nothing_is_imported():
    sys.modules.pop("this", None)
    assert installed("this")
    assert "this" not in sys.modules
