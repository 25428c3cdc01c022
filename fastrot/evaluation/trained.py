"""A network together with what it takes to feed it: all that an evaluation needs."""

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
    """A network on its device, its task and its config, in training or from a checkpoint."""

    network: Network
    task: Task
    config: Config


def load_trained(path: Path | str, runtime: Runtime) -> Trained:
    """Load a checkpoint's network, ready to be evaluated.

    Raises:
        FastrotError: the file is no checkpoint, or of another version of fastrot.
    """
    return trained_of(load_checkpoint(path), path, runtime)


def trained_of(values: Mapping[str, Any], path: Path | str, runtime: Runtime) -> Trained:
    """Return the network of a checkpoint's ``values``, ready to be evaluated; ``path`` is for the message.

    A checkpoint of a task of the user's own names its class, which is imported: see docs/extending.md.

    Raises:
        FastrotError: they are of another version of fastrot, or their task cannot be imported.
    """
    try:
        config = from_mapping(values["config"])
        classes = values["classes"]
    except (KeyError, TypeError, FastrotError) as error:
        raise FastrotError(f"{path} does not fit this version of fastrot: {error}") from None
    try:
        task = make_task(config, classes)
    except FastrotError as error:
        raise type(error)(f"{path} cannot be loaded: {error}") from None
    try:
        network = task.network(config.model)
        network.load_state_dict(values["model"])
    except (KeyError, TypeError, RuntimeError) as error:
        raise FastrotError(f"{path} does not fit this version of fastrot: {error}") from None
    runtime.place(network)
    return Trained(network, task, config)


@contextmanager
def evaluating(network: torch.nn.Module) -> Iterator[None]:
    """Put the network (its BatchNorm too) in eval mode, without gradients, and back after it."""
    was_training = network.training
    network.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        network.train(was_training)
