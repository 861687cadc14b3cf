"""Faster gradients of depthwise convolutions in training on a CPU. They equal PyTorch's up to rounding.

oneDNN has no fast weight gradient for filters wider than 3. In bfloat16 it also has no fast input gradient if the
stride is above 1. These took more time than everything else in a step of EfficientNet-Lite0 (docs/why/speed.md). Our
own kernel computes the first (depthwise_cpu.py), and oneDNN the second in float32. PyTorch computes the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from pellucid.runtime.threads import share_out

FAST = 3  # the widest filters for which oneDNN's weight gradient is fast
DTYPES = {torch.float32: (torch.int32, np.uint32), torch.bfloat16: (torch.int16, np.uint16)}
"""The types in which a convolution may be computed -> integer types of the same size, in PyTorch and NumPy."""


def applies(module: nn.Module) -> bool:
    """Whether this file computes gradients of one of the module's convolutions."""
    return any(_takes(part.weight, *_settings(part)) for part in _depthwise(module))


def is_slow_in_bfloat16(module: nn.Module, faster: bool) -> bool:
    """Whether a gradient of the module is slower in bfloat16 than in float32. `faster`: this file's are used."""
    return any(not (faster and _takes(part.weight, *_settings(part))) and _is_slow(part) for part in _depthwise(module))


def way(threads: int) -> Callable[..., Tensor | None]:
    """A function with torch.conv2d's arguments. It gives None if PyTorch has to compute the convolution."""

    def convolve(images: Tensor, weight: Tensor, bias: Any = None, *settings: Any, **others: Any) -> Tensor | None:
        there = len(settings) == 4 and not others and images.ndim == 4 and images.device.type == "cpu"
        if not (there and _takes(weight, *settings)):
            return None
        dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else images.dtype
        if dtype not in DTYPES:
            return None
        stride, padding = settings[:2]
        return _Depthwise.apply(images.to(dtype), weight, bias, stride, padding, threads)  # type: ignore[no-any-return]

    return convolve


def _depthwise(module: nn.Module) -> Iterator[nn.Conv2d]:
    """Convolutions with several channels whose filters each read one channel."""
    for part in module.modules():
        if isinstance(part, nn.Conv2d) and 1 < part.groups == part.in_channels:
            yield part


def _is_slow(conv: nn.Conv2d) -> bool:
    return conv.out_channels != conv.groups or _is_wide(conv.weight) or max(conv.stride) > 1


def _settings(conv: nn.Conv2d) -> tuple[Any, ...]:
    """The arguments of torch.conv2d after the bias."""
    return conv.stride, conv.padding, conv.dilation, conv.groups


def _takes(weight: Tensor, stride: Any, padding: Any, dilation: Any, groups: int) -> bool:
    """Whether a convolution has one filter for each channel and a gradient that is slow in PyTorch."""
    if not (1 < groups == len(weight) and weight.shape[1] == 1 and weight.dtype == torch.float32):
        return False
    from pellucid.engine.depthwise_cpu import MOST
    from pellucid.runtime.vectors import LANES

    plain = not isinstance(padding, str) and tuple(dilation) == (1, 1)
    return plain and groups >= LANES and weight.shape[3] <= MOST and (_is_wide(weight) or max(stride) > 1)


def _is_wide(weight: Tensor) -> bool:
    return max(weight.shape[2:]) > FAST


class _Depthwise(torch.autograd.Function):
    """(n, C, H, W) -> (n, C, OH, OW), float32 or bfloat16. Weight, bias and their gradients are float32."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, images: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any, threads: int
    ) -> Tensor:
        ctx.save_for_backward(images, weight)
        ctx.settings, ctx.threads = (tuple(stride), tuple(padding)), threads
        offset = None if bias is None else bias.to(images.dtype)
        return torch.conv2d(images, weight.to(images.dtype), offset, stride, padding, 1, len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        images, weight = ctx.saved_tensors
        needs_images, needs_weight, needs_bias, *_ = ctx.needs_input_grad
        grad = grad.contiguous(memory_format=torch.channels_last)
        stride, padding = ctx.settings
        images_grad = _input_gradient(grad, images, weight, stride, padding) if needs_images else None
        weight_grad = _weight_gradient(grad, images, weight, stride, padding, ctx.threads) if needs_weight else None
        bias_grad = grad.sum((0, 2, 3), dtype=torch.float32) if needs_bias else None
        return images_grad, weight_grad, bias_grad, None, None, None


def _input_gradient(grad: Tensor, images: Tensor, weight: Tensor, stride: Any, padding: Any) -> Tensor:
    dtype = torch.float32 if max(stride) > 1 else images.dtype
    return _by_onednn(grad, images, weight, dtype, stride, padding, (True, False, False))[0].to(images.dtype)


def _weight_gradient(grad: Tensor, images: Tensor, weight: Tensor, stride: Any, padding: Any, threads: int) -> Tensor:
    """float32 (C, 1, KH, KW), summed in float32."""
    from pellucid.engine import depthwise_cpu
    from pellucid.runtime import team
    from pellucid.runtime.vectors import LANES

    if not _is_wide(weight):
        return _by_onednn(grad, images, weight, images.dtype, stride, padding, (False, True, False))[1].float()
    channels, _, height, width = weight.shape
    operands = _bits(images), _bits(grad)
    # if the channels do not fill whole vectors, the last vector begins earlier and computes some channels twice
    firsts = [min(first, channels - LANES) for first in range(0, channels, LANES)]
    sums = np.empty((len(firsts), height * width, LANES), np.float32)
    if team.is_there():
        addresses = [each.ctypes.data for each in (*operands, sums)]
        header = [0, len(firsts), *addresses, *operands[0].shape, *operands[1].shape[1:3], *stride, *padding]
        team.run(depthwise_cpu.on_team(height, width, 8 * images.element_size()), np.array(header, np.int64), threads)
    else:
        kernel = depthwise_cpu.weight_gradient(height, width)
        share_out(lambda job: kernel(*operands, firsts[job], stride, padding, sums[job]), range(len(firsts)), threads)
    weight_grad = np.empty((channels, height * width), np.float32)
    for first, part in zip(firsts, sums, strict=True):
        weight_grad[first : first + LANES] = part.T
    return torch.from_numpy(weight_grad).view(weight.shape)


def _by_onednn(
    grad: Tensor, images: Tensor, weight: Tensor, dtype: torch.dtype, stride: Any, padding: Any, wanted: Any
) -> Any:
    operands = grad.to(dtype), images.to(dtype), weight.to(dtype)
    return torch.ops.aten.convolution_backward(
        *operands, [0], stride, padding, (1, 1), False, (0, 0), len(weight), wanted
    )


def _bits(maps: Tensor) -> NDArray[Any]:
    """(n, C, H, W) as the bits that the kernel takes, (n, H, W, C)."""
    signed, unsigned = DTYPES[maps.dtype]
    return maps.detach().permute(0, 2, 3, 1).contiguous().view(signed).numpy().view(unsigned)
