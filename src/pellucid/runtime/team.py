"""Run jobs on PyTorch's own threads. Between operations these threads spin, so other threads would wait for the cores.

On Linux PyTorch's threads belong to GNU OpenMP. Its entry point takes any compiled function, so functions compiled by
Numba run on them like PyTorch's own operations, and start within microseconds.
"""

from __future__ import annotations

import ctypes
import sys
from functools import lru_cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numpy.typing import NDArray

from pellucid.runtime.vectors import written_out


def is_there() -> bool:
    """Whether this process has such threads. Import PyTorch before the first call: the answer is cached."""
    return _parallel() is not None


def run(address: int, numbers: NDArray[np.int64], threads: int) -> None:
    """Call the compiled function at `address` on each of `threads` threads, with the address of `numbers`.

    The threads take jobs by `next_job`, which counts in `numbers[0]`; this function sets it to 0. Returns when all
    threads are done.
    """
    parallel = _parallel()
    assert parallel is not None, "there is no team of threads"
    numbers[0] = 0
    parallel(address, numbers.ctypes.data, threads, 0)


@written_out
def next_job(typing: Any, counter: Any) -> Any:
    """Return the counter and add 1 to it, atomically. `counter`: the address of an int64."""

    def generate(context: Any, build: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        word = ir.IntType(64)
        return build.atomic_rmw("add", build.inttoptr(arguments[0], word.as_pointer()), word(1), "monotonic")

    return types.int64(types.int64), generate


@written_out
def voidptr(typing: Any, address: Any) -> Any:
    """An address as the pointer type that Numba's `carray` takes."""

    def generate(context: Any, build: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        return build.inttoptr(arguments[0], ir.IntType(8).as_pointer())

    return types.voidptr(types.int64), generate


@lru_cache
def _parallel() -> Any:
    """libgomp's GOMP_parallel(function, data, threads, flags); None if this process has not loaded libgomp."""
    function = getattr(ctypes.CDLL(None), "GOMP_parallel", None) if sys.platform.startswith("linux") else None
    if function is not None:
        function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
        function.restype = None
    return function
