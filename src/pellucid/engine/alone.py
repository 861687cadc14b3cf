"""PyTorch on one thread in the thread that asks, the others as they were."""

from __future__ import annotations

from threading import Lock, Thread

import torch

_lock = Lock()


def work_alone() -> None:
    """From here on PyTorch takes no second thread in the calling thread.

    A number that is set counts for the thread that sets it and for all that have not asked yet, so a thread that ends
    at once puts back what those will be told.
    """
    with _lock:
        before = torch.get_num_threads()
        if before == 1:
            return
        torch.set_num_threads(1)
        restoring = Thread(target=torch.set_num_threads, args=(before,))
        restoring.start()
        restoring.join()
