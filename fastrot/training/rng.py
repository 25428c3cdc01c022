"""The state of all random generators of a process, serialised as tensors and plain values."""

import io
import random
from typing import Any

import numpy as np
import torch


def seed_rngs(seed: int) -> None:
    """Seed torch's, numpy's and Python's generators."""
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)


def rng_state(device: torch.device) -> bytes:
    """Return the states of torch's, numpy's and Python's generators, and of the device if it is a GPU."""
    drawn = np.random.get_state(legacy=False)
    assert isinstance(drawn, dict)
    states: dict[str, Any] = {
        "cpu": torch.get_rng_state(),
        "numpy": {**drawn, "state": _plain(drawn["state"])},
        "python": random.getstate(),
    }
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    buffer = io.BytesIO()
    torch.save(states, buffer)
    return buffer.getvalue()


def set_rng_state(data: bytes, device: torch.device) -> None:
    """Restore all generators; that of the GPU only if one was saved."""
    states = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    torch.set_rng_state(states["cpu"])
    np.random.set_state(states["numpy"])
    random.setstate(states["python"])
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)


def _plain(state: dict[str, Any]) -> dict[str, Any]:
    """Return the generator state as plain numbers, because a checkpoint cannot contain numpy arrays."""
    return {key: np.asarray(value).tolist() for key, value in state.items()}
