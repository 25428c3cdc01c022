"""Single training steps on invented clips, without a store or a loader."""

import numpy as np
import torch

from fastrot.config import Config
from fastrot.distributed.runtime import Runtime
from fastrot.tasks import make_task
from fastrot.training.trainer import Trainer
from pipelines.loading.batches import Batch


def batch(
    count: int = 2, frames: int = 4, crop: int = 32, device: torch.device | str = "cpu"
) -> Batch:
    """Return clips of noise, the same each time."""
    generator = torch.Generator().manual_seed(0)
    shape = (count, frames, crop, crop, 3)
    clips = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    return Batch(
        clips=clips.to(device),
        labels=(torch.arange(count) % 2).to(device),
        videos=np.arange(count),
        samples=np.arange(count),
    )


def make_trainer(config: Config, runtime: Runtime) -> Trainer:
    """Return the trainer of a new network."""
    torch.manual_seed(0)
    task = make_task(config, ["a", "b"])
    network = task.network(config.model)
    network.freeze(config.model.freeze)
    runtime.place(network)
    return Trainer(config, task, network, runtime, steps=9, steps_per_epoch=1.0)


def losses(config: Config, runtime: Runtime, steps: int = 3) -> tuple[list[float], Trainer]:
    """Return the losses of the first steps, all on the same clips, and the trainer."""
    trainer = make_trainer(config, runtime)
    clips = batch(frames=config.data.frames, crop=config.data.crop, device=runtime.device)
    found = []
    for _ in range(steps):
        trainer.advance(iter([clips] * config.train.accumulate))
        found.append(trainer.close_window().loss)
    return found, trainer
