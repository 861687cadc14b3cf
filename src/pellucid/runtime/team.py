"""Jobs for PyTorch's own threads, which are awake between its operations: other threads would have to wait for cores.

PyTorch's threads on Linux are those of GNU's OpenMP. Its entry point takes any compiled function, so what Numba
compiles runs on them as PyTorch's own operations do, and begins within microseconds.
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
    """Whether this process has such threads. PyTorch has to be imported by then."""
    return _parallel() is not None


def run(address: int, numbers: NDArray[np.int64], threads: int) -> None:
    """Call the compiled function at `address` on each of `threads` threads with the address of `numbers`.

    They share out the jobs by `next_job`, which counts in the first number, set to 0 here. Returns when all are done.
    """
    parallel = _parallel()
    assert parallel is not None, "there is no team of threads"
    numbers[0] = 0
    parallel(address, numbers.ctypes.data, threads, 0)


@written_out
def next_job(typing: Any, counter: Any) -> Any:
    """The next number, from 0 on, for whichever thread asks. `counter`: the address of an int64."""

    def generate(context: Any, build: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        word = ir.IntType(64)
        return build.atomic_rmw("add", build.inttoptr(arguments[0], word.as_pointer()), word(1), "monotonic")

    return types.int64(types.int64), generate


@written_out
def voidptr(typing: Any, address: Any) -> Any:
    """What Numba's `carray` takes for an address."""

    def generate(context: Any, build: ir.IRBuilder, signature: Any, arguments: Any) -> Any:
        return build.inttoptr(arguments[0], ir.IntType(8).as_pointer())

    return types.voidptr(types.int64), generate


@lru_cache
def _parallel() -> Any:
    """GOMP_parallel(function, data, threads, flags), of libgomp."""
    function = getattr(ctypes.CDLL(None), "GOMP_parallel", None) if sys.platform.startswith("linux") else None
    if function is not None:
        function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
        function.restype = None
    return function
