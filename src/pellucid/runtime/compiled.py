"""Our own loops, compiled by Numba, where no library does the work, or none keeps its numbers in registers."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import cfunc, njit, types


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile at the first call and cache beside the file, else in the user's cache, else for this process only.

    The function releases Python's lock. A cached function is compiled again when its own file changes, but not when a
    file that it uses changes: after a change of vectors.py or engine/blocks/layout_cpu.py, remove the *.nbi and *.nbc
    in __pycache__.
    """
    try:
        return njit(nogil=True, error_model="numpy", cache=_may_be_kept(function))(function)
    except RuntimeError:  # no place to cache it
        return njit(nogil=True, error_model="numpy")(function)


def for_team(function: Callable[..., Any]) -> Any:
    """The same for what team.py runs, compiled at once: it has an `address`, and gets the address of its numbers."""
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
