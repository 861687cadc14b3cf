"""Pictures of many requests go through the network together.

A thread for each core takes a group of what waits and computes it alone, as `classifier/predict/workers.py` does for a
folder. A picture waits for others only while others are known to come, and then a few milliseconds at most: alone, it
is computed at once.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")

RECENT = 0.1  # the share of the latest group in the mean time of a picture


@dataclass(frozen=True, eq=False)
class _Waiting(Generic[Item, Answer]):
    item: Item
    future: Future[Answer]


class Batcher(Generic[Item, Answer]):
    """Groups of at most `size` items, each answered by one call of `work` on one of `threads` threads.

    `work` returns an answer for each item, in order. `wait`: seconds. Safe to call from many threads.
    """

    def __init__(
        self,
        work: Callable[[list[Item]], list[Answer]],
        threads: int,
        size: int,
        wait: float,
        report: Callable[[int], None] = lambda size: None,
    ) -> None:
        self.seconds_each = 0.0
        """Mean time of an item in the latest groups, all threads together; 0 before the first."""
        self._work, self._size, self._wait, self._report = work, size, wait, report
        self._waiting: deque[_Waiting[Item, Answer]] = deque()
        self._changed = threading.Condition()
        self._coming, self._closed = 0, False
        self._threads = [threading.Thread(target=self._run, name=f"batch-{n}", daemon=True) for n in range(threads)]
        for thread in self._threads:
            thread.start()

    def expect(self, count: int = 1) -> None:
        """Say that items are on their way; each is later submitted, or `expect(-1)` takes it back."""
        with self._changed:
            self._coming += count
            self._changed.notify_all()

    def submit(self, item: Item, future: Future[Answer]) -> None:
        """The answer to an item that was expected goes into `future`; none where the future is cancelled before."""
        with self._changed:
            self._coming -= 1
            if self._closed:
                raise RuntimeError("the batcher is closed")
            self._waiting.append(_Waiting(item, future))
            self._changed.notify_all()

    def close(self) -> None:
        """Answer what waits, then end the threads. Nothing may be submitted any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while group := self._next():
            self._answer(group)

    def _next(self) -> list[_Waiting[Item, Answer]]:
        """The next group; empty once the batcher is closed and nothing waits."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if not self._waiting:
                    return []
                self._changed.wait_for(self._enough, self._wait)
                if self._waiting:  # another thread may have taken them meanwhile
                    count = min(self._size, len(self._waiting))
                    return [self._waiting.popleft() for _ in range(count)]

    def _enough(self) -> bool:
        return not self._waiting or len(self._waiting) >= self._size or self._coming == 0 or self._closed

    def _answer(self, group: list[_Waiting[Item, Answer]]) -> None:
        wanted = [each for each in group if each.future.set_running_or_notify_cancel()]
        if not wanted:
            return
        begin = time.monotonic()
        try:
            answers = self._work([each.item for each in wanted])
        except BaseException as error:  # each caller gets it, and the thread goes on
            for each in wanted:
                each.future.set_exception(error)
            return
        each_took = (time.monotonic() - begin) / len(wanted) / len(self._threads)
        self.seconds_each += (each_took - self.seconds_each) * (RECENT if self.seconds_each else 1)
        self._report(len(wanted))
        for each, answer in zip(wanted, answers, strict=True):
            each.future.set_result(answer)
