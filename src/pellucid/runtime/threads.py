"""Threads: how many are worth starting, jobs divided among them, and PyTorch limited to one.

The jobs run our own kernels, which release Python's lock. Each thread takes the next job.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from threading import Barrier, Lock, Thread
from typing import Any

_setting = Lock()


def cores() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def work_alone() -> None:
    """Limit PyTorch to one thread in the calling thread from here on; other threads keep their numbers.

    A new number applies to the thread that sets it and to all threads that have not read it yet. So a short-lived
    thread restores the number for those.
    """
    import torch

    with _setting:
        before = torch.get_num_threads()
        if before == 1:
            return
        torch.set_num_threads(1)
        restoring = Thread(target=torch.set_num_threads, args=(before,))
        restoring.start()
        restoring.join()


def share_out(task: Callable[[Any], None], jobs: Sequence[Any], threads: int) -> None:
    """Run `task` on every job, on `threads` threads including the calling one.

    `task` must not call PyTorch, which would start helper threads for each.
    """
    work = _until_done(task, jobs)
    started = [_helpers(threads, os.getpid()).submit(work) for _ in range(min(threads, len(jobs)) - 1)]
    work()
    for helper in started:
        helper.result()


def share_out_with_torch(task: Callable[[Any], None], jobs: Sequence[Any], threads: int) -> None:
    """The same for a task that may call PyTorch, on `threads` threads without helper threads.

    They record no gradients, nor may the caller, which works itself if one thread is enough.
    """
    work = _until_done(task, jobs)
    if threads == 1 or len(jobs) == 1:
        work()
    else:
        list(_workers(threads, os.getpid()).map(lambda _: work(), range(threads)))


def _until_done(task: Callable[[Any], None], jobs: Sequence[Any]) -> Callable[[], None]:
    remaining = iter(jobs)  # there are few jobs, and a pool's queue costs more than this

    def work() -> None:
        for job in remaining:
            task(job)

    return work


@lru_cache
def _helpers(threads: int, process: int) -> ThreadPoolExecutor:
    """`process`: a fork does not have its parent's threads."""
    return ThreadPoolExecutor(threads - 1, "helper")


@lru_cache
def _workers(threads: int, process: int) -> ThreadPoolExecutor:
    """Threads without PyTorch helper threads and without gradients.

    `process`: a fork does not have its parent's threads.
    """
    import torch

    pool, barrier = ThreadPoolExecutor(threads, "fused"), Barrier(threads)
    before = torch.get_num_threads()

    def begin(number: int) -> None:
        if number == 0:
            _let_others_sleep()
        torch.set_num_threads(1)  # for this thread, and as a side effect for later ones
        torch.set_grad_enabled(False)
        torch.get_num_threads()  # a thread that has not read it yet would read `before` later
        barrier.wait()

    list(pool.map(begin, range(threads)))
    torch.set_num_threads(before)
    return pool


def _let_others_sleep() -> None:
    """Make PyTorch's other threads sleep between their tasks: the workers need the cores on which they would spin.

    GNU's OpenMP threads spin for milliseconds after each task, unless there are more of them than processors (libgomp,
    GOMP_SPINCOUNT). So this thread starts some of its own, without further work for them.
    """
    import torch

    torch.set_num_threads(os.cpu_count() or 1)
    torch.zeros(1 << 20).add_(1)
