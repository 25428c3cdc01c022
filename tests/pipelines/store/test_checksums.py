"""Both implementations of CRC-32 give the same values for everything that is stored."""

import importlib
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

import pipelines
from pipelines.store import checksums


@pytest.fixture(params=["isal", "zlib"])
def crc32(request, monkeypatch):
    if request.param == "zlib":
        monkeypatch.setitem(sys.modules, "isal.isal_zlib", None)
    yield importlib.reload(checksums).crc32
    monkeypatch.undo()
    importlib.reload(checksums)


def test_each_implementation_is_the_one_it_should_be(crc32, request):
    assert request.node.callspec.params["crc32"] in crc32.__module__


def test_values_are_those_of_the_standard(crc32):
    assert crc32(b"123456789") == 0xCBF43926  # the check value of CRC-32/ISO-HDLC
    assert crc32(b"") == 0
    assert crc32(b"56789", crc32(b"1234")) == 0xCBF43926
    digits = np.frombuffer(b"123456789", dtype=np.uint8)
    assert crc32(digits.data) == 0xCBF43926


def test_large_arrays_have_equal_values(crc32):
    frames = np.random.default_rng(0).integers(0, 256, (16, 136, 136, 3), dtype=np.uint8)
    wrong = frames.copy()
    wrong[9, 100, 100, 1] ^= 1
    assert crc32(frames.data) == zlib.crc32(frames.tobytes())
    assert crc32(wrong.data) != crc32(frames.data)


def test_nothing_else_imports_isal():
    root = Path(pipelines.__file__).parent
    files = [file.name for file in root.rglob("*.py") if "isal_zlib" in file.read_text()]
    assert files == ["checksums.py"]
