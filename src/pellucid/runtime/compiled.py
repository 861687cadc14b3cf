"""Compile our own loops by Numba, for work that no library does, or does without using registers well."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import cfunc, njit, types


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile at the first call and cache beside the file, else in the user's cache, else for this process only.

    The function releases Python's lock. It is compiled again when its own file changes, but not when a file that it
    uses changes. After a change of vectors.py or engine/blocks/layout_cpu.py, remove the *.nbi and *.nbc files in
    __pycache__.
    """
    try:
        return njit(nogil=True, error_model="numpy", cache=_may_be_kept(function))(function)
    except RuntimeError:  # no place to cache it
        return njit(nogil=True, error_model="numpy")(function)


def for_team(function: Callable[..., Any]) -> Any:
    """Compile a function for team.py, at once. The result has an `address`; its argument is the address of numbers."""
    signature = types.void(types.voidptr)
    try:
        return cfunc(signature, error_model="numpy", cache=_may_be_kept(function))(function)
    except RuntimeError:
        return cfunc(signature, error_model="numpy")(function)


def _may_be_kept(function: Callable[..., Any]) -> bool:
    """Without a home folder, Numba's place in the user's cache would be a folder ~ in the current one."""
    if os.path.expanduser("~") != "~" or os.environ.get("XDG_CACHE_HOME") or os.environ.get("NUMBA_CACHE_DIR"):
        return True
    folder = Path(function.__code__.co_filename).parent
    beside = folder / "__pycache__"
    return os.access(beside if beside.exists() else folder, os.W_OK)
