"""What follows the stem (section 3.3) in one op: BatchNorm, ReLU and the 3x3x3 max-pool of stride 2.

``torch.compile`` sees the op, not Triton's kernels. ``fastrot/models/stem_tail_kernel.py`` has these.
"""

import warnings
from functools import cache
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from fastrot.models.batch_norm import BatchNorm


def tail_fits(x: Tensor, norm: nn.Module) -> bool:
    """Return whether ``stem_tail`` can replace ``norm``, ReLU and the pool.

    It cannot on a CPU, without Triton, for clips in another format than channels_last_3d, for SyncBatchNorm,
    and while statistics are averaged over batches (``momentum`` None). A channel of one value has no variance
    to train on: ``norm`` reports it.
    """
    return (
        x.is_cuda
        and type(norm) is BatchNorm
        and norm.momentum is not None
        and x.numel() > x.shape[1]
        and x.is_contiguous(memory_format=torch.channels_last_3d)
        and _has_kernels()
    )


def stem_tail(x: Tensor, norm: nn.BatchNorm3d) -> Tensor:
    """Return ``max_pool3d(relu(norm(x)), 3, stride=2, padding=1)``, and update the running statistics.

    Among equal maxima, the one that receives the gradient may differ from torch's: in half precision,
    rounding makes some equal.

    Args:
        x: (N, C, T, H, W) in channels_last_3d memory.
        norm: BatchNorm with weights and running statistics, in training or eval mode.

    Returns:
        (N, C, T/2, H/2, W/2), rounded up, in channels_last_3d memory and the dtype of ``x``.
    """
    means, variances = norm.running_mean, norm.running_var
    assert means is not None
    assert variances is not None
    rows = x.permute(0, 2, 3, 4, 1)
    pooled, _, mean, scale = _tail(
        rows, norm.weight, norm.bias, means, variances, norm.training, norm.eps
    )
    if norm.training:
        with torch.no_grad():
            count = x.numel() // x.shape[1]
            unbiased = (scale**-2 - norm.eps) * count / (count - 1)
            assert norm.num_batches_tracked is not None
            assert norm.momentum is not None
            norm.num_batches_tracked.add_(1)
            means.lerp_(mean.to(means.dtype), norm.momentum)
            variances.lerp_(unbiased.to(variances.dtype), norm.momentum)
    clips: Tensor = pooled.permute(0, 4, 1, 2, 3)
    return clips


def _has_kernels() -> bool:
    return _kernels() is not None


# What torch.compiler.assume_constant_result does. The function itself would import torch's compiler with
# every network.
_has_kernels.__dict__["_dynamo_marked_constant"] = True


@cache
def _kernels() -> ModuleType | None:
    """Import the kernels when a GPU first needs them. Without Triton, warn once and return None."""
    try:
        from fastrot.models import stem_tail_kernel
    except ImportError as error:
        warnings.warn(
            f"Triton's kernels for the stem are unavailable ({error}); falling back to plain torch, which is "
            "slower. Install the triton version that your torch requires",
            stacklevel=2,
        )
        return None
    return stem_tail_kernel


def _at_least_float32(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)


@torch.library.custom_op("fastrot::stem_tail", mutates_args=())
def _tail(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    training: bool,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the pooled rows, the places of their maxima, and each channel's mean and 1 / deviation.

    ``x`` is (N, T, H, W, C), as are the results.
    """
    kernels = _kernels()
    assert kernels is not None
    x, dtype = x.contiguous(), _at_least_float32(x.dtype)
    if not training:
        mean, scale = running_mean.to(dtype, copy=True), (running_var.to(dtype) + eps).rsqrt()
    elif x.is_cuda:
        mean, scale = torch.batch_norm_stats(x.permute(0, 4, 1, 2, 3).flatten(3), eps)
    else:
        var, mean = torch.var_mean(x.to(dtype), dim=(0, 1, 2, 3), correction=0)
        scale = (var + eps).rsqrt()
    pooled, places = kernels.forward(x, weight, bias, mean, scale)
    return pooled, places, mean, scale


@_tail.register_fake
def _tail_shapes(x: Tensor, weight: Tensor, *_: object) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    clips, *sizes, channels = x.shape
    pooled = x.new_empty(clips, *((size + 1) // 2 for size in sizes), channels)
    mean = x.new_empty(channels, dtype=_at_least_float32(x.dtype))
    return pooled, torch.empty_like(pooled, dtype=torch.uint8), mean, torch.empty_like(mean)


@torch.library.custom_op("fastrot::stem_tail_backward", mutates_args=())
def _tail_backward(
    grad: Tensor,
    x: Tensor,
    weight: Tensor,
    mean: Tensor,
    scale: Tensor,
    places: Tensor,
    training: bool,
) -> tuple[Tensor, Tensor]:
    """Return the gradients of ``x``, and of bias and weight, (2, C)."""
    kernels = _kernels()
    assert kernels is not None
    grads: tuple[Tensor, Tensor] = kernels.backward(
        grad.contiguous(), x.contiguous(), weight, mean, scale, places, training=training
    )
    return grads


@_tail_backward.register_fake
def _tail_backward_shapes(
    grad: Tensor, x: Tensor, weight: Tensor, mean: Tensor, *_: object
) -> tuple[Tensor, Tensor]:
    # The kernels' result is contiguous, whatever the strides of x.
    return x.new_empty(x.shape), mean.new_empty(2, len(mean))


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    x, weight, *_, ctx.training, _ = inputs
    _, places, mean, scale = output
    ctx.save_for_backward(x, weight, mean, scale, places)


def _differentiate(ctx: Any, grad: Tensor, *_: object) -> tuple[Tensor | None, ...]:
    weight = ctx.saved_tensors[1]
    x_grad, sums = _tail_backward(grad, *ctx.saved_tensors, ctx.training)
    bias_grad, weight_grad = sums.to(weight.dtype)
    return x_grad, weight_grad, bias_grad, None, None, None, None


_tail.register_autograd(_differentiate, setup_context=_keep)
