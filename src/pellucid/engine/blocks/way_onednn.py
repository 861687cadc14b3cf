"""A block by oneDNN's convolution, a few pictures at a time, and one pass over its output (kernels_cpu.py).

Backward, the winners gather the weights' gradient; for the input's gradient, oneDNN gets a map with the winners' ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Winners = NDArray[np.uint8]


@dataclass(frozen=True)
class OneDNN:
    """See cpu.Way. `dtype`: of the convolution and its output, float32 or bfloat16."""

    conv: nn.Conv2d
    size: int
    dtype: torch.dtype

    def pool(self, images: Tensor, weight: Tensor, bias: Tensor | None, pooled: Tensor, winners: Winners) -> None:
        from pellucid.engine.blocks import kernels_cpu

        conv, offset = self.conv, None if bias is None else bias.to(self.dtype)
        with torch.autocast("cpu", enabled=False):
            maps = nn.functional.conv2d(
                _placed(images, self.dtype), weight.to(self.dtype), offset, conv.stride, conv.padding
            )
        kernel = kernels_cpu.pool_relu(self.size, 8 * self.dtype.itemsize)
        kernel(bits(maps.permute(0, 2, 3, 1).contiguous()), bits(pooled), winners)

    def sums(self, shares: int, pooled_width: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        from pellucid.runtime.vectors import LANES

        filters, channels, height, width = self.conv.weight.shape
        length = -(-width * channels // LANES) * LANES  # of a filter's row, padded to whole vectors
        return np.zeros((shares, filters, height, length), np.float32), np.zeros((shares, filters), np.float32)

    def add(self, images: Tensor, grad: Tensor, winners: Winners, weights: Any, biases: Any) -> None:
        from pellucid.engine.blocks import kernels_cpu
        from pellucid.runtime.vectors import LANES

        rows = _rows(_placed(images, self.dtype), self.conv.padding)
        kernel = kernels_cpu.parameter_gradients(self.conv.kernel_size[0], weights.shape[-1] // LANES)
        kernel(rows, winners, bits(grad), self.size, self.conv.stride, weights, biases)

    def gradients(self, weights: Any, biases: Any) -> tuple[Tensor, Tensor]:
        _, channels, _, width = self.conv.weight.shape
        rows = torch.from_numpy(weights[..., : width * channels].sum(axis=0))
        return rows.unflatten(2, (width, channels)).permute(0, 3, 1, 2), torch.from_numpy(biases.sum(axis=0))


def input_gradient(
    conv: nn.Conv2d, size: int, maps: tuple[int, int], images: Tensor, grad: Tensor, winners: Winners
) -> Tensor:
    """The gradient of `images` (n, C, H, W), by oneDNN, from a map of this size with the winners' gradients."""
    from pellucid.engine.blocks import kernels_cpu

    spread = torch.zeros(len(images), *maps, conv.out_channels, dtype=grad.dtype)
    kernels_cpu.unpool(bits(grad), winners, size, bits(spread))
    one, wanted = (1, 1), (True, False, False)
    weight = conv.weight.detach().to(grad.dtype)
    return torch.ops.aten.convolution_backward(
        *(spread.permute(0, 3, 1, 2), _placed(images, grad.dtype), weight, None),
        *(conv.stride, conv.padding, one, False, (0, 0), 1, wanted),
    )[0]


def bits(numbers: Tensor) -> NDArray[Any]:
    """The same memory as int32 or int16: Numba does not know bfloat16."""
    return numbers.detach().view(torch.int32 if numbers.dtype == torch.float32 else torch.int16).numpy()


def _placed(images: Tensor, dtype: torch.dtype) -> Tensor:
    return images.to(dtype).contiguous(memory_format=torch.channels_last)


def _rows(images: Tensor, padding: Any) -> NDArray[np.float32]:
    """(n, C, H, W) -> (n, H + 2P, W + 2P, C) float32 with zeros around each, and spare numbers at the end."""
    from pellucid.runtime.vectors import LANES

    count, channels, high, wide = images.shape
    down, across = padding
    shape = (count, high + 2 * down, wide + 2 * across, channels)
    numbers = (torch.zeros if down or across else torch.empty)(math.prod(shape) + LANES)
    rows = numbers[:-LANES].view(shape)
    rows[:, down : down + high, across : across + wide] = images.permute(0, 2, 3, 1)
    return rows.numpy()
