"""A block on the CPU: the convolution's own output is never stored.

One pass leaves the pooled map and a byte per winner. The backward pass needs no more, because at most one output in
four has a gradient. There are two ways. oneDNN convolves a few pictures at a time, and the output stays in the cache
(way_onednn.py). For pictures of few channels, everything stays in registers (way_direct.py).

The pictures are divided into fixed parts, whose contributions to a weight's gradient are added in order: the number of
threads does not change a bit of it.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from pellucid.engine.blocks.block import Block
from pellucid.engine.blocks.way_direct import Direct, applies
from pellucid.engine.blocks.way_onednn import OneDNN, Winners, input_gradient
from pellucid.network.standardise import Standardise
from pellucid.runtime.threads import share_out_with_torch

PART_BYTES = 4 << 20  # of the convolution's output, in float32: what fits the caches together
SHARES = 16  # sums of gradients, each over every sixteenth part


class Way(Protocol):
    """A way to compute a block, for parts of the pictures: (n, C, H, W) -> (n, F, PH, PW).

    `dtype`: of the pooled maps. Its methods get the `sums` of one share, from those that `sums` makes for all shares.
    """

    @property
    def dtype(self) -> torch.dtype: ...
    def pool(self, images: Tensor, weight: Tensor, bias: Tensor | None, pooled: Tensor, winners: Winners) -> None: ...
    def sums(self, shares: int, pooled_width: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]: ...
    def add(self, images: Tensor, grad: Tensor, winners: Winners, weights: Any, biases: Any) -> None: ...
    def gradients(self, weights: Any, biases: Any) -> tuple[Tensor, Tensor]: ...


def way(block: Block, images: Tensor, dtype: torch.dtype) -> Way:
    """In registers if possible, else by oneDNN."""
    return direct(block, dtype) if is_direct(block, images, dtype) else OneDNN(block.conv, block.size, dtype)


def direct(block: Block, dtype: torch.dtype, table: NDArray[np.float32] | None = None) -> Direct:
    """In registers; with `table`, (C, 256), for pictures stored as bytes."""
    return Direct(block.conv, dtype, block.memory, table)


def is_direct(block: Block, images: Tensor, dtype: torch.dtype) -> bool:
    """Whether there are kernels to compute it in registers."""
    return applies(block.conv, block.size, block.pooled_shape(images)[3], images, dtype)


def run(block: Block, images: Tensor, way: Way, threads: int) -> Tensor:
    """(N, C, H, W) -> (N, F, PH, PW) of the way's dtype. The images have a dtype that the way reads."""
    keep = torch.is_grad_enabled()
    return _Fused.apply(images, block.conv.weight, block.conv.bias, block, way, threads, keep)  # type: ignore[no-any-return]


class _Fused(torch.autograd.Function):
    """Images float32, bfloat16, or uint8 if the way reads it; weight, bias and their gradients float32."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, images: Tensor, weight: Tensor, bias: Tensor | None, block: Block, way: Way, threads: int, keep: bool
    ) -> Tensor:
        shape = block.pooled_shape(images)
        pooled = torch.empty(shape, dtype=way.dtype, memory_format=block.memory)
        winners = np.empty(shape if keep else (0, *shape[1:]), np.uint8)
        inputs, filters, offset = images.detach(), weight.detach(), None if bias is None else bias.detach()

        def reduce(part: slice) -> None:
            here = pooled[part]
            chosen = winners[part] if keep else np.empty(here.shape, np.uint8)
            way.pool(inputs[part], filters, offset, here, chosen)

        share_out_with_torch(reduce, _parts(block.maps_shape(images)), threads)
        ctx.save_for_backward(images)
        ctx.block, ctx.way, ctx.threads, ctx.winners = block, way, threads, winners
        return pooled

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        (images,) = ctx.saved_tensors
        block, way, winners = ctx.block, ctx.way, ctx.winners
        inputs, gradient = images.detach(), grad.detach()
        images_grad = torch.empty_like(images) if ctx.needs_input_grad[0] else None
        parts = _parts(block.maps_shape(images))
        shares = [parts[start::SHARES] for start in range(min(SHARES, len(parts)))]
        weights, biases = way.sums(len(shares), grad.shape[3])

        def visit(share: int) -> None:
            for part in shares[share]:
                here, there, chosen = inputs[part], gradient[part], winners[part]
                way.add(here, there, chosen, weights[share], biases[share])
                if images_grad is not None:
                    sizes = block.maps_shape(here)[2:]
                    images_grad[part] = input_gradient(block.conv, block.size, sizes, here, there, chosen)

        share_out_with_torch(visit, range(len(shares)), ctx.threads)
        weight_grad, bias_grad = way.gradients(weights, biases)
        needs_bias = ctx.needs_input_grad[2]
        in_order = weight_grad.contiguous(memory_format=torch.channels_last)
        return images_grad, in_order, bias_grad if needs_bias else None, None, None, None, None


def _parts(maps: tuple[int, int, int, int]) -> list[slice]:
    """Slices of pictures whose convolution output fits the cache, enough of them for every share."""
    count, filters, high, wide = maps
    each = max(1, min(PART_BYTES // (4 * filters * high * wide), -(-count // SHARES)))
    return [slice(start, min(start + each, count)) for start in range(0, count, each)]


def standardised(pixels: NDArray[np.uint8], standardise: Standardise, threads: int) -> Tensor:
    """As `standardise(to_unit(pixels))`, bit for bit, in one pass: uint8 (n, H, W, C) -> float32 (n, C, H, W)."""
    from pellucid.engine.blocks import kernels_cpu

    images = torch.empty(pixels.shape, dtype=torch.float32)
    count, _, wide, _ = pixels.shape
    mean, deviation = (np.tile(np.array(v, np.float32), wide) for v in (standardise.mean, standardise.deviation))

    def convert(part: slice) -> None:
        rows = np.ascontiguousarray(pixels[part]).reshape(-1, len(mean))
        kernels_cpu.standardise(rows, mean, deviation, images[part].view(-1, len(mean)).numpy())

    share_out_with_torch(convert, [slice(n, n + 1) for n in range(count)], threads)
    return images.permute(0, 3, 1, 2)
