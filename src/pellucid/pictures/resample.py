"""Pillow's resizing, antialiased bilinear and by whole blocks, compiled for many pictures: the same bits, faster.

Pillow's arithmetic (src/libImaging/Resample.c): each output is a sum of inputs under a triangle, weighted by 22-bit
integers, along the rows and along the columns, rounded to 8 bits after each. The kernel multiplies a whole row at
once; for sums along the rows it transposes the picture, some rows at a time. Whole blocks are averaged as in Pillow's
Reduce.c. Numba compiles the kernel, once on a machine. This takes as long as resizing some thousand pictures, so only
large jobs do it (decode.py). Its machine code is then stored, and loads in milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from numpy.typing import NDArray

from pellucid.pictures import interpolate
from pellucid.pictures.interpolate import BITS, GAP, ROWS, Box
from pellucid.runtime import machine_code

_SUMS, _ALONG, _AVERAGE = range(3)  # the kernel's loops
_HERE = Path(__file__).parent
_SOURCES = (
    Path(__file__),
    _HERE / "resample_kernel.py",
    _HERE / "interpolate.py",
    _HERE.parent / "runtime" / "vectors.py",
    _HERE.parent / "runtime" / "team.py",
)


@dataclass(frozen=True, slots=True, eq=False)
class _Weights:
    """For each output: the first input, the number of inputs, and their weights, padded with zeros."""

    first: NDArray[np.int64]
    count: NDArray[np.int64]
    weights: NDArray[np.int32]
    places: tuple[int, int, int]
    """The addresses of the three: NumPy takes a microsecond to say one."""

    @classmethod
    def of(cls, first: NDArray[np.int64], count: NDArray[np.int64], weights: NDArray[np.int32]) -> _Weights:
        return cls(first, count, weights, (first.ctypes.data, count.ctypes.data, weights.ctypes.data))


_kernel: machine_code.Function | None = None
_compared = False  # whether the kernel equals Pillow; until then only the comparison may use it


def is_ready() -> bool:
    """Whether the kernel is loaded, or its code is stored on this machine, after a comparison with this Pillow."""
    global _kernel, _compared
    if not _compared:
        with suppress(OSError):
            stored = machine_code.stored(machine_code.folders(_SOURCES[0]), _key())
            if stored is not None:
                _kernel, _compared = stored, True
    return _compared


@cache
def agrees() -> bool:
    """Whether the results equal the installed Pillow's on pictures of all proportions; compiles the kernel if needed.

    If they do, the kernel's code is stored.
    """
    global _kernel, _compared
    if is_ready():
        return True
    from pellucid.pictures import resample_kernel

    function = resample_kernel.compiled()
    _kernel = machine_code.FUNCTION(function.address)
    _compiled.append(function)
    if not _equals_pillow():
        return False
    _compared = True
    with suppress(OSError):
        machine_code.store(machine_code.folders(_SOURCES[0]), _key(), function)
    return True


_compiled: list[Any] = []  # Numba frees the code of a function that nothing refers to


def _key() -> str:
    return machine_code.key(_SOURCES, f"Pillow {PIL.__version__}")


def _equals_pillow() -> bool:
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
        _run(_AVERAGE, source, image, down, across, 0, 0, np.empty(source.shape[1] * 3, np.uint32))
    return resized(image, side, side, (0, 0, wide / across, high / down))


def resized(image: NDArray[np.uint8], height: int, width: int, box: Box) -> NDArray[np.uint8]:
    """uint8 (H, W, 3) -> uint8 (height, width, 3): `box` of it, as Pillow resizes it."""
    high, wide, _ = image.shape
    left, top, right, bottom = (float(np.float32(edge)) for edge in box)  # Pillow receives float32
    along_rows = (lambda part: part) if (width, left, right) == (wide, 0, wide) else _rows(wide, left, right, width)
    weights = _weights(high, top, bottom, height)
    if (height, top, bottom) == (high, 0, high):
        return np.array(along_rows(np.ascontiguousarray(image)))
    if high - height > max(0, 2 * (wide - width)):  # Pillow's order, which affects the rounding
        return np.array(along_rows(_down(np.ascontiguousarray(image), weights)))
    start, end = int(weights.first[0]), int(weights.first[-1] + weights.count[-1])
    if start:
        weights = _Weights.of(weights.first - start, weights.count, weights.weights)
    return _down(along_rows(np.ascontiguousarray(image[start:end])), weights)


def _down(image: NDArray[np.uint8], weights: _Weights) -> NDArray[np.uint8]:
    result = np.empty((len(weights.first), *image.shape[1:]), np.uint8)
    _weighted(_SUMS, image, weights, result, np.empty(image.shape[1] * 3, np.int32))
    return result


def _rows(wide: int, left: float, right: float, width: int) -> Callable[[NDArray[np.uint8]], NDArray[np.uint8]]:
    weights = _weights(wide, left, right, width)

    def along_rows(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        high = len(image)
        if high < ROWS:
            image = np.concatenate([image, np.zeros((ROWS - high, *image.shape[1:]), np.uint8)])
        result = np.empty((len(image), width, 3), np.uint8)
        _weighted(_ALONG, image, weights, result, np.empty((12 + 3 * wide + 3 * width) * ROWS, np.uint8))
        return result[:high]

    return along_rows


def _weighted(
    which: int, image: NDArray[np.uint8], weights: _Weights, result: NDArray[np.uint8], space: NDArray[Any]
) -> None:
    _run(which, image, result, *weights.places, weights.weights.shape[1], space)


def _run(
    which: int,
    image: NDArray[np.uint8],
    result: NDArray[np.uint8],
    one: int,
    two: int,
    three: int,
    taps: int,
    space: NDArray[Any],
) -> None:
    """Run a loop of the kernel. All arrays are contiguous and stay alive meanwhile."""
    (high, wide, _), (height, width, _) = image.shape, result.shape
    places = image.ctypes.data, result.ctypes.data, one, two, three, space.ctypes.data
    numbers = np.array([which, high, 3 * wide, height, 3 * width, *places, taps], np.int64)
    assert _kernel is not None, "the kernel is not loaded"
    _kernel(numbers.ctypes.data)


@lru_cache(256)
def _weights(size: int, start: float, end: float, wanted: int) -> _Weights:
    """The weights of `wanted` outputs."""
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
    return _Weights.of(first, count, (0.5 + weights / total[:, None] * (1 << BITS)).astype(np.int32))
