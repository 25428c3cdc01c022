"""The 3D ResNet (section 3.3) of Hara et al.

"Can Spatiotemporal 3D CNNs Retrace the History of 2D CNNs and ImageNet?"

CVPR 2018. Parameters have the names of the authors' released code, so that their files load unchanged.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fastrot.models.batch_norm import BatchNorm
from fastrot.models.stem_pairs import stem_on_pairs
from fastrot.models.stem_tail import stem_tail, tail_fits

Shortcut = Literal["A", "B"]

BLOCKS: dict[int, tuple[int, int, int, int]] = {
    10: (1, 1, 1, 1),
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
}
"""Number of basic blocks in each of the four stages, by depth."""

STRIDES = (1, 2, 2, 2)
"""Stride of the first block of each stage, the same in time, height and width."""


class Stem(nn.Conv3d):
    """The 7x7x7 convolution on 3 colour channels, which also accepts clips padded to more channels.

    GPU kernels are faster with 4 or 8 channels. The rotation op pads clips at no cost. Here the weights are
    padded with zeros in the forward pass only, so that the parameters that are trained and saved have 3
    channels.

    On a GPU in half precision, clips in channels_last_3d memory are convolved on pairs of columns, with the
    same result.

    Attributes:
        on_pairs: Whether pairs of columns are allowed. False is for comparisons.
    """

    on_pairs = True

    def __init__(self, width: int) -> None:
        super().__init__(3, width, 7, stride=(1, 2, 2), padding=3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, T, H, W), C at least 3, to (N, width, T, H/2, W/2), rounded up."""
        weight = self.weight
        if self.on_pairs and _fits_pairs(x):
            return stem_on_pairs(x, weight)
        if x.shape[1] > 3:
            weight = F.pad(weight, (0, 0, 0, 0, 0, 0, 0, x.shape[1] - 3))
        out: Tensor = self._conv_forward(x, weight, None)
        return out


def _fits_pairs(x: Tensor) -> bool:
    half = x.dtype in (torch.bfloat16, torch.float16)
    return x.is_cuda and half and x.is_contiguous(memory_format=torch.channels_last_3d)


class ShortcutA(nn.Module):
    """The parameter-free shortcut: take every ``stride``-th position and append zero channels.

    The output is channels_last_3d. The original code appends the zeros to the tensor's ``.data``, which
    cuts off the gradient. This implementation keeps it.
    """

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.channels = channels
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, T, H, W) to (N, channels, T/stride, H/stride, W/stride), rounded up."""
        s = self.stride
        # Permuting the channels last keeps everything in channels_last_3d: the gradient of slicing comes in
        # the default format, and pad misdetects the format where an axis of length 1 was strided.
        out = x.permute(0, 2, 3, 4, 1)[:, ::s, ::s, ::s]
        return F.pad(out, (0, self.channels - x.shape[1])).permute(0, 4, 1, 2, 3)


def shortcut_b(channels_in: int, channels: int, stride: int) -> nn.Sequential:
    """Build the projection shortcut: a strided 1x1x1 convolution and BatchNorm."""
    return nn.Sequential(
        nn.Conv3d(channels_in, channels, kernel_size=1, stride=stride, bias=False),
        BatchNorm(channels),
    )


class BasicBlock(nn.Module):
    """Two 3x3x3 convolutions with a shortcut."""

    def __init__(self, channels_in: int, channels: int, stride: int, shortcut: Shortcut) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(channels_in, channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = BatchNorm(channels)
        self.conv2 = nn.Conv3d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = BatchNorm(channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module | None = None
        if stride != 1 or channels_in != channels:
            self.downsample = (
                ShortcutA(channels, stride)
                if shortcut == "A"
                else shortcut_b(channels_in, channels, stride)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, T, H, W) to (N, channels, T/stride, H/stride, W/stride), rounded up."""
        residual = x if self.downsample is None else self.downsample(x)
        out: Tensor = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += residual
        out = self.relu(out)
        return out


class ResNet3D(nn.Module):
    """The backbone, which maps each clip to a feature vector (the paper's section 3.3).

    Args:
        depth: 10, 18 or 34.
        width: Kernels of the stem and the first stage; the other stages have 2, 4 and 8 times as many.
        shortcut: For blocks that change the shape: "A" subsamples and appends zeros, "B" projects.

    Attributes:
        features: Length of the feature vector, 8 * width.
        fused_tail: Whether one op may do what follows the first convolution. False is for comparisons.

    Raises:
        ValueError: Depth, width or shortcut is not supported.
    """

    fused_tail = True

    def __init__(self, depth: int = 18, width: int = 64, shortcut: Shortcut = "A") -> None:
        super().__init__()
        if depth not in BLOCKS:
            raise ValueError(f"depth must be one of {', '.join(map(str, BLOCKS))}, got {depth}")
        if width < 1:
            raise ValueError(f"width must be at least 1, got {width}")
        if shortcut not in ("A", "B"):
            raise ValueError(f"shortcut must be A or B, got {shortcut!r}")
        self.features = 8 * width
        self.conv1 = Stem(width)
        self.bn1 = BatchNorm(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool3d(3, stride=2, padding=1)

        def stage(index: int) -> nn.Sequential:
            channels = width << index
            blocks = [
                BasicBlock(
                    channels_in=max(width, channels // 2) if block == 0 else channels,
                    channels=channels,
                    stride=STRIDES[index] if block == 0 else 1,
                    shortcut=shortcut,
                )
                for block in range(BLOCKS[depth][index])
            ]
            return nn.Sequential(*blocks)

        self.layer1 = stage(0)
        self.layer2 = stage(1)
        self.layer3 = stage(2)
        self.layer4 = stage(3)
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def layers(self) -> tuple[nn.Sequential, ...]:
        """Return the four residual stages, which are the paper's convolution blocks 2 to 5."""
        return self.layer1, self.layer2, self.layer3, self.layer4

    def stages(self, x: Tensor) -> list[Tensor]:
        """Return the outputs of the paper's five convolution blocks, the first one after its max-pool.

        Args:
            x: (N, 3, T, H, W), or with more channels that are zero. If it is in channels_last_3d memory, so
                are all outputs.

        Returns:
            Five tensors with width * (1, 1, 2, 4, 8) channels.
        """
        outputs = [self.first_block(x)]
        for layer in self.layers():
            outputs.append(layer(outputs[-1]))
        return outputs

    def first_block(self, x: Tensor) -> Tensor:
        """Return the first block's output, after its max-pool: (N, width, T/2, H/4, W/4), rounded up."""
        x = self.conv1(x)
        if self.fused_tail and tail_fits(x, self.bn1) and not self._tail_is_watched():
            return stem_tail(x, self.bn1)
        out: Tensor = self.maxpool(self.relu(self.bn1(x)))
        return out

    def _tail_is_watched(self) -> bool:
        """Return whether hooks wait for the modules that the fused op would not call."""
        tail = (self.bn1, self.relu, self.maxpool)
        return any(
            len(hooks) > 0
            for module in tail
            for hooks in (
                module._forward_hooks,
                module._forward_pre_hooks,
                module._backward_hooks,
                module._backward_pre_hooks,
            )
        )

    def embed(self, x: Tensor) -> Tensor:
        """Average the output of the last block: (N, 3, T, H, W) to (N, 8 * width)."""
        # Averaging a view with the channels last keeps the gradient in channels_last_3d.
        return self.stages(x)[-1].permute(0, 2, 3, 4, 1).flatten(1, 3).mean(dim=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map clips (N, 3, T, H, W) to feature vectors (N, 8 * width)."""
        return self.embed(x)
