"""NVIDIA's apex and the unrelated package of that name, by their files."""

import importlib
import sys

import pytest

from fastrot.apex import ApexKind, find_apex


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("apex", "amp_C"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield tmp_path
    sys.modules.pop("amp_C", None)


def package(site, *files):
    for file in files:
        path = site / "apex" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("raise RuntimeError('nobody asked to be imported')")


def test_nvidias_has_its_optimisers_and_perhaps_its_extension(site):
    package(site, "__init__.py", "optimizers/__init__.py", "optimizers/fused_sgd.py")
    assert find_apex() is ApexKind.WITHOUT_EXTENSIONS
    (site / "amp_C.py").write_text("")
    importlib.invalidate_caches()
    assert find_apex() is ApexKind.NVIDIA


def test_the_web_toolkit_is_not_nvidias(site):
    package(site, "__init__.py", "lib/libapex.py")
    assert find_apex() is ApexKind.UNRELATED


def test_none_is_none(monkeypatch):
    monkeypatch.setitem(sys.modules, "apex", None)
    assert find_apex() is ApexKind.NONE
