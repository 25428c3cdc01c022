"""What a run's files say about how it was computed, by hand."""

import pytest

from fastrot.reproduce.run_facts import Settings, settings_of
from pipelines.errors import FastrotError


def test_settings_are_those_resolved_in_the_run(bench):
    folder = bench.finished(
        bench.run(), train={"accumulate": 2, "sync_bn": True}, world_size=8, precision="bf16"
    )
    assert settings_of(folder) == Settings(8, 2, "bf16", True)
    (folder / "env.json").unlink()
    with pytest.raises(FastrotError, match="is not a finished run"):
        settings_of(folder)
