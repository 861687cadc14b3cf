"""The process's memory: freed blocks stay with it, since a large one takes longer to be given anew than to fill."""

from __future__ import annotations

import ctypes
import sys
from typing import Any


def keep_memory() -> None:
    """Ask glibc to keep freed memory instead of returning it to the system each time.

    Large blocks otherwise cost their page faults again in every training step and for every batch of predictions; what
    it brings is in docs/why/engine.md. Where the C library has no `mallopt`, nothing happens.
    """
    mallopt = _of_glibc("mallopt")
    if mallopt is None:
        return
    trim_threshold, top_pad, mmap_max = -1, -2, -4  # <malloc.h>
    mallopt(trim_threshold, 2**31 - 1)
    mallopt(top_pad, 64 << 20)
    mallopt(mmap_max, 0)


def give_back_memory() -> None:
    """Return what is free to the system, once: after work whose blocks do not fit those of the work that follows.

    Where the C library has no `malloc_trim`, nothing happens.
    """
    malloc_trim = _of_glibc("malloc_trim")
    if malloc_trim is not None:
        malloc_trim(0)


def _of_glibc(name: str) -> Any:
    return getattr(ctypes.CDLL(None), name, None) if sys.platform.startswith("linux") else None
