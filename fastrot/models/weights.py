"""Starting a network from a file: a fastrot checkpoint, or one in Hara's or torchvision's form."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fastrot.checkpoint import FORMAT, load_plain
from fastrot.models.network import Network, load_backbone
from pipelines.errors import FastrotError

# torchvision's r3d_18 wraps each convolution with its BatchNorm: layer1.0.conv1.0 and layer1.0.conv1.1.
_TORCHVISION = (
    (re.compile(r"^stem\.0\."), "conv1."),
    (re.compile(r"^stem\.1\."), "bn1."),
    (re.compile(r"^(layer\d\.\d+)\.conv(\d)\.0\."), r"\1.conv\2."),
    (re.compile(r"^(layer\d\.\d+)\.conv(\d)\.1\."), r"\1.bn\2."),
)


def start_from(path: Path | str, network: Network, *, partial: bool = False) -> str:
    """Copy a file's backbone into ``network`` and return a line about what matched.

    Args:
        path: A fastrot checkpoint; Hara's form (``state_dict`` with names such as
            ``module.layer1.0.conv1.weight``); or torchvision's ``r3d_18`` (``stem.0.weight``).
        network: Receives everything but its head.
        partial: Load what has the same name and shape and leave the rest as it is, instead of
            refusing a file that does not fit whole.

    Raises:
        FastrotError: the file cannot be read, or does not fit; the network is then as it was.
    """
    state, form = read_state(path)
    try:
        if partial:
            return f"init {path} ({form}): {_load_matching(network, state)}"
        loaded = load_backbone(network, state)
    except FastrotError as error:
        raise FastrotError(f"init={path} ({form}): {error}{_stem_note(state, network)}") from None
    unused = sorted(set(state) - set(loaded))
    return f"init {path} ({form}): {len(loaded)} tensors loaded, not used: {_some(unused)}"


def read_state(path: Path | str) -> tuple[dict[str, Tensor], str]:
    """Return a file's tensors by our names, and the name of its form.

    Raises:
        FastrotError: the file cannot be read, or holds no weights.
    """
    values = load_plain(path)
    form = "fastrot"
    state: Any = values
    if isinstance(values, Mapping) and values.get("format") == FORMAT:
        state = values.get("model")
    elif isinstance(values, Mapping) and "state_dict" in values:
        state, form = values["state_dict"], "Hara's form"
    else:
        form = "a bare state dict"
    if not isinstance(state, Mapping) or not state:
        raise FastrotError(f"{path} holds no network's weights")
    tensors = {str(name).removeprefix("module."): value for name, value in state.items()}
    if not all(isinstance(value, Tensor) for value in tensors.values()):
        raise FastrotError(f"{path} holds other things than tensors where weights are expected")
    if "stem.0.weight" in tensors:
        form = "torchvision's form"
        tensors = {_our_name(name): value for name, value in tensors.items()}
    return tensors, form


def _our_name(name: str) -> str:
    for pattern, ours in _TORCHVISION:
        name = pattern.sub(ours, name)
    return name


def _load_matching(network: Network, state: Mapping[str, Tensor]) -> str:
    # Counters of batches have a shape that always fits, and say nothing of the weights.
    wanted = {
        name: value
        for name, value in network.state_dict().items()
        if not name.startswith("fc.") and not name.endswith(".num_batches_tracked")
    }
    fits = [name for name in wanted if name in state and state[name].shape == wanted[name].shape]
    if not fits:
        raise FastrotError("nothing in it has the name and shape of the network's weights")
    with torch.no_grad():
        for name in fits:
            wanted[name].copy_(state[name])
    left = sorted(set(wanted) - set(fits))
    return f"{len(fits)} of {len(wanted)} tensors loaded, left as they were: {_some(left)}"


def _stem_note(state: Mapping[str, Tensor], network: Network) -> str:
    """Say what it means where the first convolution is another one."""
    theirs, ours = state.get("conv1.weight"), network.conv1.weight
    if theirs is None or theirs.ndim != 5 or theirs.shape[2:] == ours.shape[2:]:
        return ""
    kernel, own = ("x".join(map(str, weight.shape[2:])) for weight in (theirs, ours))
    return (
        f" Its stem is {kernel}, ours {own} with max-pooling behind it, so its blocks were trained on other "
        "features. init_partial=true loads what fits all the same, and leaves the stem untrained."
    )


def _some(names: list[str]) -> str:
    return (
        ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "") or "none"
    )
