"""A network with its task and config, which is all that an evaluation needs."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from fastrot.config import Config, from_mapping
from fastrot.distributed.runtime import Runtime
from fastrot.models.network import Network
from fastrot.runs.checkpoint import load_checkpoint
from fastrot.tasks import Task, make_task
from pipelines.errors import FastrotError


@dataclass(frozen=True)
class Trained:
    """A network on its device with its task and config, during training or from a checkpoint."""

    network: Network
    task: Task
    config: Config


def load_trained(path: Path | str, runtime: Runtime) -> Trained:
    """Load the network of a checkpoint for evaluation.

    Raises:
        FastrotError: The file is not a checkpoint, or is from another version of fastrot.
    """
    return trained_of(load_checkpoint(path), path, runtime)


def trained_of(values: Mapping[str, Any], path: Path | str, runtime: Runtime) -> Trained:
    """Return the network from the ``values`` of a checkpoint for evaluation; ``path`` is for messages.

    The checkpoint of a user-defined task contains the name of its class, which is imported; see
    docs/extending.md.

    Raises:
        FastrotError: The checkpoint is from another version of fastrot, or its task cannot be imported.
    """
    try:
        config = from_mapping(values["config"])
        classes = values["classes"]
    except (KeyError, TypeError, FastrotError) as error:
        raise FastrotError(f"{path} needs the fastrot version that wrote it: {error}") from None
    try:
        task = make_task(config, classes)
    except FastrotError as error:
        raise type(error)(f"{path} cannot be loaded: {error}") from None
    try:
        network = task.network(config.model)
        network.load_state_dict(values["model"])
    except (KeyError, TypeError, RuntimeError) as error:
        raise FastrotError(f"{path} needs the fastrot version that wrote it: {error}") from None
    runtime.place(network)
    return Trained(network, task, config)


@contextmanager
def evaluating(network: torch.nn.Module) -> Iterator[None]:
    """Put the network, including BatchNorm, in eval mode without gradients; restore its mode afterwards."""
    was_training = network.training
    network.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        network.train(was_training)
