"""The forward kernel of direct_cpu.py for one picture in float32, as one function without calls, for alone.py.

The function receives the address of int64 numbers: sizes and addresses, in the order of `kernel` below. The caller sees
to it that the arrays exist.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.np.numpy_support import carray

from pellucid.engine.blocks.direct_cpu import _tile, together
from pellucid.engine.blocks.layout_cpu import _even_and_odd
from pellucid.runtime import machine_code
from pellucid.runtime.team import voidptr
from pellucid.runtime.vectors import LANES


def compiled(channels: int, width: int, filters: int) -> Any:
    """The function for `filters` filters with `width` columns over `channels` channels, compiled."""
    group = together(filters, 4)

    def kernel(address: Any) -> None:
        numbers = carray(address, 16, np.int64)
        high, wide, down, across = numbers[0], numbers[1], numbers[2], numbers[3]
        tall, broad, rows_of_taps = numbers[4], numbers[5], numbers[6]  # of the pooled map; of a filter
        lines, places = numbers[7], numbers[8]  # of the layout
        image = carray(voidptr(numbers[9]), (high, wide, channels), np.uint8)
        table = carray(voidptr(numbers[10]), (channels, 256), np.uint32)
        taps = carray(voidptr(numbers[11]), channels * rows_of_taps * width * filters, np.uint32)
        bias = carray(voidptr(numbers[12]), filters, np.float32)
        pooled = carray(voidptr(numbers[13]), filters * tall * broad, np.uint32)
        winners = carray(voidptr(numbers[14]), filters * tall * broad, np.uint8)
        rows = carray(voidptr(numbers[15]), channels * lines * 2 * places, np.uint32)
        line = carray(voidptr(numbers[15] + channels * lines * 2 * places * 4), 2 * places * channels, np.uint32)

        reach = -(-(wide + across) // (2 * LANES))  # vectors per row of even columns
        for y in range(high):
            for x in range(wide):
                for c in range(channels):
                    line[(across + x) * channels + c] = table[c, image[y, x, c]]
            to = (1 + down + y) * 2 * places
            for part in range(reach):
                i = part * LANES
                _even_and_odd(line, 2 * i * channels, line, 0, rows, to + i, (lines * 2 * places, places), channels, 32)
        sizes = (lines * 2 * places, 2 * places, places, filters, rows_of_taps, tall * broad, tall * broad)
        for y in range(tall):
            for part in range(-(-broad // LANES)):
                x = min(part * LANES, broad - LANES)
                for turn in range(-(-filters // group)):
                    f = min(turn * group, filters - group)
                    at = (f * tall + y) * broad + x
                    start = (1 + 2 * y) * 2 * places + x
                    _tile(rows, start, taps, bias, f, pooled, at, winners, at, sizes, channels, width, group, 32)

    return machine_code.compiled(kernel)
