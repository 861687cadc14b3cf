"""Pillow's resizing, antialiased bilinear and by whole blocks, compiled for many pictures: the same bits, faster.

Pillow's arithmetic (src/libImaging/Resample.c): each output is a sum of inputs under a triangle, weighted by 22-bit
integers, along the rows and along the columns, rounded to 8 bits after each. This module multiplies a whole row at
once; for sums along the rows it transposes the picture, some rows at a time. Whole blocks are averaged as in Pillow's
Reduce.c. Importing Numba takes as long as resizing some hundred pictures, so only large jobs use it (decode.py).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.pictures import interpolate
from pellucid.pictures.interpolate import GAP, Box
from pellucid.runtime.compiled import compiled
from pellucid.runtime.vectors import LANES, turn_square

BITS = 22  # of a weight
ROWS = 32  # transposed at a time

_Weights = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]]


@cache
def agrees() -> bool:
    """Whether the results equal the installed Pillow's on pictures of all proportions; also compiles the kernels."""
    numbers = np.random.default_rng(0)
    for high, wide in product((5, 97), repeat=2):
        image = numbers.integers(0, 256, (high, wide, 3), np.uint8)
        for height, width in product((4, 60), repeat=2):
            for box in ((0, 0, wide, high), (wide * 0.13, 0, wide * 0.9, high), (0, 1.5, wide, high - 1.1)):
                plain = interpolate.resized(image, height, width, box, "bilinear")
                if not np.array_equal(resized(image, height, width, box), plain):
                    return False
        for side in (1, 8):
            if not np.array_equal(shrunk(image, side), interpolate.shrunk(image, side)):
                return False
    return True


