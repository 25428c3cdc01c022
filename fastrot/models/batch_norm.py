"""BatchNorm of clips (section 3.3), by torch's faster kernels on a GPU."""

import torch
from torch import Tensor, nn


class BatchNorm(nn.BatchNorm3d):
    """``nn.BatchNorm3d`` which normalises clips in channels_last_3d memory as if they were pictures.

    torch's GPU kernels for channels-last memory accept pictures (N, C, H, W) only. Clips take kernels that
    read one channel at a time, far apart in memory. Clips on a CPU, and those in other formats, are left to
    ``nn.BatchNorm3d``.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (N, C, T, H, W)."""
        if x.is_cuda and x.is_contiguous(memory_format=torch.channels_last_3d):
            return self.as_pictures(x)
        return super().forward(x)

    def as_pictures(self, x: Tensor) -> Tensor:
        """Normalise (N, C, T, H, W) in channels_last_3d memory as pictures (N, C, T, H * W)."""
        normalized = super().forward(x.flatten(3))
        # An ordinary view would make autograd copy the gradient wherever the result is changed in place, as
        # by ReLU. Nothing else refers to the pictures, so the result need not be known as their view.
        clips: Tensor = torch.ops.aten._unsafe_view(normalized, x.shape)
        return clips

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim not in (4, 5):
            raise ValueError(f"clips must have shape (N, C, T, H, W), got {tuple(input.shape)}")
