"""Threads: how many are worth starting, jobs shared out among them, and PyTorch held to one.

The jobs are those of our own kernels, which do not hold Python's lock. Each thread takes the next one.
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
    """From here on PyTorch takes no second thread in the calling thread; other threads keep what they have.

    A number that is set counts for the thread that sets it and for all that have not asked yet, so a thread that ends
    at once puts back what those will be told.
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
    """`task` of every job, on `threads` threads, the calling one among them.

    `task` asks nothing of PyTorch, which would give each thread others to help.
    """
    work = _until_done(task, jobs)
    started = [_helpers(threads, os.getpid()).submit(work) for _ in range(min(threads, len(jobs)) - 1)]
    work()
    for helper in started:
        helper.result()


def share_out_with_torch(task: Callable[[Any], None], jobs: Sequence[Any], threads: int) -> None:
    """The same for a task that may ask PyTorch: on `threads` threads for which it uses no others.

    They keep nothing for gradients, nor must the caller, which works itself where one thread is enough.
    """
    work = _until_done(task, jobs)
    if threads == 1 or len(jobs) == 1:
        work()
    else:
        list(_workers(threads, os.getpid()).map(lambda _: work(), range(threads)))


def _until_done(task: Callable[[Any], None], jobs: Sequence[Any]) -> Callable[[], None]:
    remaining = iter(jobs)  # few jobs, and a pool's queue costs more than this

    def work() -> None:
        for job in remaining:
            task(job)

    return work


@lru_cache
def _helpers(threads: int, process: int) -> ThreadPoolExecutor:
    """`process`: a fork has none of its parent's threads."""
    return ThreadPoolExecutor(threads - 1, "helper")


@lru_cache
def _workers(threads: int, process: int) -> ThreadPoolExecutor:
    """Threads in which PyTorch uses no others and keeps nothing for gradients.

    `process`: a fork has none of its parent's threads.
    """
    import torch

    pool, barrier = ThreadPoolExecutor(threads, "fused"), Barrier(threads)
    before = torch.get_num_threads()

    def begin(number: int) -> None:
        if number == 0:
            _let_others_sleep()
        torch.set_num_threads(1)  # of this thread, and by the way of those to come
        torch.set_grad_enabled(False)
        torch.get_num_threads()  # a thread that has not asked yet would ask later, and be told `before`
        barrier.wait()

    list(pool.map(begin, range(threads)))
    torch.set_num_threads(before)
    return pool


def _let_others_sleep() -> None:
    """Make PyTorch's other threads sleep between their tasks: the workers need the cores that they would spin on.

    GNU's OpenMP has its threads spin for milliseconds after each task, unless there are more of them than processors,
    whatever they do (libgomp, GOMP_SPINCOUNT). So this thread gets some of its own, which it has no more work for.
    """
    import torch

    torch.set_num_threads(os.cpu_count() or 1)
    torch.zeros(1 << 20).add_(1)
