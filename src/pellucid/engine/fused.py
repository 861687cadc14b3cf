"""Convolution, ReLU and max pooling as one step on the CPU, a few pictures at a time.

The convolution is oneDNN's, as in PyTorch; its output never leaves the cache, since one pass over it (kernels_cpu.py)
leaves the pooled map and a byte for each winner. No more is kept for the way back, which visits the winners alone: at
most one output in four has a gradient. Used for training and validation in place of the same three modules, whose
parameters it reads; whatever else a network has runs as it is.

The pictures are shared out in fixed parts, and what the parts say of a weight is added in their order: the number of
threads changes no bit of it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from threading import Barrier
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from pellucid.network.standardise import Standardise

PART_BYTES = 1 << 20  # of the convolution's output, in float32: about what stays in a core's cache
SHARES = 16  # sums of gradients, each over every sixteenth part
LARGEST_POOL = 4
LANES = 16  # float32 in a vector of 512 bits; narrower machines take two or four

_BITS = {torch.float32: torch.int32, torch.bfloat16: torch.int16}

Forward = Callable[[Tensor], Tensor]


def forward(module: nn.Module, threads: int) -> Forward:
    """The same function of the same parameters as `module`, on the CPU, its blocks fused where there are any."""
    blocks = steps(module, threads)
    if not any(isinstance(step, Block) for step in blocks):
        return module

    def run(images: Tensor) -> Tensor:
        for step in blocks:
            images = step(images)
        return images

    return run


def steps(module: nn.Module, threads: int) -> list[Forward]:
    """The parts of a sequence in order, conv + relu + maxpool as a Block; `module` itself where it is none."""
    if type(module) is not nn.Sequential or _is_watched(module):
        return [module]
    parts: list[nn.Module] = list(module)
    found: list[Forward] = []
    while parts:
        block = _block(parts, threads)
        found.append(block or parts[0])
        del parts[: 3 if block else 1]
    return found


def _block(parts: list[nn.Module], threads: int) -> Block | None:
    """The first three as one, if they are the right three and nobody watches them."""
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
    return Block(conv, relu, pool, size[0], threads, flat=len(parts) > 3 and type(parts[3]) is nn.Flatten)


def _is_watched(module: nn.Module) -> bool:
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return any(getattr(module, name) for name in hooks)


def pair(value: Any) -> tuple[int, int]:
    """A module's setting along height and width, however it was given."""
    return (value, value) if isinstance(value, int) else tuple(value)


@dataclass(frozen=True)
class Block:
    """conv, relu and pool as one step: (N, C, H, W) -> (N, F, PH, PW), float32, or bfloat16 under autocast."""

    conv: nn.Conv2d
    relu: nn.ReLU
    pool: nn.MaxPool2d
    size: int  # of the pool's windows
    threads: int
    flat: bool  # the next step reads the pooled maps as a row: channel by channel in memory

    def __call__(self, images: Tensor) -> Tensor:
        weight = self.conv.weight
        dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else images.dtype
        numbers = dtype in _BITS and images.dtype in _BITS and weight.dtype == torch.float32
        there = images.device.type == weight.device.type == "cpu" and images.ndim == 4
        if not (numbers and there and images.shape[1] == self.conv.in_channels and min(self.pooled_shape(images)) > 0):
            return self.plain(images)
        keep = torch.is_grad_enabled()
        return _Fused.apply(images, weight, self.conv.bias, self, dtype, keep)  # type: ignore[no-any-return]

    def plain(self, images: Tensor) -> Tensor:
        """The same by the modules themselves."""
        return self.pool(self.relu(self.conv(images)))

    def maps_shape(self, images: Tensor) -> tuple[int, int, int, int]:
        """Of the convolution's output: (N, F, H, W), with numbers below 1 where nothing fits."""
        conv, padding = self.conv, pair(self.conv.padding)
        high, wide = (
            (images.shape[axis + 2] + 2 * padding[axis] - conv.kernel_size[axis]) // conv.stride[axis] + 1
            for axis in (0, 1)
        )
        return len(images), conv.out_channels, high, wide

    def pooled_shape(self, images: Tensor) -> tuple[int, int, int, int]:
        """(N, F, PH, PW), with numbers below 1 where nothing fits."""
        count, filters, high, wide = self.maps_shape(images)
        return count, filters, high // self.size, wide // self.size


