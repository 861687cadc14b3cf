"""Compiled loops of the fused block (Numba): pooling with its winners, and their gradients.

Numbers are in channels-last order and are passed as bits, because Numba does not know bfloat16: float32 as int32,
bfloat16 as int16. Filters and the picture rows that they meet, `kernel width * channels` numbers each, are read in
whole vectors: every such array has LANES spare numbers at its end. No kernel holds Python's lock.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from pellucid.runtime.compiled import compiled
from pellucid.runtime.vectors import LANES, SUMS, UNALIGNED, flat, loop, multiply_add, spread, vector_at, written_out

DEAD = 255  # the winner of a window without a number above zero


@compiled
def standardise(pixels: Any, mean: Any, deviation: Any, images: Any) -> None:
    """uint8 (rows, numbers) -> float32: (pixel / 255 - mean) / deviation, rounded after each step as in PyTorch.

    `mean` and `deviation` float32 (numbers,), those of the channels repeated.
    """
    rows, numbers = pixels.shape
    for row in range(rows):
        for i in range(numbers):
            images[row, i] = (np.float32(pixels[row, i]) / np.float32(255) - mean[i]) / deviation[i]


@lru_cache
def pool_relu(size: int, bits: int) -> Callable[..., None]:
    """A kernel (maps, pooled, winners) for windows of `size` and numbers of 32 or 16 bits.

    It writes max(0, the largest of each window), and its place in the window, in reading order: `maps` (n, H, W, F),
    `pooled` (n, F, H // size, W // size) in any memory order, `winners` uint8 (n, F, H // size, W // size). As in
    PyTorch, the first of equals wins, and a NaN wins over all.

    Above zero, floats have the order of their bits, and nothing below zero ever wins.
    """
    number = np.int32 if bits == 32 else np.int16
    infinity = number(0x7F800000 if bits == 32 else 0x7F80)
    nan = number(np.iinfo(number).max)
    nothing, window = number(0), size * size

    @compiled
    def kernel(maps: Any, pooled: Any, winners: Any) -> None:
        count, filters, high, wide = winners.shape
        row = np.empty(wide * filters, number)
        winner_row = np.empty(wide * filters, np.uint8)
        for n in range(count):
            for y in range(high):
                for x in range(wide):
                    for f in range(filters):
                        best, winner = nothing, np.uint8(DEAD)
                        for k in range(window):
                            value = maps[n, size * y + k // size, size * x + k % size, f]
                            if value & nan > infinity:
                                value = nan
                            if value > best or value == nan:
                                best, winner = value, np.uint8(k)
                        row[x * filters + f] = best
                        winner_row[x * filters + f] = winner
                for f in range(filters):
                    for x in range(wide):
                        pooled[n, f, y, x] = row[x * filters + f]
                        winners[n, f, y, x] = winner_row[x * filters + f]

    return kernel


@lru_cache
def parameter_gradients(height: int, vectors: int) -> Callable[..., None]:
    """A kernel (rows, winners, grad, size, stride, weight_grad, bias_grad) that adds the winners' gradients.

    For filters with `height` rows of `vectors` vectors. `rows` float32 (n, H, W, C), with the convolution's zeros
    around it; `winners` from `pool_relu`; `grad` the pooled map's gradient (n, F, PH, PW); `weight_grad` float32 (F,
    height, vectors * LANES), rows of kernel width * C numbers, padded; `bias_grad` float32 (F,).
    """
    wide = _most_of(vectors, SUMS)
    deep = _most_of(height, SUMS // wide)

    @compiled
    def kernel(
        rows: Any, winners: Any, grad: Any, size: int, stride: tuple[int, int], weight_grad: Any, bias_grad: Any
    ) -> None:
        count, tall, across, channels = rows.shape
        _, filters, high, windows = winners.shape
        line, step = across * channels, size * stride[1] * channels
        offsets = np.empty(256, np.intp)  # from a window's first place to its winner's
        for k in range(256):
            offsets[k] = (k // size * stride[0]) * line + (k % size * stride[1]) * channels
        shift = np.uint32(32 - 8 * grad.itemsize)
        places = np.empty(windows + 1, np.intp)
        bits = np.empty(windows + 1, np.uint32)
        values = bits.view(np.float32)
        for n in range(count):
            for y in range(high):
                for f in range(filters):
                    place, alive = (n * tall + y * size * stride[0]) * line, 0
                    for x in range(windows):
                        winner = winners[n, f, y, x]
                        places[alive] = place + offsets[winner]
                        bits[alive] = np.uint32(grad[n, f, y, x]) << shift
                        alive += winner != DEAD
                        place += step
                    if not alive:
                        continue
                    total = np.float32(0)
                    for k in range(alive):
                        total += values[k]
                    bias_grad[f] += total
                    for r in range(0, height, deep):
                        for b in range(0, vectors, wide):
                            at = ((f * height + r) * vectors + b) * LANES
                            _gather(
                                weight_grad, at, rows, r * line + b * LANES, line, places, values, alive,
                                deep, wide, vectors,
                            )  # fmt: skip

    return kernel


def _most_of(count: int, most: int) -> int:
    """The largest divisor of `count` up to `most`."""
    return next(part for part in range(min(count, most), 0, -1) if count % part == 0)


@compiled
def unpool(grad: Any, winners: Any, size: int, maps_grad: Any) -> None:
    """The gradient of the convolution's output, `maps_grad` (n, H, W, F), zeros so far, from `grad` (n, F, PH, PW)."""
    count, filters, high, wide = winners.shape
    nothing = maps_grad.dtype.type(0)
    chosen, numbers = np.empty(filters, np.uint8), np.empty(filters, maps_grad.dtype)
    for n in range(count):
        for y in range(high):
            for x in range(wide):
                for f in range(filters):
                    chosen[f], numbers[f] = winners[n, f, y, x], grad[n, f, y, x]
                for k in range(size * size):
                    for f in range(filters):
                        number = numbers[f] if chosen[f] == k else nothing
                        maps_grad[n, size * y + k // size, size * x + k % size, f] = number


@written_out
def _gather(
    typing: Any, sums: Any, at: Any, rows: Any, offset: Any, line: Any, places: Any, values: Any, count: Any,
    deep: Any, wide: Any, vectors: Any,
) -> Any:  # fmt: skip
    """Add rows[places[i] + offset:] times values[i] to `deep` rows of `wide` vectors, from sums[at:] on.

    For each i < count, which is 1 or more. On flat arrays: a row of `rows` has `line` numbers, a row of `sums` has
    `vectors` vectors. The sums stay in registers.
    """
    size = deep.literal_value, wide.literal_value, vectors.literal_value

    def generate(context: Any, build: ir.IRBuilder, signature: Any, arguments: Any) -> None:
        sums, at, rows, offset, line, places, values, count, *_ = flat(context, build, signature, arguments)
        deep, wide, vectors = size
        number = at.type
        targets = [
            vector_at(build, sums, build.add(at, number((r * vectors + b) * LANES)))
            for r in range(deep)
            for b in range(wide)
        ]

        def add(i: Any, totals: list[Any]) -> list[Any]:
            value = spread(build, build.load(build.gep(values, [i])))
            start = build.add(build.load(build.gep(places, [i])), offset)
            for r in range(deep):
                for b in range(wide):
                    row = build.load(vector_at(build, rows, build.add(start, number(b * LANES))), **UNALIGNED)
                    totals[r * wide + b] = multiply_add(build, value, row, totals[r * wide + b])
                start = build.add(start, line)
            return totals

        totals = loop(build, count, [build.load(target, **UNALIGNED) for target in targets], add)
        for target, total in zip(targets, totals, strict=True):
            build.store(total, target, **UNALIGNED)

    kinds = (sums, types.intp, rows, types.intp, types.intp, places, values, types.intp, deep, wide, vectors)
    return types.void(*kinds), generate
