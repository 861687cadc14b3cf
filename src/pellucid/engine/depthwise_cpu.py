"""The weight gradient of a depthwise convolution, in which each filter reads one channel; compiled by Numba.

Numbers are in channels-last order. They come as bits, because Numba does not know bfloat16: float32 as uint32, bfloat16
as uint16. The kernel copies LANES channels of a picture as float32, with the convolution's zeros around them. The sums
for these channels stay in registers. No kernel holds Python's lock.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.np.numpy_support import carray

from pellucid.runtime.compiled import compiled, for_team
from pellucid.runtime.team import next_job, voidptr
from pellucid.runtime.vectors import (
    LANES,
    SUMS,
    UNALIGNED,
    WHOLE,
    WORDS,
    flat,
    load_words,
    loop,
    multiply_add,
    store_words,
    vector_at,
    written_out,
)

MOST = 25 if WHOLE else SUMS  # the most taps whose sums stay in registers
LINE = 16  # words of a cache line, at whose beginning the first vector lies


@lru_cache
def weight_gradient(height: int, width: int) -> Callable[..., None]:
    """A kernel (images, grad, first, stride, padding, sums) for filters of height x width, at most MOST wide.

    * images    (n, H, W, C), bits of float32 or bfloat16
    * grad      the output's gradient, (n, OH, OW, C), bits likewise
    * first     the first of the LANES channels; stride and padding along height and width
    * sums      float32 (height * width, LANES): the gradient of these channels' weights
    """
    deep = next(rows for rows in range(min(height, MOST // width), 0, -1) if height % rows == 0)

    @compiled
    def kernel(
        images: Any, grad: Any, first: int, stride: tuple[int, int], padding: tuple[int, int], sums: Any
    ) -> None:
        count, tall, across, channels = images.shape
        _, high, wide, _ = grad.shape
        line = (across + 2 * padding[1]) * LANES
        bordered = _aligned((tall + 2 * padding[0]) * line)
        output = _aligned(high * wide * LANES)
        bordered[:] = 0
        sums[:] = 0
        for n in range(count):
            for y in range(tall):
                at = (n * tall + y) * across * channels + first
                _take(images, at, channels, bordered, (y + padding[0]) * line + padding[1] * LANES, across)
            _take(grad, n * high * wide * channels + first, channels, output, 0, high * wide)
            for r in range(0, height, deep):
                _add(
                    sums, r * width * LANES, bordered, r * line, line, stride[0] * line, stride[1] * LANES,
                    output, high, wide, deep, width,
                )  # fmt: skip

    return kernel


# places in the argument of `on_team`: the next job, the number of jobs, and the addresses of three arrays
NEXT, JOBS, IMAGES, GRAD, SUMS = range(5)
SIZES = 5  # from here on: the images' shape (n, H, W, C), height and width of the output, stride, padding
NUMBERS = 15


@lru_cache
def on_team(height: int, width: int, bits: int) -> int:
    """The address of this kernel for a team of threads (runtime/team.py). `bits`: 32 for float32, 16 for bfloat16.

    A job is LANES channels. If fewer are left, the last job begins earlier. `sums` is float32 (jobs, height * width,
    LANES).
    """
    kernel = weight_gradient(height, width)
    number = np.uint32 if bits == 32 else np.uint16

    @for_team
    def jobs(address: Any) -> None:
        header = carray(address, NUMBERS, np.int64)
        count, tall, across, channels = header[SIZES], header[SIZES + 1], header[SIZES + 2], header[SIZES + 3]
        high, wide, down, right = header[SIZES + 4], header[SIZES + 5], header[SIZES + 6], header[SIZES + 7]
        above, left = header[SIZES + 8], header[SIZES + 9]
        images = carray(voidptr(header[IMAGES]), (count, tall, across, channels), number)
        grad = carray(voidptr(header[GRAD]), (count, high, wide, channels), number)
        sums = carray(voidptr(header[SUMS]), (header[JOBS], height * width, LANES), np.float32)
        job = next_job(header.ctypes.data)
        while job < header[JOBS]:
            kernel(images, grad, min(job * LANES, channels - LANES), (down, right), (above, left), sums[job])
            job = next_job(header.ctypes.data)

    return jobs.address  # type: ignore[no-any-return]


@compiled
def _aligned(words: int) -> Any:
    """An array of `words` uint32 that begins at a cache line."""
    room = np.empty(words + LINE, np.uint32)
    skip = (-(room.ctypes.data // 4)) % LINE
    return room[skip : skip + words]


@written_out
def _take(typing: Any, numbers: Any, at: Any, step: Any, taken: Any, to: Any, count: Any) -> Any:
    """Copy LANES numbers from each of `count` >= 1 places, numbers[at + i * step :], to taken[to :] as float32."""
    bits = numbers.dtype.bitwidth

    def generate(context: Any, build: ir.IRBuilder, signature: Any, arguments: Any) -> None:
        numbers, at, step, taken, to, count = flat(context, build, signature, arguments)
        number = at.type

        def take(i: Any, _: list[Any]) -> list[Any]:
            words = load_words(build, numbers, build.add(at, build.mul(i, step)), ir.IntType(bits))
            if bits == 16:  # the upper half of a float32
                shift = ir.Constant(WORDS, [16] * LANES)
                words = build.shl(build.zext(words, WORDS), shift)
            store_words(build, taken, build.add(to, build.mul(i, number(LANES))), words)
            return []

        loop(build, count, [], take)

    return types.void(numbers, types.intp, types.intp, taken, types.intp, types.intp), generate


@written_out
def _add(
    typing: Any, sums: Any, at: Any, bordered: Any, first: Any, line: Any, down: Any, right: Any, grad: Any,
    high: Any, wide: Any, deep: Any, width: Any,
) -> Any:  # fmt: skip
    """Add the contributions of the high * wide places of `grad` to deep * width vectors at sums[at:].

    `bordered`: the picture, from `first` on. `line`: words between its rows. `down`, `right`: words between the windows
    of neighbouring outputs. The sums stay in registers.
    """
    size = deep.literal_value, width.literal_value

    def generate(context: Any, build: ir.IRBuilder, signature: Any, arguments: Any) -> None:
        sums, at, bordered, first, line, down, right, grad, high, wide, *_ = flat(context, build, signature, arguments)
        deep, width = size
        number = at.type
        targets = [vector_at(build, sums, build.add(at, number(k * LANES))) for k in range(deep * width)]

        def add_row(y: Any, totals: list[Any]) -> list[Any]:
            corner = build.add(first, build.mul(y, down))
            outputs = build.mul(y, wide)

            def add(x: Any, totals: list[Any]) -> list[Any]:
                place = build.mul(build.add(outputs, x), number(LANES))
                value = build.load(vector_at(build, grad, place), **UNALIGNED)
                start = build.add(corner, build.mul(x, right))
                for r in range(deep):
                    for k in range(width):
                        near = build.load(vector_at(build, bordered, build.add(start, number(k * LANES))), **UNALIGNED)
                        totals[r * width + k] = multiply_add(build, value, near, totals[r * width + k])
                    start = build.add(start, line)
                return totals

            return loop(build, wide, totals, add)

        totals = loop(build, high, [build.load(target, **UNALIGNED) for target in targets], add_row)
        for target, total in zip(targets, totals, strict=True):
            build.store(total, target, **UNALIGNED)

    kinds = (sums, types.intp, bordered, *[types.intp] * 4, grad, types.intp, types.intp, deep, width)
    return types.void(*kinds), generate
