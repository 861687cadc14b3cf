"""A block by direct convolution in registers (direct_cpu.py), for pictures of few channels: a first layer's.

In bfloat16, products are summed in float32 and the pooled map is rounded once. Of two numbers in a window that would
round to the same value, the larger wins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pellucid.engine.blocks.way_onednn import Winners, bits

CHANNELS = 4  # at most; with more, oneDNN fills its vectors too
WIDEST = 12  # numbers in a row of a filter
FEW = 16  # filters; if a vector takes several registers, oneDNN is as fast with more
_NO_TABLE = np.empty((0, 256), np.uint32)


@dataclass(frozen=True)
class Direct:
    """See cpu.Way. `dtype`: of the pooled map, float32 or bfloat16; `memory`: its order.

    `table`: for pictures stored as bytes, the float32 value of each byte, (C, 256).
    """

    conv: nn.Conv2d
    dtype: torch.dtype
    memory: torch.memory_format
    table: NDArray[np.float32] | None = None

    def pool(self, images: Tensor, weight: Tensor, bias: Tensor | None, pooled: Tensor, winners: Winners) -> None:
        from pellucid.engine.blocks import direct_cpu

        numbers = weight.to(self.dtype).float().numpy()
        filters, channels, _, width = numbers.shape
        offset = torch.zeros(filters) if bias is None else bias.to(self.dtype).float()
        group = direct_cpu.together(filters, 4)
        kernel = direct_cpu.forward(channels, width, group, self.bits, self.by_pixel)
        taps = direct_cpu.taps(numbers, self.bits)
        kernel(*self._kernel_input(images), self.conv.padding, taps, offset.numpy(), self._in_order(pooled), winners)

    def sums(self, shares: int, pooled_width: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        from pellucid.runtime.vectors import LANES

        filters, channels, height, width = self.conv.weight.shape
        weights = np.zeros((shares, channels, height, width, filters, LANES), np.float32)
        return weights, np.zeros((shares, filters, pooled_width), np.float32)

    def add(self, images: Tensor, grad: Tensor, winners: Winners, weights: Any, biases: Any) -> None:
        from pellucid.engine.blocks import direct_cpu

        filters, channels, height, width = self.conv.weight.shape
        group = direct_cpu.together(filters, width)
        kernel = direct_cpu.weight_gradient(channels, height, width, group, self.bits, self.by_pixel)
        in_order = self._in_order(grad.contiguous(memory_format=self.memory))
        kernel(*self._kernel_input(images), self.conv.padding, in_order, winners, weights, biases)

    def gradients(self, weights: Any, biases: Any) -> tuple[Tensor, Tensor]:
        taps = torch.from_numpy(weights.sum(axis=0).sum(axis=-1))  # (C, KH, KW, F)
        return taps.permute(3, 0, 1, 2), torch.from_numpy(biases.sum(axis=0).sum(axis=-1))

    @property
    def bits(self) -> int:
        return 8 * self.dtype.itemsize

    @property
    def by_pixel(self) -> bool:
        return self.memory == torch.channels_last

    def _kernel_input(self, images: Tensor) -> tuple[NDArray[Any], NDArray[np.uint32]]:
        """(n, C, H, W) as the kernels take it: contiguous (n, H, W, C), and the table as bits."""
        by_pixel = images.permute(0, 2, 3, 1).contiguous()
        table = _NO_TABLE if self.table is None else self.table.view(np.uint32)
        return by_pixel.numpy() if images.dtype == torch.uint8 else bits(by_pixel), table

    def _in_order(self, pooled: Tensor) -> NDArray[Any]:
        """(n, F, PH, PW), which is in `memory`, as bits; by pixel (n, PH, PW, F)."""
        return bits(pooled.permute(0, 2, 3, 1) if self.by_pixel else pooled)


def applies(conv: nn.Conv2d, size: int, pooled_width: int, images: Tensor, dtype: torch.dtype) -> bool:
    """Whether there are kernels for it on this processor."""
    from pellucid.runtime.vectors import LANES, PAIRS, WHOLE

    shape = conv.in_channels <= CHANNELS and conv.stride == (1, 1) and conv.kernel_size[1] <= WIDEST
    places = size == 2 and pooled_width >= LANES and (WHOLE or conv.out_channels <= FEW)
    return shape and places and images.dtype in (torch.float32, torch.uint8) and (dtype == torch.float32 or PAIRS)
