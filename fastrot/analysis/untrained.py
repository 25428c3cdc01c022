"""The control of the attention maps: an untrained network, and one rule for every BatchNorm (section 4.4)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from fastrot.analysis.attention import all_turns, centre_clips
from fastrot.data.selection import Ints
from fastrot.distributed.runtime import Runtime
from fastrot.evaluation.trained import Trained, evaluating
from fastrot.models.network import Network
from pipelines.store.reading import Store


def untrained_like(trained: Trained, runtime: Runtime) -> Trained:
    """Return a network of the same architecture with other initial weights than the trained one had.

    Its own initial weights would be no control: training changes them only in part. Torch's generator stays
    as it is.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(trained.config.seed + 1)
        network = trained.task.network(trained.config.model)
    runtime.place(network)
    return Trained(network, trained.task, trained.config)


def measure_first_norm(
    networks: Sequence[Trained], store: Store, videos: Ints, runtime: Runtime, *, batch: int
) -> None:
    """Set the statistics of each network's first BatchNorm to those of the videos' centre clips.

    Mean and variance are over all four rotations, frames and pixels. An untrained network has no statistics
    of its own. With the same rule for all networks, only the weights differ.

    Raises:
        FastrotError: A clip cannot be read.
    """
    task, data = networks[0].task, networks[0].config.data
    totals: list[list[Tensor]] = [[] for _ in networks]
    count = 0
    for loaded in centre_clips(data, store, videos, runtime, batch=batch):
        for inputs in all_turns(task.upright(loaded, torch.float32)):
            for total, each in zip(totals, networks, strict=True):
                sums, points = _sums(each.network, inputs)
                total.append(sums)
            count += points
    for total, each in zip(totals, networks, strict=True):
        mean, square = torch.stack(total).sum(dim=0) / count
        norm = each.network.bn1
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(square - mean.square())


def _sums(network: Network, inputs: Tensor) -> tuple[Tensor, int]:
    """Return each kernel's sum and sum of squares, (2, K) float64, and the number of values."""
    with evaluating(network):
        outputs: Tensor = network.conv1(inputs).transpose(0, 1).flatten(1)
        sums = torch.stack([outputs, outputs.square()]).sum(dim=2, dtype=torch.float64)
        return sums, outputs.shape[1]
