"""The definition of a block: three layers of a network as one, and the shapes of its output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

LARGEST_POOL = 4
DTYPES = (torch.float32, torch.bfloat16)
"""Dtypes of a block's input and arithmetic."""


@dataclass(frozen=True)
class Block:
    """A convolution, a ReLU and a max pooling as one step: (N, C, H, W) -> (N, F, PH, PW)."""

    conv: nn.Conv2d
    relu: nn.ReLU
    pool: nn.MaxPool2d
    size: int  # of the pool's windows
    flat: bool  # the next step reads the pooled maps as a row: memory is channel by channel

    @property
    def memory(self) -> torch.memory_format:
        """The memory order of the pooled maps: the one in which the next step reads them."""
        return torch.contiguous_format if self.flat else torch.channels_last

    def plain(self, images: Tensor) -> Tensor:
        """The same computation with the modules themselves."""
        return self.pool(self.relu(self.conv(images)))

    def maps_shape(self, images: Tensor) -> tuple[int, int, int, int]:
        """The shape of the convolution's output: (N, F, H, W), with numbers below 1 if nothing fits."""
        conv, padding = self.conv, pair(self.conv.padding)
        high, wide = (
            (images.shape[axis + 2] + 2 * padding[axis] - conv.kernel_size[axis]) // conv.stride[axis] + 1
            for axis in (0, 1)
        )
        return len(images), conv.out_channels, high, wide

    def pooled_shape(self, images: Tensor) -> tuple[int, int, int, int]:
        """(N, F, PH, PW), with numbers below 1 if nothing fits."""
        count, filters, high, wide = self.maps_shape(images)
        return count, filters, high // self.size, wide // self.size


def steps(module: nn.Module) -> list[Block | nn.Module]:
    """The parts of a sequence in order, conv + relu + maxpool as a Block; `module` itself if it is not a sequence.

    A sequence or part with hooks does not change: the hooks need its outputs.
    """
    if type(module) is not nn.Sequential or _is_watched(module):
        return [module]
    parts: list[nn.Module] = list(module)
    ordered: list[Block | nn.Module] = []
    while parts:
        block = _block(parts)
        ordered.append(block or parts[0])
        del parts[: 3 if block else 1]
    return ordered


def blocks(module: nn.Module) -> list[Block]:
    """Those of `steps` that are blocks."""
    return [step for step in steps(module) if isinstance(step, Block)]


def pair(value: Any) -> tuple[int, int]:
    """A module's setting along height and width, from either form."""
    return (value, value) if isinstance(value, int) else tuple(value)


def _block(parts: list[nn.Module]) -> Block | None:
    """The first three parts as a block, if they are the right three and have no hooks."""
    if [type(part) for part in parts[:3]] != [nn.Conv2d, nn.ReLU, nn.MaxPool2d] or any(map(_is_watched, parts[:3])):
        return None
    conv, relu, pool = parts[:3]
    assert isinstance(conv, nn.Conv2d)
    assert isinstance(relu, nn.ReLU)
    assert isinstance(pool, nn.MaxPool2d)
    size = pair(pool.kernel_size)
    plain_conv = conv.groups == 1 and conv.dilation == (1, 1) and conv.padding_mode == "zeros"
    side_by_side = pair(pool.stride) == size and pair(pool.padding) == (0, 0) and pair(pool.dilation) == (1, 1)
    square = size[0] == size[1] <= LARGEST_POOL and not (pool.ceil_mode or pool.return_indices)
    if not (plain_conv and side_by_side and square and isinstance(conv.padding, tuple)):
        return None
    return Block(conv, relu, pool, size[0], flat=len(parts) > 3 and type(parts[3]) is nn.Flatten)


def _is_watched(module: nn.Module) -> bool:
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return any(getattr(module, name) for name in hooks)
