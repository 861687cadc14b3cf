"""The process's memory: freed blocks stay with it, since a large one takes longer to be given anew than to fill."""

from __future__ import annotations

import ctypes
import sys


def keep_memory() -> None:
    """Ask glibc to keep freed memory instead of returning it to the system each time.

    Large blocks otherwise cost their page faults again in every training step and for every batch of predictions; what
    it brings is in docs/why/engine.md. Where the C library has no `mallopt`, nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    trim_threshold, top_pad, mmap_max = -1, -2, -4  # <malloc.h>
    mallopt(trim_threshold, 2**31 - 1)
    mallopt(top_pad, 64 << 20)
    mallopt(mmap_max, 0)
