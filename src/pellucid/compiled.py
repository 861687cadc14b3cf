"""Loops of our own, compiled by Numba: for what no library does, or does without keeping a number in a register."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiled at its first call and kept beside its file, else in the user's cache, else for this process only.

    It does not hold Python's lock. What is kept is compiled anew when the function's own file changes, not when another
    does that it is built from: who changes vectors.py or layout_cpu.py removes the *.nbi and *.nbc in __pycache__.
    """
    try:
        return njit(nogil=True, error_model="numpy", cache=True)(function)
    except RuntimeError:  # there is no place where it may be kept
        return njit(nogil=True, error_model="numpy")(function)
