"""Fixtures of the tests that prepare a small data set again and again."""

import pytest

from tests.pipelines.prepare.reviewing import film


@pytest.fixture
def source(tmp_path):
    for i in range(4):
        film(tmp_path / "source" / "ab"[i % 2] / f"{i}.avi", i)
    return tmp_path / "source"


@pytest.fixture
def decoded(monkeypatch):
    """Return the list of files that were handed to the decoding workers."""
    from pipelines.prepare import preparation as module
    from pipelines.prepare.workers import run_isolated

    jobs: list[str] = []

    def watched(function, items, **options):
        jobs.extend(item.path.name for item in items)
        return run_isolated(function, items, **options)

    monkeypatch.setattr(module, "run_isolated", watched)
    return jobs
