"""GPU kernels of the fused block, compiled by Triton (gpu.py says when).

Maps and pictures are in channels-last order. A winner is the place of the largest number in its window, in reading
order, as a byte; DEAD if nothing was above zero. Of equals the first wins, a NaN before all. Places are 32-bit numbers,
which a GPU divides several times as fast.
"""

from __future__ import annotations

from typing import Any

import torch
import triton  # pyright: ignore[reportMissingImports]
import triton.language as tl  # pyright: ignore[reportMissingImports]
from torch import Tensor

DEAD = tl.constexpr(255)


def launch(kernel: Any, programs: int, *arguments: Any, **constants: int) -> None:
    """Run `programs` programs of a kernel on the device of its tensors."""
    with torch.cuda.device_of(next(argument for argument in arguments if isinstance(argument, Tensor))):
        kernel[(programs,)](*arguments, **constants, num_stages=1)  # the next pictures would wait for registers


@triton.jit
def pool_relu(
    maps, bias, pooled, winners,
    total, high, wide, pooled_high, pooled_wide,
    FILTERS: tl.constexpr, SIZE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """maps (n, H, W, F) + bias float32 (F,) -> pooled and winners (n, PH, PW, F), `total` numbers each."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < total
    f, place = at % FILTERS, at // FILTERS
    x, row = place % pooled_wide, place // pooled_wide
    y, n = row % pooled_high, row // pooled_high
    offset = tl.load(bias + f, mask=inside, other=0.0)
    best = tl.zeros((BLOCK,), tl.float32)
    winner = tl.full((BLOCK,), DEAD, tl.int32)
    for k in tl.static_range(SIZE * SIZE):
        source = ((n * high + y * SIZE + k // SIZE) * wide + x * SIZE + k % SIZE) * FILTERS + f
        value = tl.load(maps + source, mask=inside, other=0.0)
        # in bfloat16, PyTorch also adds the bias to the rounded value
        value = (value.to(tl.float32) + offset).to(maps.dtype.element_ty).to(tl.float32)
        wins = (value > best) | (value != value)
        best = tl.where(wins, value, best)
        winner = tl.where(wins, k, winner)
    tl.store(pooled + at, best.to(pooled.dtype.element_ty), mask=inside)
    tl.store(winners + at, winner.to(tl.uint8), mask=inside)


@triton.jit
def unpool(
    grad, winners, maps_grad,
    total, high, wide, pooled_high, pooled_wide,
    FILTERS: tl.constexpr, SIZE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """grad and winners (n, PH, PW, F) -> maps_grad (n, H, W, F), `total` numbers: gradients at the winners, else 0."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < total
    f, place = at % FILTERS, at // FILTERS
    x, row = place % wide, place // wide
    y, n = row % high, row // high
    pooled_x, pooled_y = x // SIZE, y // SIZE
    pooled = inside & (pooled_x < pooled_wide) & (pooled_y < pooled_high)
    source = ((n * pooled_high + pooled_y) * pooled_wide + pooled_x) * FILTERS + f
    won = tl.load(winners + source, mask=pooled, other=DEAD).to(tl.int32) == y % SIZE * SIZE + x % SIZE
    value = tl.load(grad + source, mask=pooled & won, other=0.0)
    tl.store(maps_grad + at, value.to(maps_grad.dtype.element_ty), mask=inside)


@triton.jit
def _row(
    images, at, x, row_there, wide, tap, scale, shift, CHANNELS: tl.constexpr, ROW: tl.constexpr, PADDED: tl.constexpr
):  # fmt: skip
    """The input of a filter row, float32 (places, taps) or transposed: image * scale + shift, zeros around it.

    `at`, `x`: the memory place and the column of each place's first tap. Taps beyond the row's last repeat it.
    """
    tap = tl.minimum(tap, ROW - 1)
    if PADDED:
        column = x + tap // CHANNELS
        there = row_there & (column >= 0) & (column < wide)
        number = tl.load(images + (at + tap), mask=there, other=0)
        value = tl.where(there, number.to(tl.float32) * scale + shift, 0.0)
    else:
        value = tl.load(images + (at + tap)).to(tl.float32) * scale + shift
    return value


@triton.jit
def direct(
    images, scales, shifts, weight, bias, pooled, winners,
    total, high, wide, pooled_high, pooled_wide, to_picture, to_filter, to_row, to_column,
    CHANNELS: tl.constexpr, FILTERS: tl.constexpr, KERNEL_HIGH: tl.constexpr, ROW: tl.constexpr,
    STRIDE_Y: tl.constexpr, STRIDE_X: tl.constexpr, PADDING_Y: tl.constexpr, PADDING_X: tl.constexpr,
    SIZE: tl.constexpr, TAPS: tl.constexpr, COLUMNS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Convolution, ReLU and pooling of `total` windows, BLOCK a program: the convolution's output stays in registers.

    images (n, H, W, C); scales, shifts float32 (TAPS,); weight (KERNEL_HIGH, TAPS, COLUMNS), rows of ROW numbers and
    filters padded with zeros, in the dtype of the multiplication; bias float32 (COLUMNS,); pooled, with these strides,
    and winners (n, PH, PW, F).
    """
    place = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = place < total
    place = tl.minimum(place, total - 1)
    px, row = place % pooled_wide, place // pooled_wide
    py, n = row % pooled_high, row // pooled_high
    tap, f = tl.arange(0, TAPS), tl.arange(0, COLUMNS)
    scale, shift = tl.load(scales + tap)[None, :], tl.load(shifts + tap)[None, :]
    offset = tl.load(bias + f)[None, :]
    best = tl.zeros((BLOCK, COLUMNS), tl.float32)
    winner = tl.full((BLOCK, COLUMNS), DEAD, tl.int32)
    for k in range(SIZE * SIZE):
        y = (py * SIZE + k // SIZE) * STRIDE_Y - PADDING_Y
        x = (px * SIZE + k % SIZE) * STRIDE_X - PADDING_X
        sums = tl.zeros((BLOCK, COLUMNS), tl.float32) + offset
        for r in range(KERNEL_HIGH):
            at = ((n * high + y + r) * wide + x) * CHANNELS
            patches = _row(
                images, at[:, None], x[:, None], ((y + r >= 0) & (y + r < high))[:, None], wide, tap[None, :],
                scale, shift, CHANNELS, ROW, PADDING_Y + PADDING_X > 0,
            )  # fmt: skip
            filters = tl.load(weight + (r * TAPS + tap[:, None]) * COLUMNS + f[None, :])
            sums = tl.dot(patches.to(filters.dtype), filters, sums, input_precision="ieee")
        wins = (sums > best) | (sums != sums)
        best = tl.where(wins, sums, best)
        winner = tl.where(wins, k, winner)
    mask = inside[:, None] & (f[None, :] < FILTERS)
    to = (n * to_picture + py * to_row + px * to_column)[:, None] + f[None, :] * to_filter
    tl.store(pooled + to, best.to(pooled.dtype.element_ty), mask=mask)
    tl.store(winners + place[:, None] * FILTERS + f[None, :], winner.to(tl.uint8), mask=mask)


@triton.jit
def direct_gradients(
    images, scales, shifts, grad, winners, weight_sums, bias_sums,
    total, high, wide, pooled_high, pooled_wide, to_picture, to_filter, to_row, to_column,
    CHANNELS: tl.constexpr, FILTERS: tl.constexpr, KERNEL_HIGH: tl.constexpr, ROW: tl.constexpr,
    STRIDE_Y: tl.constexpr, STRIDE_X: tl.constexpr, PADDING_Y: tl.constexpr, PADDING_X: tl.constexpr,
    SIZE: tl.constexpr, TAPS: tl.constexpr, COLUMNS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Gradients of weights and bias from the windows: each program sums every n-th BLOCK, for one row of the filters.

    As `direct`; grad with these strides, in the dtype of the multiplication; weight_sums float32 (programs, TAPS,
    COLUMNS) and bias_sums (programs, COLUMNS), yet to be added up: KERNEL_HIGH programs, one per row, see each window.
    """
    program = tl.program_id(0)
    r = program % KERNEL_HIGH
    tap, f = tl.arange(0, TAPS), tl.arange(0, COLUMNS)
    scale, shift = tl.load(scales + tap)[:, None], tl.load(shifts + tap)[:, None]
    weights = tl.zeros((TAPS, COLUMNS), tl.float32)
    biases = tl.zeros((COLUMNS,), tl.float32)
    for block in range(program // KERNEL_HIGH, tl.cdiv(total, BLOCK), tl.num_programs(0) // KERNEL_HIGH):
        place = block * BLOCK + tl.arange(0, BLOCK)
        inside = place < total
        place = tl.minimum(place, total - 1)
        px, row = place % pooled_wide, place // pooled_wide
        py, n = row % pooled_high, row // pooled_high
        mask = inside[:, None] & (f[None, :] < FILTERS)
        source = (n * to_picture + py * to_row + px * to_column)[:, None] + f[None, :] * to_filter
        winner = tl.load(winners + place[:, None] * FILTERS + f[None, :], mask=mask, other=DEAD).to(tl.int32)
        value = tl.load(grad + source, mask=mask & (winner != DEAD), other=0.0)
        biases += tl.sum(value.to(tl.float32), axis=0)
        for k in range(SIZE * SIZE):
            y = (py * SIZE + k // SIZE) * STRIDE_Y - PADDING_Y + r
            x = (px * SIZE + k % SIZE) * STRIDE_X - PADDING_X
            at = ((n * high + y) * wide + x) * CHANNELS
            patches = _row(
                images, at[None, :], x[None, :], ((y >= 0) & (y < high))[None, :], wide, tap[:, None],
                scale, shift, CHANNELS, ROW, PADDING_Y + PADDING_X > 0,
            )  # fmt: skip
            here = tl.where(winner == k, value, 0.0).to(value.dtype)
            weights = tl.dot(patches.to(value.dtype), here, weights, input_precision="ieee")
    sums = weight_sums + program * TAPS * COLUMNS
    tl.store(sums + tap[:, None] * COLUMNS + f[None, :], weights)
    tl.store(bias_sums + program * COLUMNS + f, biases)
