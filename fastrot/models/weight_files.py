"""Reading weight files and initialising a network from them: fastrot's, Hara's or torchvision's format."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from fastrot.models.network import Network, copy_backbone
from fastrot.models.resnet3d import ResNet3D
from fastrot.runs.checkpoint import FORMAT, load_plain
from pipelines.errors import FastrotError

# torchvision's r3d_18 groups each convolution with its BatchNorm: layer1.0.conv1.0 and layer1.0.conv1.1.
_TORCHVISION = (
    (re.compile(r"^stem\.0\."), "conv1."),
    (re.compile(r"^stem\.1\."), "bn1."),
    (re.compile(r"^(layer\d\.\d+)\.conv(\d)\.0\."), r"\1.conv\2."),
    (re.compile(r"^(layer\d\.\d+)\.conv(\d)\.1\."), r"\1.bn\2."),
)

ABOUT = "fastrot"
"""The key under which an exported file describes its weights."""


@dataclass(frozen=True)
class Weights:
    """The contents of a weight file.

    Attributes:
        tensors: By fastrot's names, including those of the head (``fc.``).
        form: Format of the file, for messages.
        about: The sections ``model`` and ``data`` of the training config, as far as the file contains them.
    """

    tensors: dict[str, Tensor]
    form: str
    about: Mapping[str, Any] = field(default_factory=dict)

    def copy_into(
        self, network: ResNet3D, name: Path | str, *, partial: bool = False
    ) -> tuple[list[str], list[str]]:
        """Copy the backbone with ``copy_backbone``; ``name`` is the file's name in messages."""
        try:
            return copy_backbone(network, self.tensors, partial=partial)
        except FastrotError as error:
            note = _stem_note(self.tensors, network)
            raise FastrotError(f"{name} ({self.form}): {error}{note}") from None


def start_from(path: Path | str, network: Network, *, partial: bool = False) -> str:
    """Copy the backbone of a file into ``network`` and return a line that reports what matched.

    Args:
        path: A fastrot checkpoint or export; Hara's format (``state_dict`` with names such as
            ``module.layer1.0.conv1.weight``); torchvision's ``r3d_18`` (``stem.0.weight``); or any of
            these names in a ``.safetensors`` file.
        network: Receives everything except its head.
        partial: Load the tensors with the same name and shape and leave the others unchanged, instead of
            rejecting a file that does not fit completely.

    Raises:
        FastrotError: The file cannot be read or does not fit. The network is left unchanged.
    """
    weights = read_weights(path)
    loaded, left = weights.copy_into(network, f"init={path}", partial=partial)
    if partial:
        total = len(loaded) + len(left)
        what = f"{len(loaded)} of {total} tensors loaded, not loaded: {_some(left)}"
    else:
        unused = sorted(set(weights.tensors) - set(loaded))
        what = f"{len(loaded)} tensors loaded, not used: {_some(unused)}"
    return f"init {path} ({weights.form}): {what}"


def read_weights(path: Path | str) -> Weights:
    """Read the tensors of a file in any supported format.

    Raises:
        FastrotError: The file cannot be read or contains no weights.
    """
    state: Any
    about: Mapping[str, Any] = {}
    if Path(path).suffix == ".safetensors":
        state, about = _read_safetensors(Path(path))
        form = "safetensors"
    else:
        state, about, form = _read_torch(path)
    if not isinstance(state, Mapping) or not state:
        raise FastrotError(f"{path} contains no network weights: give a checkpoint or a state dict")
    tensors = {str(name).removeprefix("module."): value for name, value in state.items()}
    if not all(isinstance(value, Tensor) for value in tensors.values()):
        raise FastrotError(f"{path} contains more than tensors: save only the network's weights")
    if "stem.0.weight" in tensors:
        form = "torchvision's format"
        tensors = {_our_name(name): value for name, value in tensors.items()}
    return Weights(tensors, form, about)


def _read_torch(path: Path | str) -> tuple[Any, Mapping[str, Any], str]:
    values = load_plain(path)
    if not isinstance(values, Mapping):
        return values, {}, "a bare state dict"
    if values.get("format") == FORMAT:
        return values.get("model"), values.get("config", {}), "fastrot"
    if ABOUT in values:
        return values.get("state_dict"), values[ABOUT], "a fastrot export"
    if "state_dict" in values:
        return values["state_dict"], {}, "Hara's format"
    return values, {}, "a bare state dict"


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], Mapping[str, Any]]:
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError:
        raise FastrotError(f"reading {path} needs safetensors: pip install safetensors") from None
    try:
        with safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {}).get(ABOUT, "{}"))
            return {name: file.get_tensor(name) for name in file.keys()}, about  # noqa: SIM118
    except FileNotFoundError:
        raise FastrotError(f"{path} does not exist") from None
    except (OSError, ValueError, SafetensorError) as error:
        raise FastrotError(f"{path} is damaged or not a safetensors file: {error}") from None


def _our_name(name: str) -> str:
    for pattern, ours in _TORCHVISION:
        name = pattern.sub(ours, name)
    return name


def _stem_note(state: Mapping[str, Tensor], network: ResNet3D) -> str:
    """Return an addition to the message if the kernel size of the first convolution differs."""
    theirs, ours = state.get("conv1.weight"), network.conv1.weight
    if theirs is None or theirs.ndim != 5 or theirs.shape[2:] == ours.shape[2:]:
        return ""
    kernel, own = ("x".join(map(str, weight.shape[2:])) for weight in (theirs, ours))
    return (
        f" Its stem kernel is {kernel}, the network's is {own} with max-pooling, so its blocks were trained "
        "on other features. A partial load (init_partial=true or --partial) loads the tensors that fit and "
        "leaves the stem randomly initialised."
    )


def _some(names: list[str]) -> str:
    return (
        ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "") or "none"
    )