class _Fused(torch.autograd.Function):
    """Images float32 or bfloat16; weight, bias and their gradients float32; the pooled maps in `dtype`."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, images: Tensor, weight: Tensor, bias: Tensor | None, block: Block, dtype: torch.dtype, keep: bool
    ) -> Tensor:
        from pellucid.engine import kernels_cpu

        shape = block.pooled_shape(images)
        order = torch.contiguous_format if block.flat else torch.channels_last
        pooled = torch.empty(shape, dtype=dtype, memory_format=order)
        winners = np.empty(shape if keep else (0, *shape[1:]), np.uint8)
        kernel = kernels_cpu.pool_relu(block.size, 8 * dtype.itemsize)
        filters, offset = weight.detach().to(dtype), None if bias is None else bias.detach().to(dtype)

        def reduce(part: slice) -> None:
            with torch.autocast("cpu", enabled=False):
                maps = nn.functional.conv2d(
                    _part(images, part, dtype), filters, offset, block.conv.stride, block.conv.padding
                )
            chosen = winners[part] if keep else np.empty((len(maps), *shape[1:]), np.uint8)
            kernel(_bits(maps.permute(0, 2, 3, 1).contiguous()), _bits(pooled[part]), chosen)

        _share_out(reduce, _parts(block.maps_shape(images)), block.threads)
        ctx.save_for_backward(images, weight)
        ctx.block, ctx.dtype, ctx.winners = block, dtype, winners
        return pooled

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        from pellucid.engine import kernels_cpu

        images, weight = ctx.saved_tensors
        block, winners = ctx.block, ctx.winners
        conv, filters = block.conv, weight.detach().to(ctx.dtype)
        images_grad = torch.empty_like(images) if ctx.needs_input_grad[0] else None
        parts = _parts(block.maps_shape(images))
        shares = [parts[start::SHARES] for start in range(min(SHARES, len(parts)))]
        length = weight.shape[1] * weight.shape[3]  # of a row of a filter, filled up to whole vectors
        weight_grad = torch.zeros(len(shares), len(weight), weight.shape[2], -(-length // LANES) * LANES)
        bias_grad = torch.zeros(len(shares), len(weight))

        def visit(share: int) -> None:
            sums = weight_grad[share].numpy(), bias_grad[share].numpy()
            for part in shares[share]:
                here, bits, chosen = _part(images, part, ctx.dtype), _bits(grad[part]), winners[part]
                kernels_cpu.parameter_gradients(_rows(here, conv.padding), chosen, bits, block.size, conv.stride, *sums)
                if images_grad is not None:
                    images_grad[part] = _input_gradient(block, filters, here, bits, chosen)

        _share_out(visit, range(len(shares)), block.threads)
        rows = torch.from_numpy(weight_grad.numpy()[..., :length].sum(axis=0))
        in_order = rows.unflatten(2, (weight.shape[3], weight.shape[1])).permute(0, 3, 1, 2)
        bias_sum = torch.from_numpy(bias_grad.numpy().sum(axis=0)) if ctx.needs_input_grad[2] else None
        return images_grad, in_order.contiguous(memory_format=torch.channels_last), bias_sum, None, None, None


def _part(images: Tensor, part: slice, dtype: torch.dtype) -> Tensor:
    return images.detach()[part].to(dtype).contiguous(memory_format=torch.channels_last)


def _input_gradient(block: Block, filters: Tensor, images: Tensor, grad: Any, winners: Any) -> Tensor:
    """The gradient of `images` (n, C, H, W): the winners' gradients put back in their places, then oneDNN's."""
    from pellucid.engine import kernels_cpu

    count, channels, high, wide = block.maps_shape(images)
    maps = torch.zeros(count, high, wide, channels, dtype=images.dtype)
    kernels_cpu.unpool(grad, winners, block.size, _bits(maps))
    conv, one = block.conv, (1, 1)
    wanted = (True, False, False)
    return torch.ops.aten.convolution_backward(
        maps.permute(0, 3, 1, 2), images, filters, None, conv.stride, conv.padding, one, False, (0, 0), 1, wanted
    )[0]


def _rows(images: Tensor, padding: Any) -> NDArray[np.float32]:
    """(n, C, H, W) -> (n, H + 2P, W + 2P, C) float32 with zeros around each, and spare numbers behind the last."""
    count, channels, high, wide = images.shape
    down, across = padding
    shape = (count, high + 2 * down, wide + 2 * across, channels)
    numbers = (torch.zeros if down or across else torch.empty)(math.prod(shape) + LANES)
    rows = numbers[:-LANES].view(shape)
    rows[:, down : down + high, across : across + wide] = images.permute(0, 2, 3, 1)
    return rows.numpy()


def _bits(numbers: Tensor) -> NDArray[Any]:
    """The same memory as int32 or int16."""
    return numbers.detach().view(_BITS[numbers.dtype]).numpy()


def _parts(maps: tuple[int, int, int, int]) -> list[slice]:
    """The pictures of a convolution's output, of this shape, in parts that stay in a core's cache."""
    count, filters, high, wide = maps
    each = max(1, PART_BYTES // (4 * filters * high * wide))
    return [slice(start, min(start + each, count)) for start in range(0, count, each)]


def standardised(pixels: NDArray[np.uint8], standardise: Standardise, threads: int) -> Tensor:
    """As `standardise(to_unit(pixels))`, bit for bit, in one pass: uint8 (n, H, W, C) -> float32 (n, C, H, W)."""
    from pellucid.engine import kernels_cpu

    images = torch.empty(pixels.shape, dtype=torch.float32)
    count, _, wide, _ = pixels.shape
    mean, deviation = (np.tile(np.array(v, np.float32), wide) for v in (standardise.mean, standardise.deviation))

    def convert(part: slice) -> None:
        rows = np.ascontiguousarray(pixels[part]).reshape(-1, len(mean))
        kernels_cpu.standardise(rows, mean, deviation, images[part].view(-1, len(mean)).numpy())

    _share_out(convert, [slice(n, n + 1) for n in range(count)], threads)
    return images.permute(0, 3, 1, 2)


def _share_out(task: Callable[[Any], None], jobs: Sequence[Any], threads: int) -> None:
    """`task` of every job, on `threads` threads; the caller is inside a Function, where gradients are off."""
    if threads == 1 or len(jobs) == 1:
        for job in jobs:
            task(job)
    else:
        list(_workers(threads, os.getpid()).map(task, jobs))


@lru_cache
def _workers(threads: int, process: int) -> ThreadPoolExecutor:
    """Threads in which PyTorch uses no others and keeps nothing for gradients.

    `process`: a fork has none of its parent's threads.
    """
    pool, barrier = ThreadPoolExecutor(threads, "fused"), Barrier(threads)
    before = torch.get_num_threads()

    def begin(_: int) -> None:
        torch.set_num_threads(1)  # of this thread, and by the way of those to come
        torch.set_grad_enabled(False)
        torch.get_num_threads()  # a thread that has not asked yet would ask later, and be told `before`
        barrier.wait()

    list(pool.map(begin, range(threads)))
    torch.set_num_threads(before)
    return pool
