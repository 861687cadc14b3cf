"""Run the first block's kernel for one picture after the other. If its code is stored, Numba is not imported."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.runtime import machine_code

LANES = 16  # numbers in a vector, as in runtime/vectors.py, whose import needs Numba
_HERE = Path(__file__).parent
_RUNTIME = _HERE.parents[1] / "runtime"
_SOURCES = (
    *(_HERE / f"{name}.py" for name in ("alone", "alone_cpu", "direct_cpu", "layout_cpu")),
    *(_RUNTIME / f"{name}.py" for name in ("vectors", "team")),
)


def forward(
    weight: NDArray[np.float32],
    bias: NDArray[np.float32],
    table: NDArray[np.float32],
    padding: tuple[int, int],
    shape: tuple[int, ...],
) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """A function from an image, uint8 (H, W, C), to its pooled map, float32 (1, F, PH, PW). Threads may share it.

    `weight` (F, C, KH, KW). `table` (C, 256): the standardised number for each byte. `padding`: rows and columns of
    zeros around. `shape`: (F, PH, PW), and PW is LANES or more.
    """
    filters, channels, height, width = weight.shape
    run = _kernel(channels, width, filters)
    taps = np.ascontiguousarray(weight.transpose(1, 2, 3, 0))
    bias, table = np.ascontiguousarray(bias), np.ascontiguousarray(table)

    def pooled(image: NDArray[np.uint8]) -> NDArray[np.float32]:
        high, wide, _ = image.shape
        lines, places = high + 2 * padding[0] + 2, (wide + 2 * padding[1]) // 2 + width + 2 * LANES
        space = np.zeros(channels * (lines + 1) * 2 * places, np.uint32)
        result, winners = np.empty((1, *shape), np.float32), np.empty(shape, np.uint8)
        image = np.ascontiguousarray(image)
        sizes = high, wide, *padding, *shape[1:], height, lines, places
        arrays = image, table, taps, bias, result, winners, space
        numbers = np.array([*sizes, *(each.ctypes.data for each in arrays)], np.int64)
        run(numbers.ctypes.data)
        return result

    return pooled


@lru_cache
def _kernel(channels: int, width: int, filters: int) -> machine_code.Function:
    key = machine_code.key(_SOURCES, f"{channels} {width} {filters}")
    run = machine_code.stored(machine_code.folders(_SOURCES[0]), key)
    if run is None:
        from pellucid.engine.blocks import alone_cpu

        function = alone_cpu.compiled(channels, width, filters)
        _compiled.append(function)
        machine_code.store(machine_code.folders(_SOURCES[0]), key, function)
        run = machine_code.FUNCTION(function.address)
    return run


_compiled: list[Any] = []  # Numba frees the code of a function that nothing refers to
