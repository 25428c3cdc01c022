"""Does a complete training step stay in channels_last_3d, forward and backward?"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from fastrot.config import Config
from fastrot.distributed.runtime import Runtime
from fastrot.models import resnet3d
from tests.fastrot.training.steps import batch, make_trainer

TinyConfig = Callable[..., Config]

# No axis of clips, time, height or width, at any stage, is as long as there are channels: 5 or 20, and 56,
# 28, 14, 7, 4, 2. These are multiples of 8: cuDNN has kernels for others only in the default format.
VIDEOS, WIDTH, CROP, FRAMES = 5, 8, 56, 4
CHANNELS = {WIDTH, 2 * WIDTH, 4 * WIDTH, 8 * WIDTH}


class Walk(TorchDispatchMode):
    """Looks at every 5-D tensor that any operation makes, of autograd's and the optimiser's too."""

    def __init__(self, colours: int):
        super().__init__()
        self.innermost = CHANNELS | {3, colours}
        self.fallen: list[str] = []
        self.seen: set[str] = set()

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor) and tensor.ndim == 5:
                self.look(str(function), tensor)
        return result

    def look(self, name: str, tensor: Tensor) -> None:
        self.seen.add(name)
        # Some views have the channels last by name: it is the axis of stride 1 that counts. Where all
        # axes but one have length 1, there is no order to speak of.
        sizes = [size for size in tensor.shape if size > 1]
        innermost = [
            size
            for size, stride in zip(tensor.shape, tensor.stride(), strict=True)
            if size > 1 and stride == 1
        ]
        if len(sizes) > 1 and any(size not in self.innermost for size in innermost):
            self.fallen.append(f"{name} {tuple(tensor.shape)} {tensor.stride()}")


@pytest.mark.parametrize(
    "precision",
    # A CPU without instructions for bf16 has kernels for the default format only.
    ["fp32", *(pytest.param(half, marks=pytest.mark.gpu) for half in ("bf16", "fp16"))],
)
@pytest.mark.parametrize("shortcut", ["A", "B"])
@pytest.mark.parametrize(
    ("task", "stem_channels"), [("rotation", 3), ("rotation", 8), ("action", 3)]
)
def test_no_activation_or_gradient_of_a_step_falls_back(
    tiny_config: TinyConfig, task: str, stem_channels: int, shortcut: str, precision: str
) -> None:
    model = {"width": WIDTH, "shortcut": shortcut, "stem_channels": stem_channels}
    walk_a_step(
        tiny_config(task=task, model=model, data={"crop": CROP, "frames": FRAMES}), precision
    )


@pytest.mark.parametrize("stem_channels", [3, 8])
def test_nor_does_one_on_pairs_of_columns(
    tiny_config: TinyConfig, monkeypatch: pytest.MonkeyPatch, stem_channels: int
) -> None:
    monkeypatch.setattr(resnet3d, "_fits_pairs", lambda x: True)
    model = {"width": WIDTH, "stem_channels": stem_channels}
    walk_a_step(tiny_config(model=model, data={"crop": CROP, "frames": FRAMES}), "fp32")


def walk_a_step(config: Config, precision: str) -> None:
    """Make a step, and fail where a tensor falls back."""
    with Runtime.start(precision) as runtime:
        trainer = make_trainer(config, runtime)
        loaded = batch(VIDEOS, FRAMES, CROP, runtime.device)
        trainer.advance(iter([loaded]))  # so that the optimiser has momenta
        with Walk(config.model.stem_channels) as walk:
            trainer.advance(iter([loaded]))
    assert {"aten.convolution.default", "aten.convolution_backward.default"} <= walk.seen
    assert walk.fallen == []


def test_the_walk_sees_what_falls_back() -> None:
    x = torch.rand(2, WIDTH, 2, 4, 7).to(memory_format=torch.channels_last_3d).requires_grad_()
    with Walk(3) as walk:
        (x * 2).square().sum().backward()
    assert walk.fallen == []
    with Walk(3) as walk:
        x.contiguous()
    assert [fallen.split()[0] for fallen in walk.fallen] == ["aten.clone.default"]
    with Walk(3) as walk:  # a strided slice, whose gradient torch makes in the default format
        x[:, :, ::2, ::2, ::2].sum().backward()
    assert any(fallen.startswith("aten.slice_backward") for fallen in walk.fallen)
