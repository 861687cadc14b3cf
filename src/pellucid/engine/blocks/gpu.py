"""A block on a GPU, with Triton's kernels (kernels_gpu.py).

Pictures of few channels are convolved in registers, straight from their bytes if these are on the GPU. Deeper maps are
convolved by cuDNN, followed by a pass of our own over the output. One byte per winner is kept, as on the CPU (cpu.py).
"""

from __future__ import annotations

import math
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from pellucid.engine.blocks.block import Block
from pellucid.network.standardise import Standardise

CHANNELS = 4  # most channels of pictures that are convolved in registers
TAPS, FILTERS = 32, 32  # of a filter's row, and filters, padded to powers of two: what a program's registers hold
NUMBERS = 1024  # per program, in one pass over maps
WINDOWS = 64  # per program, in registers, at a time
MOST = 1 << 31  # numbers in one map: their indices have 32 bits
PROGRAMS = 512  # programs that share a gradient: a fixed number, because every GPU must add the same sums


@lru_cache
def has_triton() -> bool:
    """Whether Triton is installed; PyTorch for CUDA includes it on Linux."""
    return find_spec("triton") is not None


def takes(device: torch.device) -> bool:
    """Whether there are kernels for this device."""
    return device.type == "cuda" and has_triton()


def fits(block: Block, images: Tensor) -> bool:
    """Whether there are kernels for these pictures (n, C, H, W)."""
    return takes(images.device) and max(images.numel(), math.prod(block.maps_shape(images))) < MOST


def is_direct(block: Block, images: Tensor) -> bool:
    """Whether these pictures (n, C, H, W) are convolved in registers."""
    taps, columns = _padded(block)
    few = images.shape[1] <= CHANNELS and taps <= TAPS and columns <= FILTERS
    return few and not images.requires_grad


def run(block: Block, images: Tensor, dtype: torch.dtype, standardise: Standardise | None = None) -> Tensor:
    """The block of images (n, C, H, W) on their device, computed in `dtype`: (n, F, PH, PW).

    With `standardise`, images are stored uint8, and `is_direct` must hold.
    """
    images = images.contiguous(memory_format=torch.channels_last)
    weight, bias = block.conv.weight, block.conv.bias
    if is_direct(block, images):
        return _Direct.apply(images, weight, bias, block, dtype, standardise)  # type: ignore[no-any-return]
    assert standardise is None
    return _ByConvolution.apply(images, weight, bias, block, dtype)  # type: ignore[no-any-return]


