"""Work in steps: a generator that yields its progress and returns its result.

steps = Steps(evaluating(model)) for progress in steps:
    print(progress.done, progress.total)
print(steps.result)
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Any, Generic, TypeVar

Progress = TypeVar("Progress")
Result = TypeVar("Result")


class Steps(Generic[Progress, Result]):
    """A generator to iterate once; afterwards `result` holds what it returned."""

    result: Result

    def __init__(self, work: Generator[Progress, None, Result]) -> None:
        self._work = work

    def __iter__(self) -> Iterator[Progress]:
        self.result = yield from self._work


def counted(work: Generator[Any, None, Result]) -> Generator[tuple[int, int], None, Result]:
    """The work with its counts (done, total) alone; (0, 0) for progress of another kind, which has other counts."""
    steps = Steps(work)
    with closing(work):  # at once, if the reader stops
        for progress in steps:
            yield progress if isinstance(progress, tuple) else (0, 0)
    return steps.result


def result_of(work: Generator[Any, None, Result]) -> Result:
    """Do all the work without reporting its progress."""
    steps = Steps(work)
    for _ in steps:
        pass
    return steps.result
