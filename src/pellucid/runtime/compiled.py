"""Loops of our own, compiled by Numba: for what no library does, or does without keeping a number in a register."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import cfunc, njit, types


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiled at its first call and kept beside its file, else in the user's cache, else for this process only.

    It does not hold Python's lock. What is kept is compiled anew when the function's own file changes, not when another
    does that it is built from: who changes vectors.py or engine/blocks/layout_cpu.py removes the *.nbi and *.nbc in
    __pycache__.
    """
    try:
        return njit(nogil=True, error_model="numpy", cache=_may_be_kept(function))(function)
    except RuntimeError:  # there is no place where it may be kept
        return njit(nogil=True, error_model="numpy")(function)


def for_team(function: Callable[..., Any]) -> Any:
    """The same for what team.py runs, compiled at once: it has an `address`, and gets the address of its numbers."""
    signature = types.void(types.voidptr)
    try:
        return cfunc(signature, error_model="numpy", cache=_may_be_kept(function))(function)
    except RuntimeError:
        return cfunc(signature, error_model="numpy")(function)


def _may_be_kept(function: Callable[..., Any]) -> bool:
    """Where no home folder is known, Numba's place in the user's cache would be a folder ~ in the current one."""
    if os.path.expanduser("~") != "~" or os.environ.get("XDG_CACHE_HOME") or os.environ.get("NUMBA_CACHE_DIR"):
        return True
    folder = Path(function.__code__.co_filename).parent
    beside = folder / "__pycache__"
    return os.access(beside if beside.exists() else folder, os.W_OK)