def shrunk(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """uint8 (H, W, 3) -> uint8 (side, side, 3): whole blocks averaged, down to GAP times the size, then resized."""
    high, wide, _ = image.shape
    down, across = (int(size / side / GAP) or 1 for size in (high, wide))
    if down * across > 1:
        source, image = np.ascontiguousarray(image), np.empty((-(-high // down), -(-wide // across), 3), np.uint8)
        _average(source.reshape(high, -1), down, across, image.reshape(len(image), -1))
    return resized(image, side, side, (0, 0, wide / across, high / down))


def resized(image: NDArray[np.uint8], height: int, width: int, box: Box) -> NDArray[np.uint8]:
    """uint8 (H, W, 3) -> uint8 (height, width, 3): `box` of it, as Pillow resizes it."""
    high, wide, _ = image.shape
    left, top, right, bottom = (float(np.float32(edge)) for edge in box)  # Pillow receives float32
    along_rows = (lambda part: part) if (width, left, right) == (wide, 0, wide) else _rows(wide, left, right, width)
    first, count, weights = _weights(high, top, bottom, height)
    if (height, top, bottom) == (high, 0, high):
        return np.array(along_rows(np.ascontiguousarray(image)))
    if high - height > max(0, 2 * (wide - width)):  # Pillow's order, which affects the rounding
        return np.array(along_rows(_down(np.ascontiguousarray(image), first, count, weights)))
    start, end = int(first[0]), int(first[-1] + count[-1])
    return _down(along_rows(np.ascontiguousarray(image[start:end])), first - start, count, weights)


def _down(image: NDArray[np.uint8], first: Any, count: Any, weights: Any) -> NDArray[np.uint8]:
    result = np.empty((len(first), *image.shape[1:]), np.uint8)
    _sums(image.reshape(len(image), -1), first, count, weights, result.reshape(len(result), -1))
    return result


def _rows(wide: int, left: float, right: float, width: int) -> Callable[[NDArray[np.uint8]], NDArray[np.uint8]]:
    weights = _weights(wide, left, right, width)

    def along_rows(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        high = len(image)
        if high < ROWS:
            image = np.concatenate([image, np.zeros((ROWS - high, *image.shape[1:]), np.uint8)])
        result = np.empty((len(image), width, 3), np.uint8)
        _along_rows(image.reshape(len(image), -1), *weights, result.reshape(len(image), -1))
        return result[:high]

    return along_rows


@lru_cache(256)
def _weights(size: int, start: float, end: float, wanted: int) -> _Weights:
    """For each of `wanted` outputs: the first input, the number of inputs, and their weights, padded with zeros."""
    scale = float(np.float32(end) - np.float32(start)) / wanted  # the difference in float32 too
    wide = max(scale, 1.0)  # half of the triangle's base
    centre = start + (np.arange(wanted) + 0.5) * scale
    first = np.maximum((centre - wide + 0.5).astype(np.int64), 0)
    count = np.minimum((centre + wide + 0.5).astype(np.int64), size) - first
    place = np.arange(count.max())
    weights = np.maximum(1.0 - np.abs((place + first[:, None] - centre[:, None] + 0.5) * (1.0 / wide)), 0.0)
    weights[place >= count[:, None]] = 0.0
    total = np.zeros(wanted)
    for column in weights.T:  # in Pillow's order
        total += column
    return first, count, (0.5 + weights / total[:, None] * (1 << BITS)).astype(np.int32)


@compiled
def _sums(image: Any, first: Any, count: Any, weights: Any, result: Any) -> None:
    """Rows of uint8 (H, numbers) -> weighted sums of them, uint8 (height, numbers)."""
    line = image.shape[1]
    sums = np.empty(line, np.int32)
    for y in range(len(first)):
        for x in range(line):
            sums[x] = 1 << (BITS - 1)
        for tap in range(count[y]):
            row, weight = image[first[y] + tap], weights[y, tap]
            for x in range(line):
                sums[x] += np.int32(np.int32(row[x]) * weight)
        rounded = result[y]
        for x in range(line):
            rounded[x] = sums[x] >> BITS


@compiled
def _turn(image: Any, top: int, turned: Any) -> None:
    """ROWS rows of uint8 (H, numbers) from `top` -> columns, uint8 (numbers, ROWS)."""
    line = image.shape[1]
    if line < LANES:
        turned[:] = image[top : top + ROWS].T
        return
    for row in range(0, ROWS, LANES):
        for part in range(-(-line // LANES)):
            x = min(part * LANES, line - LANES)
            turn_square(image, (top + row) * line + x, line, turned, x * ROWS + row, ROWS, 8)


@compiled
def _turn_back(turned: Any, result: Any, top: int) -> None:
    line = result.shape[1]
    if line < LANES:
        result[top : top + ROWS] = turned.T
        return
    for row in range(0, ROWS, LANES):
        for part in range(-(-line // LANES)):
            x = min(part * LANES, line - LANES)
            turn_square(turned, x * ROWS + row, ROWS, result, (top + row) * line + x, line, 8)


@compiled
def _along_rows(image: Any, first: Any, count: Any, weights: Any, result: Any) -> None:
    """uint8 (H, W * 3) -> uint8 (H, width * 3), H at least ROWS; where they do not divide it, some rows twice."""
    high, line = image.shape
    turned, done = np.empty((line, ROWS), np.uint8), np.empty((result.shape[1], ROWS), np.uint8)
    columns, sums = turned.reshape(line // 3, 3 * ROWS), done.reshape(len(first), 3 * ROWS)
    for start in range(0, high, ROWS):
        top = min(start, high - ROWS)
        _turn(image, top, turned)
        _sums(columns, first, count, weights, sums)
        _turn_back(done, result, top)


@compiled
def _average(image: Any, down: int, across: int, result: Any) -> None:
    """Means of blocks of uint8 (H, W * 3), those at the right and at the bottom as far as the picture goes."""
    high, line = image.shape
    wide = line // 3
    sums = np.empty(line, np.uint32)
    for y in range(len(result)):
        rows = min(down, high - y * down)
        sums[:] = 0
        for k in range(rows):
            row = image[y * down + k]
            for x in range(line):
                sums[x] += row[x]
        means, at, whole = result[y], 0, np.uint32(rows * across)
        share = np.uint32(1 << 24) // whole
        for x in range(len(means) // 3):
            columns, count = min(across, wide - x * across), whole
            if columns < across:
                count = np.uint32(rows * columns)
                share = np.uint32(1 << 24) // count
            red = green = blue = count >> np.uint32(1)
            for _ in range(columns):
                red, green, blue = red + sums[at], green + sums[at + 1], blue + sums[at + 2]
                at += 3
            means[3 * x] = red * share >> np.uint32(24)
            means[3 * x + 1] = green * share >> np.uint32(24)
            means[3 * x + 2] = blue * share >> np.uint32(24)
