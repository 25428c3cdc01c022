"""The training loop shared by pretext and transfer."""

from fastrot.training.result import TrainResult
from fastrot.training.run import train

__all__ = ["TrainResult", "train"]
