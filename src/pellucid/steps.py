"""Work in steps: a generator that yields its progress and returns its result.

steps = Steps(evaluating(model)) for progress in steps:
    print(progress.done, progress.total)
print(steps.result)
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
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


def result_of(work: Generator[Any, None, Result]) -> Result:
    """Do all the work without reporting its progress."""
    steps = Steps(work)
    for _ in steps:
        pass
    return steps.result
