"""What is tried depends on what can be imported."""

import pytest

from fastrot.doctor import diagnose
from fastrot.doctor.software import find_software


@pytest.mark.parametrize(("module", "tried"), [("PIL", True), ("nvidia.dali", False)])
def test_the_hardware_decoder_needs_no_encoder(module, tried, monkeypatch):
    def load(name):
        if name == module:
            raise ImportError(name)
        return __import__(name)

    monkeypatch.setattr(diagnose, "try_engine", lambda store: 0.1)
    checks = diagnose._codecs(find_software(load), None)
    assert [check.name for check in checks] == ["codecs", *["JPEG decoder"] * tried]
    assert checks[0].status == "missing"
