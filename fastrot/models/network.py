"""Backbone and head (section 3.3): the pretext and transfer networks, and copying weights between them."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from fastrot.models.resnet3d import ResNet3D, Shortcut
from pipelines.errors import FastrotError

PRETEXT_HIDDEN = 64


class Network(ResNet3D):
    """A backbone with a head ``fc`` at the same level, as in Hara's files.

    Args:
        head: Maps feature vectors (N, 8 * width) to logits (N, classes).
        depth: 10, 18 or 34.
        width: Kernels of the stem.
        shortcut: "A" or "B".
        dropout: Dropout probability of the features before the head, in training.
    """

    def __init__(
        self, head: nn.Module, depth: int, width: int, shortcut: Shortcut, dropout: float = 0.0
    ) -> None:
        super().__init__(depth, width, shortcut)
        self.dropout = nn.Dropout(dropout)
        self.fc = head
        self._frozen_blocks = 0

    def forward(self, x: Tensor) -> Tensor:
        """Map clips (N, 3, T, H, W) to logits (N, classes)."""
        logits: Tensor = self.fc(self.dropout(self.embed(x)))
        return logits

    def freeze(self, blocks: int) -> None:
        """Freeze the first ``blocks`` of the five convolution blocks (figure 4a: ">Cn" is n - 1 of them).

        Their weights get no gradient. Their BatchNorm stays in eval mode even after ``train()``, so that
        its statistics do not change.
        """
        self._frozen_blocks = blocks
        for part in self._frozen():
            part.requires_grad_(False)
        self.train(self.training)

    def _frozen(self) -> list[nn.Module]:
        blocks: list[tuple[nn.Module, ...]] = [(self.conv1, self.bn1)]
        blocks += [(layer,) for layer in self.layers()]
        return [part for block in blocks[: self._frozen_blocks] for part in block]

    def train(self, mode: bool = True) -> "Network":
        """Set the mode of all modules except the frozen blocks."""
        super().train(mode)
        for part in self._frozen():
            part.eval()
        return self


class TwoHeads(nn.Module):
    """Two heads on the same features: the logits of the rotation, followed by those of the speed.

    Both are part of the network's ``fc``, so transfer and exports drop them like any other head.

    Args:
        rotation: Maps features (N, F) to logits (N, rotations).
        speed: Maps features (N, F) to logits (N, speeds).
    """

    def __init__(self, rotation: nn.Module, speed: nn.Module) -> None:
        super().__init__()
        self.rotation = rotation
        self.speed = speed

    def forward(self, features: Tensor) -> Tensor:
        """Map features (N, F) to logits (N, rotations + speeds)."""
        return torch.cat([self.rotation(features), self.speed(features)], dim=1)


def pretext_network(
    classes: int, *, depth: int = 18, width: int = 64, shortcut: Shortcut = "A"
) -> Network:
    """Build the network that predicts rotations: two layers after the backbone (the paper's section 3.3).

    Args:
        classes: Number of rotations.
        depth: As in ResNet3D.
        width: As in ResNet3D.
        shortcut: As in ResNet3D.

    Returns:
        The network, randomly initialised.
    """
    head = nn.Sequential(
        nn.Linear(8 * width, PRETEXT_HIDDEN),
        nn.ReLU(inplace=True),
        nn.Linear(PRETEXT_HIDDEN, classes),
    )
    return Network(head, depth, width, shortcut)


def transfer_network(
    classes: int,
    *,
    depth: int = 18,
    width: int = 64,
    shortcut: Shortcut = "A",
    dropout: float = 0.0,
) -> Network:
    """Build the network that recognises actions: one linear layer after the backbone.

    Args:
        classes: Number of actions.
        depth: As in ResNet3D.
        width: As in ResNet3D.
        shortcut: As in ResNet3D.
        dropout: Dropout probability of the features before that layer, in training.

    Returns:
        The network, randomly initialised.
    """
    return Network(nn.Linear(8 * width, classes), depth, width, shortcut, dropout)


def copy_backbone(
    network: ResNet3D, state: Mapping[str, Tensor], *, partial: bool = False
) -> tuple[list[str], list[str]]:
    """Copy everything except the head ``fc`` from a state dict into a network.

    Args:
        network: Receives the weights; its head does not change.
        state: Names and tensors, as returned by ``Network.state_dict``.
        partial: Copy the tensors with the same name and shape, instead of rejecting weights that do not
            all fit.

    Returns:
        The names that were copied, and the sorted names of the network's weights that were not.

    Raises:
        FastrotError: A name is missing or unknown, or a shape differs (the message names the first); or,
            with ``partial``, nothing fits. The network is left unchanged.
    """
    given, wanted = _backbone(state), _backbone(network.state_dict())
    # Files from before PyTorch 0.4.1 lack these counters, and they are not used with a fixed momentum.
    required = [name for name in wanted if not name.endswith(".num_batches_tracked")]
    if partial:
        fitting = [name for name in required if name in given]
        given = {n: given[n] for n in fitting if given[n].shape == wanted[n].shape}
        if not given:
            raise FastrotError("no weight fits the network: check model.depth and model.width")
    else:
        _require_fit(given, wanted, required)
    with torch.no_grad():
        for name, value in given.items():
            wanted[name].copy_(value)
    return list(given), sorted(set(required) - set(given))


def _require_fit(
    given: Mapping[str, Tensor], wanted: Mapping[str, Tensor], required: Sequence[str]
) -> None:
    if missing := [name for name in required if name not in given]:
        raise _misfit(f"{missing[0]} is missing", len(missing))
    if unknown := [name for name in given if name not in wanted]:
        raise _misfit(f"{unknown[0]} is not part of the network", len(unknown))
    if differing := [name for name in given if given[name].shape != wanted[name].shape]:
        name = differing[0]
        shapes = f"{tuple(given[name].shape)}, expected {tuple(wanted[name].shape)}"
        raise _misfit(f"{name} has shape {shapes}", len(differing))


def _backbone(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value for name, value in state.items() if not name.startswith("fc.")}


def _misfit(what: str, count: int) -> FastrotError:
    more = f" (and {count - 1} more like it)" if count > 1 else ""
    return FastrotError(
        f"the weights do not fit the network: {what}{more}. Check depth, width and shortcut."
    )
