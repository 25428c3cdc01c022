import threading

import pytest
import torch

from pipelines.loading.threads import serial_threads


def test_threads_that_cannot_be_started_are_an_error_and_none_is_left_waiting(monkeypatch):
    before, start = torch.get_num_threads(), threading.Thread.start
    names = []

    def second_fails(thread):
        if names:
            raise RuntimeError("can't start new thread")
        names.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", second_fails)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        serial_threads(3, "test")
    (begun,) = names
    begun.join(timeout=10)
    assert not begun.is_alive()
    assert torch.get_num_threads() == before
