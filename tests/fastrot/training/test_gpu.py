"""Training on a GPU: mixed precision, and that the host does not wait between log lines."""

import math

import pytest
import torch

from fastrot.training import train
from fastrot.training.trainer import Trainer

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("precision", ["auto", "bf16", "fp16", "fp32"])
@pytest.mark.parametrize("task", ["rotation", "action"])
def test_a_short_run_ends_with_a_finite_loss(tiny_config, precision, task):
    result = train(tiny_config(task=task, train={"precision": precision}), quiet=True)
    assert math.isfinite(result.loss)


def test_no_step_waits_for_the_device_between_log_lines(tiny_config, monkeypatch):
    advance = Trainer.advance

    def watched(self, batches):
        if self.step < 2:  # the first steps choose algorithms and allocate
            return advance(self, batches)
        torch.cuda.set_sync_debug_mode("error")
        try:
            return advance(self, batches)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    monkeypatch.setattr(Trainer, "advance", watched)
    train(tiny_config(train={"log_every": 100}), quiet=True)
