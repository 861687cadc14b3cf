"""Limit NumPy's matrix products to one thread, if its BLAS is OpenBLAS.

OpenBLAS's threads wait for each other by spinning. On a busy machine they then wait for a thread that does not run: 200
pictures took three times as long on two threads as on one (docs/why/cold.md).
"""

import ctypes
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np

_NAMES = ("scipy_openblas_{}_num_threads64_", "scipy_openblas_{}_num_threads", "openblas_{}_num_threads")
_lock = threading.Lock()
_inside = 0
_before = 1


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread while any thread is inside the context; afterwards the old number. No effect with another BLAS."""
    global _before, _inside
    number, set_number = _openblas()
    with _lock:
        _inside += 1
        if _inside == 1:
            _before = number()
            set_number(1)
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                set_number(_before)


@cache
def _openblas() -> tuple[Callable[[], int], Callable[[int], Any]]:
    """OpenBLAS's own functions, reached through the NumPy module that links to it."""
    try:
        library = ctypes.CDLL(np._core._multiarray_umath.__file__)  # type: ignore[attr-defined]
    except (OSError, AttributeError, TypeError):
        return lambda: 1, lambda number: None
    for name in _NAMES:
        number, set_number = (getattr(library, name.format(verb), None) for verb in ("get", "set"))
        if number is not None and set_number is not None:
            return number, set_number
    return lambda: 1, lambda number: None
