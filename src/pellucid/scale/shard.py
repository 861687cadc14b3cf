"""What a machine of a cluster does for `pack --ray`: it writes one shard, into the folder that all machines share.

A shard has the same bytes wherever it is written, and is renamed to its place once it is whole. So a task that is
repeated, or of which two run, replaces the same file. What the user can mend is not raised: the outcome carries it.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from time import monotonic
from typing import TYPE_CHECKING, Any

from pellucid.errors import ClusterError, PellucidError
from pellucid.pictures.places import is_address
from pellucid.scale.work import MOST_STARTS, Starts, check_version

if TYPE_CHECKING:
    from pellucid.pictures.shards.packing import Plan
    from pellucid.pictures.shards.writing import Item, Written

EVERY = 0.5  # seconds between two reports
THREADS = 2  # that read: one waits for the disk while the other decodes. A machine has a task for each core


class Board(Starts):
    """Where tasks report. One process of the cluster holds it; if that ends, only reports are lost."""

    def __init__(self) -> None:
        super().__init__()
        self._done: dict[int, int] = {}

    def begin(self, block: int) -> int:
        """As `Starts.begin`; a shard that is begun again has no picture yet."""
        self._done[block] = 0
        return super().begin(block)

    def end(self, block: int) -> None:
        """Forget a shard that is whole."""
        self._done.pop(block, None)
        super().end(block)

    def report(self, block: int, pictures: int) -> None:
        """State how many pictures of a shard are done."""
        if block in self._done:
            self._done[block] = pictures

    def done(self) -> dict[int, int]:
        """The pictures done of each shard that is being written, by its number."""
        return self._done


@dataclass(frozen=True)
class Task:
    """A shard to write.

    * number: of the shard in the plan of all
    * plan: a list of one reference to the plan of this shard alone; Ray would load a bare one before the version is
      checked
    * earlier: what an earlier run noted of it, or None
    * board: a handle of the actor Board
    """

    number: int
    name: str
    plan: list[Any]
    out: Path
    earlier: Written | None
    board: Any
    version: str


@dataclass(frozen=True)
class Outcome:
    """What became of a shard: `written`, or the `fault` that kept a machine from writing it.

    `unreadable`: (path, reason) of pictures that are not in it. `reused`: an earlier run wrote it.
    """

    machine: str
    written: Written | None = None
    unreadable: tuple[tuple[str, str], ...] = ()
    reused: bool = False
    fault: PellucidError | None = None


def write(task: Task) -> Outcome:
    """Write a shard, unless it is there with the bytes that an earlier run noted."""
    machine = platform.node()
    try:
        return _written(task, machine)
    except PellucidError as error:
        return Outcome(machine, fault=error)


def _written(task: Task, machine: str) -> Outcome:
    import ray

    check_version(task.version)
    from pellucid.pictures.shards import packing, writing

    plan: Plan = ray.get(task.plan[0])  # type: ignore[assignment]
    check_sees(plan, task.out, machine)
    if task.earlier is not None and packing.is_whole(task.out / task.name, task.earlier):
        return Outcome(machine, task.earlier, reused=True)
    starts: int = ray.get(task.board.begin.remote(task.number))  # type: ignore[assignment]
    if starts > MOST_STARTS:
        raise ClusterError(deadly(task.name, plan, starts - 1))
    unreadable: list[list[str]] = []

    def report(pictures: int) -> None:
        task.board.report.remote(task.number, pictures)

    with closing(_items(plan, task.out, machine, unreadable, report)) as items:
        written = writing.write(task.out / task.name, plan.form, items, plan.catalog.classes, plan.catalog.several)
    task.board.end.remote(task.number)
    return Outcome(machine, written, tuple((path, reason) for path, reason in unreadable))


def _items(
    plan: Plan, out: Path, machine: str, unreadable: list[list[str]], report: Callable[[int], None]
) -> Generator[Item, None, None]:
    """The pictures of the shard. At their end the folder must still be the job's: somebody may have begun another."""
    from pellucid.pictures.ahead import Ahead
    from pellucid.pictures.shards import packing

    with Ahead() as ahead, closing(packing.items_of(plan, plan.rows[0], unreadable, ahead, Event(), THREADS)) as every:
        last = monotonic()
        for count, item in enumerate(every, 1):
            yield item
            if monotonic() - last > EVERY:
                report(count + len(unreadable))
                last = monotonic()
    check_sees(plan, out, machine)


def check_sees(plan: Plan, out: Path, machine: str) -> None:
    """Raise ClusterError unless this machine sees the job's folder and the folder of its pictures."""
    from pellucid.pictures.shards import packing

    if packing.identity_in(out) != plan.identity:
        raise ClusterError(
            f"{machine} does not see the shards of this job in {out}. With --ray, OUT must be a folder that all "
            "machines share under one path."
        )
    root = plan.catalog.root
    if not is_address(root) and not root.exists():
        raise ClusterError(
            f"{machine} does not see {root}. With --ray, all machines must see the pictures under one path, or at an "
            "address such as s3://bucket/photos."
        )


def deadly(name: str, plan: Plan, deaths: int) -> str:
    """The sentence about a shard that ends each process."""
    first = plan.catalog.pictures.paths[0]
    more = f" and {len(plan.rows[0]) - 1:,} more" if len(plan.rows[0]) > 1 else ""
    return (
        f"The shard {name} ({first}{more}) ended its process {deaths} times. A picture in it may need more memory than "
        "a worker has, or break a decoder. Take it out to go on."
    )
