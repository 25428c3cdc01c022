"""A small network with random weights and random BatchNorm statistics."""

import pytest
import torch

from fastrot.config import from_mapping
from fastrot.evaluation.trained import Trained
from fastrot.tasks import make_task


@pytest.fixture
def trained(make_store):
    config = from_mapping(
        {
            "data": {"store": str(make_store().path), "frames": 4, "crop": 24},
            "model": {"depth": 10, "width": 2},
        }
    )
    torch.manual_seed(1)
    task = make_task(config, [])
    network = task.network(config.model)
    network.bn1.running_mean.normal_()
    network.bn1.running_var.uniform_(0.5, 2)
    return Trained(network, task, config)
