"""A team: the processes that train one network together. A process that trains alone is a team of one.

Each process computes its share of every step. Alone, nothing here computes anything, and PyTorch is not imported.
"""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import ArtefactError, TrainingError

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")

LETTING_GO = 10.0  # seconds at most for PyTorch's threads after an exchange; they take milliseconds


class Lost(TrainingError):
    """Another process of the team has ended, so this one cannot go on."""


@dataclass
class Wish:
    """Whether this process wants the training to stop after the step, and whether all know that one wants it."""

    stop: bool = False
    agreed: bool = False


@dataclass(frozen=True)
class Team:
    """This process among those that train together.

    * rank, world: its number, from 0, and how many there are, on all machines
    * local_rank, local_world: the same on this machine
    * continues: the launcher may start the team again after a failure, so an unfinished training in --out continues
    * restarted: the launcher has started it again
    * watched: an elastic launcher watches the processes and reports those that end
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    local_world: int = 1
    continues: bool = False
    restarted: bool = False
    watched: bool = False
    wish: Wish = field(default_factory=Wish, compare=False)

    @property
    def alone(self) -> bool:
        return self.world == 1

    @property
    def leads(self) -> bool:
        """Whether this process decides, prints and writes: the first one."""
        return self.rank == 0

    def part(self, count: int) -> slice:
        """This process's contiguous part of `count` things: all of them alone, else nearly equal parts."""
        return slice(count * self.rank // self.world, count * (self.rank + 1) // self.world)

    def share(self, there: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """This process's part of the pictures that are `there`, both bool (n,)."""
        places = there.nonzero()[0]
        mine = np.zeros(len(there), np.bool_)
        mine[places[self.part(len(places))]] = True
        return mine

    def totals(self, loss: float, correct: float) -> tuple[float, float]:
        """The sums over all processes. Every process also learns whether one wants to stop (`wish.agreed`)."""
        if self.alone:
            return loss, correct
        import torch
        import torch.distributed as dist

        numbers = torch.tensor([loss, correct, float(self.wish.stop)], dtype=torch.float64)
        with connected():
            dist.all_reduce(numbers)
        total, right, stops = numbers.tolist()
        self.wish.agreed = stops > 0
        return total, right

    def backward(self, loss: Tensor) -> None:
        """The gradients of this process's part of a mean loss; the exchange divides their sum by the processes."""
        if self.alone:
            loss.backward()
            return
        with connected():
            (loss * self.world).backward()

    def same(self, value: T) -> T:
        """The first process's value, in every process."""
        if self.alone:
            return value
        import torch.distributed as dist

        values: list[Any] = [value if self.leads else None]
        with connected():
            dist.broadcast_object_list(values)
        return values[0]

    def from_first(self, function: Callable[[], T]) -> T:
        """What `function` returns in the first process, which alone calls it; the others wait."""
        value: Any = function() if self.leads else None
        return self.same(value)

    def gathered(self, numbers: NDArray[Any] | None) -> NDArray[Any] | None:
        """The arrays of all processes, (n, ...) each, one after the other; None stands for no rows."""
        if self.alone:
            return numbers
        parts = [each for each in self.each(numbers) if each is not None]
        return np.concatenate(parts) if parts else None

    def each(self, value: T) -> list[T]:
        """The values of all processes, by rank."""
        if self.alone:
            return [value]
        import torch.distributed as dist

        values: list[Any] = [None] * self.world
        with connected():
            dist.all_gather_object(values, value)
        return values

    def wait(self) -> None:
        """Wait until all processes are here, and until PyTorch's threads have let go of this exchange.

        They need Python's lock to free its tensor. The end of the connections waits for the threads, and holds the lock
        while it waits: right after an exchange it would wait for ever (PyTorch 2.13, ProcessGroupGloo).
        """
        if self.alone:
            return
        import torch
        import torch.distributed as dist

        here = torch.zeros(1)
        references = sys.getrefcount(here)
        with connected():
            dist.all_reduce(here)
        end = time.monotonic() + LETTING_GO
        while sys.getrefcount(here) > references and time.monotonic() < end:
            time.sleep(0.001)

    def check_same(self, numbers: Mapping[str, Any]) -> None:
        """Raise ArtefactError in every process if one of the named `numbers` differs between two of them."""
        first, *others = self.each((platform.node(), dict(numbers)))
        machine, expected = first
        for rank, (other, values) in enumerate(others, 1):
            for name, value in values.items():
                if value != expected[name]:
                    raise ArtefactError(
                        f"{name} is {value} in process {rank} ({other}) and {expected[name]} in process 0 ({machine}). "
                        "All processes of a team need the same."
                    )


ALONE = Team()


@contextmanager
def connected() -> Iterator[None]:
    """Turn PyTorch's error about a lost connection into Lost."""
    try:
        yield
    except RuntimeError as error:
        if _is_about_connection(error):
            raise Lost("Another process of the team has ended, and this one cannot go on without it.") from error
        raise


def _is_about_connection(error: RuntimeError) -> bool:
    import torch.distributed as dist

    marks = ("gloo", "NCCL", "Connection ", "Broken pipe", "store")
    return isinstance(error, dist.DistError) or any(mark in str(error) for mark in marks)
