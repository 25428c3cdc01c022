"""A network together with what it takes to feed it: all that an evaluation needs."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fastrot.config import Config, from_mapping
from fastrot.config.schema import SCRATCH
from fastrot.data.selection import Ints, eval_loader
from fastrot.distributed.runtime import Runtime
from fastrot.models.network import Network
from fastrot.runs.checkpoint import load_checkpoint
from fastrot.tasks import Task, make_task
from fastrot.terminal import console
from pipelines.errors import FastrotError
from pipelines.loading.loader import Batch
from pipelines.loading.replacement import Replaced
from pipelines.store.reading import Store


@dataclass(frozen=True)
class Trained:
    """A network on its device, its task and its config, in training or from a checkpoint."""

    network: Network
    task: Task
    config: Config


@dataclass(frozen=True)
class Protocol:
    """How a result was measured, without which it means little.

    ``clips_per_video`` uniform clips were cropped at the centre, ``crop`` pixels of ``size``; ``weights``
    says which of the network's weights the training on this task moved.
    """

    store: str
    split: str
    videos: int
    clips_per_video: int
    frames: int
    stride: int
    modality: str
    crop: int
    size: int
    weights: str = "full fine-tuning"
    camera_motion: str = "keep"
    dead_zone: int = 0

    @property
    def input(self) -> str:
        """What the network saw, such as "DIF, camera motion removed"."""
        name = self.modality.upper()
        if self.camera_motion == "remove":
            name += ", camera motion removed"
        return f"{name}, dead zone {self.dead_zone}" if self.dead_zone else name

    def __str__(self) -> str:
        clips = "clip" if self.clips_per_video == 1 else "clips"
        return (
            f"{self.store}, split {self.split}, {self.videos} videos, {self.clips_per_video} uniform "
            f"{clips} a video, {self.frames} {self.input} frames at stride {self.stride}, "
            f"centre crop {self.crop} of {self.size}, {self.weights}"
        )


def protocol(
    trained: Trained, store: Store, split: str, videos: Ints, *, clips_per_video: int
) -> Protocol:
    """Return the protocol of an evaluation of ``trained`` on these videos."""
    data = trained.config.data
    return Protocol(
        store=str(store.path),
        split=split,
        videos=len(videos),
        clips_per_video=clips_per_video,
        frames=data.frames,
        stride=data.stride,
        modality=data.modality,
        crop=data.crop,
        size=store.size,
        weights=_trained_weights(trained.config),
        camera_motion=data.camera_motion,
        dead_zone=data.dead_zone,
    )


def _trained_weights(config: Config) -> str:
    if config.model.freeze:
        return f"first {config.model.freeze} of 5 convolution blocks frozen"
    return "all weights trained from scratch" if config.init == SCRATCH else "full fine-tuning"


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


def each_batch(
    trained: Trained,
    store: Store,
    videos: Ints,
    runtime: Runtime,
    *,
    clips_per_video: int,
    batch: int,
    what: str,
    quiet: bool,
    unread: list[Replaced],
) -> Iterator[Batch]:
    """Yield this process's batches of the videos' uniform clips, with progress shown.

    Clips that cannot be read are left out and added to ``unread``: see ``skipping.settle``.
    """
    loader, clips = eval_loader(
        trained.config.data,
        store,
        videos,
        runtime,
        clips_per_video=clips_per_video,
        batch=batch,
        skip=True,
    )
    shown = runtime.is_main and not quiet
    with loader, console.progress(clips, what, "clips", shown=shown) as advance:
        for loaded in loader:
            yield loaded
            advance(len(loaded.samples))
        unread += loader.take_replaced()


def each_output(
    trained: Trained,
    store: Store,
    videos: Ints,
    runtime: Runtime,
    *,
    clips_per_video: int,
    batch: int,
    what: str,
    quiet: bool,
    unread: list[Replaced],
) -> Iterator[tuple[Batch, Tensor, Tensor]]:
    """Yield ``each_batch``'s batches with the network's float32 outputs and the task's targets."""
    for loaded in each_batch(
        trained,
        store,
        videos,
        runtime,
        clips_per_video=clips_per_video,
        batch=batch,
        what=what,
        quiet=quiet,
        unread=unread,
    ):
        inputs, targets = trained.task.prepare(loaded, runtime.dtype)
        with runtime.autocast():
            outputs = trained.network(inputs)
        yield loaded, outputs.float(), targets
