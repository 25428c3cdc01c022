"""The configuration of a run: a schema of dataclasses, filled from YAML and the command line."""

from fastrot.config.data_config import DataConfig
from fastrot.config.loading import from_mapping, load_config, to_mapping, to_yaml
from fastrot.config.schema import (
    Config,
    ModelConfig,
    OptimConfig,
    ProfileConfig,
    RotationConfig,
    TrainConfig,
)

__all__ = [
    "Config",
    "DataConfig",
    "ModelConfig",
    "OptimConfig",
    "ProfileConfig",
    "RotationConfig",
    "TrainConfig",
    "from_mapping",
    "load_config",
    "to_mapping",
    "to_yaml",
]
