"""Convolution + ReLU + 2x2 max pooling for pictures of few channels, in registers, and its weights' gradient.

A library's convolution fills its vectors with channels, and a picture has three. These kernels fill them with places
along a row. The even and the odd columns of the picture are separate (layout_cpu.py): sixteen windows of the pool lie
side by side, each with its four sums in the same lane. The kernel writes the pooled map and the winners, but never the
convolution's own output. In bfloat16, a number holds a pair from two rows, which the processor multiplies and adds
together.

Compiled by Numba, without Python's lock. Numbers come as their bits (kernels_cpu.py).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from pellucid.engine.blocks.kernels_cpu import DEAD
from pellucid.engine.blocks.layout_cpu import lay_out, shape, turn_over
from pellucid.runtime.compiled import compiled
from pellucid.runtime.vectors import (
    FLOATS,
    LANES,
    SUMS,
    UNALIGNED,
    WORDS,
    all_lanes,
    flat,
    load_words,
    loop,
    multiply,
    rounded,
    spread,
    spread_word,
    store_words,
    vector_at,
    word_at,
    words_at,
    written_out,
)

STRIPE = 48 << 10  # bytes of gradients that are scattered at once: they stay in the cache


@lru_cache
def forward(channels: int, width: int, group: int, bits: int, by_pixel: bool) -> Callable[..., None]:
    """A kernel (images, table, padding, taps, bias, pooled, winners) for filters with `width` numbers per row.

    `images` (n, H, W, C) and `table` as `lay_out` reads them; `taps` from `taps()`; `bias` float32 (F,); `winners`
    uint8 (n, F, PH, PW); `pooled` as bits of 32 or 16, of that shape or by pixel, (n, PH, PW, F). PW is LANES or more,
    F `group` or more: the kernel sums `group` filters side by side.
    """
    number = np.uint32 if bits == 32 else np.uint16

    @compiled
    def kernel(
        images: Any, table: Any, padding: tuple[int, int], taps: Any, bias: Any, pooled: Any, winners: Any
    ) -> None:
        count, filters, high, wide = winners.shape
        rows_of_taps = taps.shape[1]
        rows: Any = np.zeros(shape(images.shape, padding, width), np.uint32)
        line = np.empty((filters, wide), number)
        plane, step, half = rows.shape[1] * 2 * rows.shape[3], 2 * rows.shape[3], rows.shape[3]
        for n in range(count):
            lay_out(images, table, n, padding, rows, channels, bits)
            for y in range(high):
                start = (1 + 2 * y) * step
                for part in range(-(-wide // LANES)):
                    x = min(part * LANES, wide - LANES)
                    for turn in range(-(-filters // group)):
                        f = min(turn * group, filters - group)
                        at = ((n * filters + f) * high + y) * wide + x
                        sizes = (plane, step, half, filters, rows_of_taps, wide, high * wide)
                        to = f * wide + x
                        _tile(
                            rows, start + x, taps, bias, f, line, to, winners, at, sizes, channels, width, group, bits
                        )
                if by_pixel:
                    turn_over(line, 0, filters, wide, pooled, (n * high + y) * wide * filters, bits)
                else:
                    for f in range(filters):
                        for x in range(wide):
                            pooled[n, f, y, x] = line[f, x]

    return kernel


@lru_cache
def weight_gradient(
    channels: int, height: int, width: int, group: int, bits: int, by_pixel: bool
) -> Callable[..., None]:
    """A kernel (images, table, padding, grad, winners, sums, bias_sums) that adds the weights' and bias's gradients.

    `images`, `table`, `winners` and `grad` (the pooled map's) as `forward` takes them; `sums` float32 (C, height,
    width, F, LANES) and `bias_sums` float32 (F, PW), which the caller must sum along their last axis.
    """
    halves = 2 if bits == 32 else 1  # rows of gradients per row of the pool
    number = np.uint32 if bits == 32 else np.uint16

    @compiled
    def kernel(
        images: Any, table: Any, padding: tuple[int, int], grad: Any, winners: Any, sums: Any, bias_sums: Any
    ) -> None:
        count, filters, high, wide = winners.shape
        rows: Any = np.zeros(shape(images.shape, padding, width), np.uint32)
        line = np.empty((filters, wide), number)
        plane, step, half = rows.shape[1] * 2 * rows.shape[3], 2 * rows.shape[3], rows.shape[3]
        across = -(-wide // LANES) * LANES
        stripe = max(1, STRIPE // (4 * halves * 2 * filters * across))
        places = np.zeros((stripe, halves, 2, filters, across), np.uint32)
        for n in range(count):
            lay_out(images, table, n, padding, rows, channels, bits)
            for first in range(0, high, stripe):
                there = min(stripe, high - first)
                for y in range(there):
                    if by_pixel:
                        turn_over(grad, (n * high + first + y) * wide * filters, wide, filters, line, 0, bits)
                    else:
                        for f in range(filters):
                            for x in range(wide):
                                line[f, x] = grad[n, f, first + y, x]
                    for f in range(filters):
                        for part in range(-(-wide // LANES)):
                            x = min(part * LANES, wide - LANES)
                            at = ((n * filters + f) * high + first + y) * wide + x
                            to = ((y * halves * 2) * filters + f) * across + x
                            sum_at = f * wide + x
                            sizes = (filters * across, 2 * filters * across, part * LANES - x)
                            _put_back(line, winners, at, places, to, bias_sums, sum_at, sizes, bits)
                for c in range(channels):
                    for r in range(height):
                        start = c * plane + (1 + 2 * first + r) * step
                        for turn in range(-(-filters // group)):
                            f = min(turn * group, filters - group)
                            fresh = turn * group - f  # filters already summed in the previous turn
                            at = (((c * height + r) * width) * filters + f) * LANES
                            sizes = (step, half, filters, across, there * halves, fresh)
                            _products(rows, start, places, f * across, sums, at, sizes, width, group, bits)

    return kernel


def together(filters: int, each: int) -> int:
    """How many filters to sum together, each with `each` sums: as many as registers hold, with few computed twice."""
    most = max(1, min(filters, SUMS // each))

    def computed(group: int) -> tuple[int, int]:
        return -(-filters // group) * group, -group

    return min(range(max(1, most // 2), most + 1), key=computed)


def taps(weight: Any, bits: int) -> Any:
    """The filters as the kernels read them: float32 (F, C, KH, KW) -> bits (C, rows, KW, F), in pairs of rows for 16.

    An unpaired row is paired with zeros.
    """
    filters = np.ascontiguousarray(weight.transpose(1, 2, 3, 0)).view(np.uint32)
    if bits == 32:
        return filters
    channels, height, width, count = filters.shape
    even = np.zeros((channels, height + height % 2, width, count), np.uint32)
    even[:, :height] = filters >> 16
    return even[:, ::2] | even[:, 1::2] << 16


@written_out
def _put_back(
    typing: Any, line: Any, winners: Any, at: Any, places: Any, to: Any, bias_sums: Any, sum_at: Any, sizes: Any,
    bits: Any,
) -> Any:  # fmt: skip
    """Scatter sixteen gradients, line[sum_at:], to their winners' places, and add them to bias_sums[sum_at:].

    Each window's columns are separate, and its two rows are two halves, or for 16 bits a pair. sizes: (numbers to the
    other column, numbers to the other half, gradients already in the bias).
    """
    size = bits.literal_value

    def generate(context: Any, build: ir.IRBuilder, signature: Any, arguments: Any) -> None:
        line, winners, at, places, to, bias_sums, sum_at, sizes, _ = flat(context, build, signature, arguments)
        column, half, seen = (build.extract_value(sizes, n) for n in range(3))
        winner = build.zext(load_words(build, winners, at, ir.IntType(8)), WORDS)
        value = load_words(build, line, sum_at, ir.IntType(size))
        value = value if size == 32 else build.zext(value, WORDS)
        upper = value if size == 32 else build.shl(value, all_lanes(16))
        nothing = all_lanes(0)
        for side in range(2):
            first, second = (
                build.select(build.icmp_unsigned("==", winner, all_lanes(2 * row + side)), here, nothing)
                for row, here in enumerate((value, upper))
            )
            place = build.add(to, column) if side else to
            if size == 16:
                store_words(build, places, place, build.or_(first, second))
            else:
                store_words(build, places, place, first)
                store_words(build, places, build.add(place, half), second)
        lanes = ir.Constant(WORDS, list(range(LANES)))
        seen = build.trunc(seen, ir.IntType(32))
        counts = build.and_(
            build.icmp_unsigned("!=", winner, all_lanes(DEAD)),
            build.icmp_unsigned(">=", lanes, spread_word(build, seen)),
        )
        added = build.bitcast(build.select(counts, upper, nothing), FLOATS)
        target = vector_at(build, bias_sums, sum_at)
        build.store(build.fadd(build.load(target, **UNALIGNED), added), target, **UNALIGNED)

    kinds = (line, winners, types.intp, places, types.intp, bias_sums, types.intp, sizes, bits)
    return types.void(*kinds), generate


@written_out
def _tile(
    typing: Any, rows: Any, start: Any, taps: Any, bias: Any, first: Any,
    pooled: Any, to: Any, winners: Any, at: Any, sizes: Any, channels: Any, width: Any, group: Any, bits: Any,
) -> Any:  # fmt: skip
    """Sixteen windows of the pool, side by side, of `group` filters from `first` on: the largest above zero, and where.

    sizes: (plane, line, half, filters, rows of taps, numbers to the next filter in `pooled` and in `winners`). Windows
    begin at rows[start]; results go to pooled[to] and winners[at] and on.
    """
    columns, filters_at_once, size = width.literal_value, group.literal_value, bits.literal_value
    step = 1 if size == 32 else 2  # rows of the picture per row of taps

    def generate(context: Any, build: ir.IRBuilder, signature: Any, arguments: Any) -> None:
        rows, start, taps, bias, first, pooled, to, winners, at, sizes, *_ = flat(context, build, signature, arguments)
        plane, line, half, filters, tap_rows, pooled_area, winner_area = (
            build.extract_value(sizes, n) for n in range(7)
        )
        number = start.type
        offsets = [build.load(build.gep(bias, [build.add(first, number(g))])) for g in range(filters_at_once)]
        begin = [spread(build, offset) for offset in offsets]
        # sums[row][column][filter], for the window's four places
        sums = [begin[g] for _ in range(4) for g in range(filters_at_once)]

        def row_of_taps(c: Any, t: Any, sums: list[Any]) -> list[Any]:
            top = build.add(start, build.mul(c, plane))
            top = build.add(top, build.mul(build.mul(t, number(step)), line))
            turn = build.add(build.mul(c, tap_rows), t)
            tap = build.add(build.mul(turn, build.mul(filters, number(columns))), first)
            for k in range(columns):
                data = []
                for row in range(2):
                    for side in range(2):
                        place = build.add(top, number((side + k) // 2))
                        if row:
                            place = build.add(place, line)
                        if (side + k) % 2:
                            place = build.add(place, half)
                        data.append(words_at(build, rows, place))
                base = build.add(tap, build.mul(filters, number(k)))
                for g in range(filters_at_once):
                    weight = spread(build, word_at(build, taps, build.add(base, number(g))))
                    for place in range(4):
                        index = place * filters_at_once + g
                        sums[index] = multiply(build, sums[index], weight, data[place], size)
            return sums

        depth = number(channels.literal_value)
        sums = loop(build, depth, sums, lambda c, sums: loop(build, tap_rows, sums, partial(row_of_taps, c)))
        for g in range(filters_at_once):
            four = [sums[place * filters_at_once + g] for place in range(4)]
            largest, winner = _largest(build, four)
            narrow = build.trunc(rounded(build, largest), ir.VectorType(ir.IntType(16), LANES))
            place = build.add(to, build.mul(pooled_area, number(g)))
            store_words(build, pooled, place, largest if size == 32 else narrow)
            place = build.add(at, build.mul(winner_area, number(g)))
            store_words(build, winners, place, build.trunc(winner, ir.VectorType(ir.IntType(8), LANES)))

    kinds = (rows, types.intp, taps, bias, types.intp, pooled, types.intp, winners, types.intp)
    return types.void(*kinds, sizes, channels, width, group, bits), generate


@written_out
def _products(
    typing: Any, rows: Any, start: Any, places: Any, first: Any, sums: Any, at: Any,
    sizes: Any, width: Any, group: Any, bits: Any,
) -> Any:  # fmt: skip
    """Add to sums[at:] the products of a row of taps and `group` filters, summed over a stripe, in LANES parts.

    sizes: (line, half, filters, places per row of gradients, rows of gradients, filters to skip).
    """
    columns, filters_at_once, size = width.literal_value, group.literal_value, bits.literal_value
    step = 1 if size == 32 else 2

    def generate(context: Any, build: ir.IRBuilder, signature: Any, arguments: Any) -> None:
        rows, start, places, first, sums, at, sizes, *_ = flat(context, build, signature, arguments)
        line, half, filters, across, steps, fresh = (build.extract_value(sizes, n) for n in range(6))
        number = start.type
        side_size = build.mul(filters, across)
        vectors = build.udiv(across, number(LANES))
        zero = ir.Constant(FLOATS, None)

        def sixteen(u: Any, vector: Any, products: list[Any]) -> list[Any]:
            i = build.mul(vector, number(LANES))
            top = build.add(build.add(start, i), build.mul(build.mul(u, number(step)), line))
            gradient = build.add(build.add(first, i), build.mul(build.mul(u, number(2)), side_size))
            for side in range(2):
                base = build.add(gradient, side_size) if side else gradient
                grads = [
                    words_at(build, places, build.add(base, build.mul(across, number(g))))
                    for g in range(filters_at_once)
                ]
                for k in range(columns):
                    place = build.add(top, number((side + k) // 2))
                    if (side + k) % 2:
                        place = build.add(place, half)
                    data = words_at(build, rows, place)
                    for g in range(filters_at_once):
                        index = k * filters_at_once + g
                        products[index] = multiply(build, products[index], grads[g], data, size)
            return products

        products = [zero] * (columns * filters_at_once)
        products = loop(build, steps, products, lambda u, sums: loop(build, vectors, sums, partial(sixteen, u)))
        for g in range(filters_at_once):
            new = build.icmp_signed(">=", number(g), fresh)
            for k in range(columns):
                place = build.add(at, build.mul(build.add(build.mul(filters, number(k)), number(g)), number(LANES)))
                target = vector_at(build, sums, place)
                added = build.select(new, products[k * filters_at_once + g], zero)
                build.store(build.fadd(build.load(target, **UNALIGNED), added), target, **UNALIGNED)

    return types.void(rows, types.intp, places, types.intp, sums, types.intp, sizes, width, group, bits), generate


def _largest(build: ir.IRBuilder, four: list[Any]) -> tuple[Any, Any]:
    """The largest above zero in each lane, and which of the four it was; the first of equals wins, a NaN over all."""
    best, winner = ir.Constant(FLOATS, None), all_lanes(DEAD)
    for place, value in enumerate(four):
        wins = build.or_(build.fcmp_ordered(">", value, best), build.fcmp_unordered("uno", value, value))
        best = build.select(wins, value, best)
        winner = build.select(wins, all_lanes(place), winner)
    return best, winner
