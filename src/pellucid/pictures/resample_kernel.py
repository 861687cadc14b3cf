"""The loops of resample.py, for Numba. It compiles them into one function without calls, for runtime/machine_code.py.

The function receives the address of int64 numbers: which loop, sizes, and addresses. The caller sees to it that the
arrays exist; see the functions of resample.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numba.np.numpy_support import carray

from pellucid.pictures.interpolate import BITS, ROWS
from pellucid.runtime import machine_code
from pellucid.runtime.team import voidptr
from pellucid.runtime.vectors import LANES, turn_square

_inlined: Any = njit(error_model="numpy", inline="always")


@_inlined
def _sums(image: Any, first: Any, count: Any, weights: Any, result: Any, sums: Any) -> None:
    """Rows of uint8 (H, numbers) -> weighted sums of them, uint8 (height, numbers). `sums`: int32 (numbers)."""
    line = image.shape[1]
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


@_inlined
def _turn(image: Any, top: Any, turned: Any) -> None:
    """ROWS rows of uint8 (H, numbers) from `top` -> columns, uint8 (numbers, ROWS)."""
    line = image.shape[1]
    if line < LANES:
        for row in range(ROWS):
            for x in range(line):
                turned[x, row] = image[top + row, x]
        return
    for row in range(0, ROWS, LANES):
        for part in range(-(-line // LANES)):
            x = min(part * LANES, line - LANES)
            turn_square(image, (top + row) * line + x, line, turned, x * ROWS + row, ROWS, 8)


@_inlined
def _turn_back(turned: Any, result: Any, top: Any) -> None:
    line = result.shape[1]
    if line < LANES:
        for row in range(ROWS):
            for x in range(line):
                result[top + row, x] = turned[x, row]
        return
    for row in range(0, ROWS, LANES):
        for part in range(-(-line // LANES)):
            x = min(part * LANES, line - LANES)
            turn_square(turned, x * ROWS + row, ROWS, result, (top + row) * line + x, line, 8)


@_inlined
def _average(image: Any, down: Any, across: Any, result: Any, sums: Any) -> None:
    """Means of blocks of uint8 (H, W * 3), those at the right and at the bottom as far as the picture goes.

    `sums`: uint32 (W * 3).
    """
    high, line = image.shape
    wide = line // 3
    for y in range(len(result)):
        rows = min(down, high - y * down)
        for x in range(line):
            sums[x] = image[y * down, x]
        for k in range(1, rows):
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


def _resample(address: Any) -> None:
    numbers = carray(address, 12, np.int64)
    which, high, line = numbers[0], numbers[1], numbers[2]
    height, width = numbers[3], numbers[4]  # of the result; `width` counts its numbers
    image = carray(voidptr(numbers[5]), (high, line), np.uint8)
    result = carray(voidptr(numbers[6]), (height, width), np.uint8)
    if which == 2:
        _average(image, numbers[7], numbers[8], result, carray(voidptr(numbers[10]), line, np.uint32))
        return
    outputs = height if which == 0 else width // 3
    first = carray(voidptr(numbers[7]), outputs, np.int64)
    count = carray(voidptr(numbers[8]), outputs, np.int64)
    weights = carray(voidptr(numbers[9]), (outputs, numbers[11]), np.int32)
    if which == 0:
        _sums(image, first, count, weights, result, carray(voidptr(numbers[10]), line, np.int32))
        return
    # space for the sums, the turned rows, and the turned results
    space = numbers[10]
    sums = carray(voidptr(space), 3 * ROWS, np.int32)
    turned = carray(voidptr(space + 12 * ROWS), (line, ROWS), np.uint8)
    done = carray(voidptr(space + (12 + line) * ROWS), (width, ROWS), np.uint8)
    columns = carray(voidptr(space + 12 * ROWS), (line // 3, 3 * ROWS), np.uint8)
    sides = carray(voidptr(space + (12 + line) * ROWS), (outputs, 3 * ROWS), np.uint8)
    for start in range(0, high, ROWS):
        top = min(start, high - ROWS)  # where ROWS does not divide the height, some rows twice
        _turn(image, top, turned)
        _sums(columns, first, count, weights, sides, sums)
        _turn_back(done, result, top)


def compiled() -> Any:
    """The function, compiled."""
    return machine_code.compiled(_resample)
