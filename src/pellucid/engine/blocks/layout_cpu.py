"""The layout of a picture for direct_cpu.py: even and odd columns apart, for bfloat16 rows in pairs.

Also turns a pooled map's rows into the order by pixel that the next layer needs. Whole vectors are moved and
transposed: number by number, this took longer than the convolution.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.misc.special import literally

from pellucid.runtime.compiled import compiled
from pellucid.runtime.vectors import (
    FLOATS,
    LANES,
    WORDS,
    all_lanes,
    flat,
    rounded,
    store_words,
    turn_square,
    words_at,
    written_out,
)


@compiled
def shape(images: Any, padding: tuple[int, int], width: int) -> tuple[int, int, int, int]:
    """The shape of the layout: channels, rows with a spare first one, even and odd columns, places with spares."""
    _, high, wide, channels = images
    return channels, high + 2 * padding[0] + 2, 2, (wide + 2 * padding[1]) // 2 + width + 2 * LANES


@compiled
def lay_out(images: Any, table: Any, n: int, padding: tuple[int, int], rows: Any, channels: int, bits: int) -> None:
    """Picture n of (N, H, W, C) -> uint32 (C, rows, 2, places), zeros around: even columns, then odd.

    `images`: float32 as bits, or uint8; then `table`, (C, 256), has the float32 bits for each byte.

    For 16 bits each number is a pair: a row, rounded to bfloat16, in the lower half, and the next row in the upper
    half.
    """
    literally(channels)
    literally(bits)
    _, high, wide, _ = images.shape
    down, across = padding
    _, lines, _, places = rows.shape
    line = np.zeros(2 * places * channels, np.uint32)
    above = np.zeros((channels, 2, places), np.uint32)
    reach = -(-(wide + across) // (2 * LANES))  # vectors per row of even columns
    sizes = (lines * 2 * places, places)
    for y in range(high):
        at = (n * high + y) * wide * channels
        if images.itemsize == 1:
            for x in range(wide):
                for c in range(channels):
                    line[(across + x) * channels + c] = table[c, images[n, y, x, c]]
        else:
            _copy(images, at, line, across * channels, wide * channels)
        to = (1 + down + y) * 2 * places
        for part in range(reach):
            i = part * LANES
            _even_and_odd(line, 2 * i * channels, above, i, rows, to + i, sizes, channels, bits)
    if bits == 16:
        line[:] = 0
        for part in range(reach):
            i = part * LANES
            _even_and_odd(line, 0, above, i, rows, (1 + down + high) * 2 * places + i, sizes, channels, bits)


@written_out
def _copy(typing: Any, numbers: Any, at: Any, line: Any, to: Any, count: Any) -> Any:
    def generate(context: Any, build: ir.IRBuilder, signature: Any, arguments: Any) -> None:
        numbers, at, line, to, count = flat(context, build, signature, arguments)
        cgutils.raw_memcpy(build, build.gep(line, [to]), build.gep(numbers, [at]), count, 4, align=4)

    return types.void(numbers, types.intp, line, types.intp, types.intp), generate


@written_out
def _even_and_odd(
    typing: Any, line: Any, at: Any, above: Any, above_at: Any, rows: Any, to: Any, sizes: Any, channels: Any, bits: Any
) -> Any:  # fmt: skip
    """Move line[at:], 32 columns of all channels, to rows[to:]; for 16 bits to the row above, paired with `above`.

    sizes: (plane, places).
    """
    depth, size = channels.literal_value, bits.literal_value
    wide = ir.VectorType(ir.IntType(32), 2 * LANES * depth)

    def generate(context: Any, build: ir.IRBuilder, signature: Any, arguments: Any) -> None:
        line, at, above, above_at, rows, to, sizes, *_ = flat(context, build, signature, arguments)
        plane, places = (build.extract_value(sizes, n) for n in range(2))
        number = at.type
        columns = build.load(build.bitcast(build.gep(line, [at]), wide.as_pointer()), align=4)
        for c in range(depth):
            for side in range(2):
                chosen = ir.Constant(WORDS, [(2 * i + side) * depth + c for i in range(LANES)])
                words = build.shuffle_vector(columns, ir.Constant(wide, ir.Undefined), chosen)
                place = build.add(build.add(to, build.mul(plane, number(c))), build.mul(places, number(side)))
                if size == 16:
                    words = rounded(build, build.bitcast(words, FLOATS))
                    upper = build.shl(words, all_lanes(16))
                    neighbour = build.add(above_at, build.mul(places, number(2 * c + side)))
                    place = build.sub(place, build.mul(places, number(2)))
                    pair = build.or_(words_at(build, above, neighbour), upper)
                    store_words(build, above, neighbour, words)
                    words = pair
                store_words(build, rows, place, words)

    kinds = (line, types.intp, above, types.intp, rows, types.intp, sizes, channels, bits)
    return types.void(*kinds), generate


@compiled
def turn_over(numbers: Any, at: int, rows: int, columns: int, turned: Any, to: int, bits: int) -> None:
    """Transpose a matrix (rows, columns) of bits from numbers[at:] to turned[to:]."""
    literally(bits)
    if min(rows, columns) < LANES:
        flat_numbers, flat_turned = numbers.reshape(-1), turned.reshape(-1)
        for y in range(rows):
            for x in range(columns):
                flat_turned[to + x * rows + y] = flat_numbers[at + y * columns + x]
        return
    for down in range(-(-rows // LANES)):
        y = min(down * LANES, rows - LANES)
        for right in range(-(-columns // LANES)):
            x = min(right * LANES, columns - LANES)
            turn_square(numbers, at + y * columns + x, columns, turned, to + x * rows + y, rows, bits)
