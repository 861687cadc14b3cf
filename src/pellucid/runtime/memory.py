"""The process's memory: keep freed blocks, because a large one takes longer to get again than to fill."""

from __future__ import annotations

import ctypes
import sys
from typing import Any


def keep_memory(shared: bool = False) -> None:
    """Ask glibc to keep freed memory instead of returning it to the system each time.

    Otherwise large blocks cost their page faults again in every training step and for every batch of predictions;
    docs/why/engine.md has the gain. Without `mallopt` in the C library, nothing happens.

    `shared`: all threads that start later share the kept memory, instead of keeping some each. A process that only
    predicts needs 12 MB less for two threads.
    """
    mallopt = _of_glibc("mallopt")
    if mallopt is None:
        return
    trim_threshold, top_pad, mmap_max, arena_max = -1, -2, -4, -8  # <malloc.h>
    mallopt(trim_threshold, 2**31 - 1)
    mallopt(top_pad, 64 << 20)
    mallopt(mmap_max, 0)
    if shared:
        mallopt(arena_max, 1)


def give_back_memory() -> None:
    """Return free memory to the system, once, between two phases of work with blocks of different sizes.

    Without `malloc_trim` in the C library, nothing happens.
    """
    malloc_trim = _of_glibc("malloc_trim")
    if malloc_trim is not None:
        malloc_trim(0)


def _of_glibc(name: str) -> Any:
    return getattr(ctypes.CDLL(None), name, None) if sys.platform.startswith("linux") else None