class _ByConvolution(torch.autograd.Function):
    """With the device's own convolution, forward and back."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, images: Tensor, weight: Tensor, bias: Tensor | None, block: Block, dtype: torch.dtype
    ) -> Tensor:
        from pellucid.engine.blocks import kernels_gpu

        conv = block.conv
        inputs, filters = images.to(dtype), weight.to(dtype)
        offset = torch.zeros(len(filters), device=images.device) if bias is None else bias.to(dtype).float()
        with torch.autocast(images.device.type, enabled=False):
            maps = torch.conv2d(inputs, filters, None, conv.stride, conv.padding)
        maps = maps.contiguous(memory_format=torch.channels_last)
        shape = block.pooled_shape(images)
        pooled = torch.empty(shape, dtype=dtype, device=images.device, memory_format=torch.channels_last)
        winners = torch.empty_like(pooled, dtype=torch.uint8)
        kernels_gpu.launch(
            kernels_gpu.pool_relu,
            -(-pooled.numel() // NUMBERS),
            *(maps, offset, pooled, winners, pooled.numel(), *maps.shape[2:], *shape[2:]),
            FILTERS=shape[1],
            SIZE=block.size,
            BLOCK=NUMBERS,
        )
        ctx.save_for_backward(inputs, filters, winners)
        ctx.block, ctx.maps, ctx.bias, ctx.kinds = block, maps.shape, bias is not None, (images.dtype, weight.dtype)
        return pooled

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        from pellucid.engine.blocks import kernels_gpu

        inputs, filters, winners = ctx.saved_tensors
        conv, shape = ctx.block.conv, grad.shape
        grad = grad.contiguous(memory_format=torch.channels_last)
        spread = torch.empty(ctx.maps, dtype=inputs.dtype, device=grad.device, memory_format=torch.channels_last)
        kernels_gpu.launch(
            kernels_gpu.unpool,
            -(-spread.numel() // NUMBERS),
            *(grad, winners, spread, spread.numel(), *ctx.maps[2:], *shape[2:]),
            FILTERS=shape[1],
            SIZE=ctx.block.size,
            BLOCK=NUMBERS,
        )
        wanted = [ctx.needs_input_grad[0], True, False]
        of_images, of_weight, _ = torch.ops.aten.convolution_backward(
            *(spread, inputs, filters, None, conv.stride, conv.padding, (1, 1), False, (0, 0), 1, wanted)
        )
        of_bias = spread.sum((0, 2, 3), dtype=torch.float32) if ctx.bias else None
        images, weight = ctx.kinds
        return None if of_images is None else of_images.to(images), of_weight.to(weight), of_bias, None, None


class _Direct(torch.autograd.Function):
    """In registers: the convolution's output and its gradient are never written."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any,
        images: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        block: Block,
        dtype: torch.dtype,
        standardise: Standardise | None,
    ) -> Tensor:
        from pellucid.engine.blocks import kernels_gpu

        taps, columns = _padded(block)
        rows = weight.permute(2, 3, 1, 0).flatten(1, 2)  # (KH, KW * C, F)
        filters = torch.zeros(len(rows), taps, columns, dtype=dtype, device=images.device)
        filters[:, : rows.shape[1], : rows.shape[2]] = rows
        offset = torch.zeros(columns, device=images.device)
        if bias is not None:
            offset[: len(bias)] = bias.to(dtype)
        shape = block.pooled_shape(images)
        pooled = torch.empty(shape, dtype=dtype, device=images.device, memory_format=block.memory)
        winners = torch.empty(shape, dtype=torch.uint8, device=images.device, memory_format=torch.channels_last)
        values = _values(block, standardise, images.device)
        kernels_gpu.launch(
            kernels_gpu.direct,
            -(-_windows(shape) // WINDOWS),
            *(images, *values, filters, offset, pooled, winners, *_sizes(images, pooled)),
            **_constants(block),
        )
        ctx.save_for_backward(images, winners)
        ctx.block, ctx.dtype, ctx.bias = block, dtype, bias is not None
        ctx.values = values  # not saved: inference tensors may not be, and nobody changes them
        return pooled

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        from pellucid.engine.blocks import kernels_gpu

        images, winners = ctx.saved_tensors
        block, conv = ctx.block, ctx.block.conv
        taps, columns = _padded(block)
        grad = grad.to(ctx.dtype)
        filters, channels, high, wide = conv.weight.shape
        alike = min(PROGRAMS, -(-_windows(grad.shape) // WINDOWS))
        weights = torch.empty(alike, high, taps, columns, device=grad.device)
        biases = torch.empty(alike, high, columns, device=grad.device)
        kernels_gpu.launch(
            kernels_gpu.direct_gradients,
            alike * high,
            *(images, *ctx.values, grad, winners, weights, biases, *_sizes(images, grad)),
            **_constants(block),
        )
        rows = weights.sum(0)[:, : wide * channels, :filters]  # (KH, KW * C, F)
        of_weight = rows.unflatten(1, (wide, channels)).permute(3, 2, 0, 1)
        of_bias = biases[:, 0, :filters].sum(0) if ctx.bias else None
        return None, of_weight.contiguous(memory_format=torch.channels_last), of_bias, None, None, None


def _windows(pooled: torch.Size | tuple[int, ...]) -> int:
    return pooled[0] * pooled[2] * pooled[3]


def _padded(block: Block) -> tuple[int, int]:
    """Taps in a filter's row, and filters, each padded to a power of two that the matrix units take."""
    filters, channels, _, wide = block.conv.weight.shape
    return _padded_to(wide * channels), _padded_to(filters)


def _padded_to(count: int) -> int:
    return max(16, 1 << (count - 1).bit_length())


def _sizes(images: Tensor, pooled: Tensor) -> tuple[int, ...]:
    return (_windows(pooled.shape), *images.shape[2:], *pooled.shape[2:], *pooled.stride())


def _constants(block: Block) -> dict[str, int]:
    conv, (taps, columns) = block.conv, _padded(block)
    filters, channels, high, wide = conv.weight.shape
    (stride_y, stride_x), (padding_y, padding_x) = conv.stride, conv.padding
    return {
        "CHANNELS": channels,
        "FILTERS": filters,
        "KERNEL_HIGH": high,
        "ROW": wide * channels,
        "STRIDE_Y": stride_y,
        "STRIDE_X": stride_x,
        "PADDING_Y": int(padding_y),
        "PADDING_X": int(padding_x),
        "SIZE": block.size,
        "TAPS": taps,
        "COLUMNS": columns,
        "BLOCK": WINDOWS,
    }


def _values(block: Block, standardise: Standardise | None, device: torch.device) -> tuple[Tensor, Tensor]:
    """Scale and shift of each tap, float32 (taps,), which standardise stored bytes; else they change nothing."""
    channels = block.conv.in_channels
    if standardise is None:
        return _of_taps((1.0,) * channels, (0.0,) * channels, _padded(block)[0], device)
    pairs = zip(standardise.mean, standardise.deviation, strict=True)
    scales, shifts = zip(*((1 / (255 * deviation), -mean / deviation) for mean, deviation in pairs), strict=True)
    return _of_taps(scales, shifts, _padded(block)[0], device)


@lru_cache
def _of_taps(
    scales: tuple[float, ...], shifts: tuple[float, ...], taps: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """From one number per channel to one per tap of a row: (column, channel)."""
    vectors = (torch.tensor(numbers).repeat(-(-taps // len(numbers)))[:taps].to(device) for numbers in (scales, shifts))
    return tuple(vectors)  # type: ignore[return-value]
