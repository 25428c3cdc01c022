"""Backbone and head (section 3.3): the pretext network, the transfer network, and weights between them."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from fastrot.models.resnet3d import ResNet3D, Shortcut
from pipelines.errors import FastrotError

PRETEXT_HIDDEN = 64


class Network(ResNet3D):
    """A backbone with its head `fc`, side by side as in Hara's files; the arguments are ResNet3D's.

    Args:
        head: Maps feature vectors (N, 8 * width) to logits (N, classes).
        depth: 10, 18 or 34.
        width: Kernels of the stem.
        shortcut: "A" or "B".
        dropout: Probability with which a feature is dropped before the head, while training.
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

        Their weights get no gradient, and their BatchNorm stays in eval mode whatever ``train`` says, so
        that its statistics stay as they are too.
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
        """Set the mode of all but the frozen blocks."""
        super().train(mode)
        for part in self._frozen():
            part.eval()
        return self


def pretext_network(
    classes: int, *, depth: int = 18, width: int = 64, shortcut: Shortcut = "A"
) -> Network:
    """Make the network that predicts rotations: two layers follow the backbone (the paper's section 3.3).

    Args:
        classes: Rotations to tell apart.
        depth: As in ResNet3D.
        width: As in ResNet3D.
        shortcut: As in ResNet3D.

    Returns:
        The network, freshly initialised.
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
    """Make the network that recognises actions: one linear layer follows the backbone.

    Args:
        classes: Actions to tell apart.
        depth: As in ResNet3D.
        width: As in ResNet3D.
        shortcut: As in ResNet3D.
        dropout: Probability with which a feature is dropped before that layer, while training.

    Returns:
        The network, freshly initialised.
    """
    return Network(nn.Linear(8 * width, classes), depth, width, shortcut, dropout)


def copy_backbone(
    network: ResNet3D, state: Mapping[str, Tensor], *, partial: bool = False
) -> tuple[list[str], list[str]]:
    """Copy everything but the head ``fc`` from a state dict into a network.

    Args:
        network: Receives the weights; its head stays as it is.
        state: Names and tensors, as ``Network.state_dict`` gives them.
        partial: Copy what has the same name and shape, instead of refusing weights that do not all fit.

    Returns:
        The names that were copied, and, sorted, those of the network's weights that were not.

    Raises:
        FastrotError: A name is missing or unknown, or a shape differs (the message names the first); or,
            if ``partial``, nothing fits. The network is then as it was.
    """
    given, wanted = _backbone(state), _backbone(network.state_dict())
    # Files from before PyTorch 0.4.1 have no such counters, and with a fixed momentum none is read.
    required = [name for name in wanted if not name.endswith(".num_batches_tracked")]
    if partial:
        fitting = [name for name in required if name in given]
        given = {n: given[n] for n in fitting if given[n].shape == wanted[n].shape}
        if not given:
            raise FastrotError("nothing in it has the name and shape of the network's weights")
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
        raise _misfit(f"have no {missing[0]}", len(missing))
    if unknown := [name for name in given if name not in wanted]:
        raise _misfit(f"have {unknown[0]}, which the network lacks", len(unknown))
    if differing := [name for name in given if given[name].shape != wanted[name].shape]:
        name = differing[0]
        shapes = f"{tuple(given[name].shape)}, not {tuple(wanted[name].shape)}"
        raise _misfit(f"have {name} of shape {shapes}", len(differing))


def _backbone(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value for name, value in state.items() if not name.startswith("fc.")}


def _misfit(what: str, count: int) -> FastrotError:
    more = f" (and {count - 1} more like it)" if count > 1 else ""
    return FastrotError(
        f"The weights do not fit the network: they {what}{more}. "
        "Are they of another depth, width or shortcut?"
    )
