"""Pack on a cluster: each task writes a shard into the folder that all machines share; this process writes the lists.

docs/why/shards.md says why it is built so.
"""

from __future__ import annotations

import platform
from collections import deque
from collections.abc import Generator
from contextlib import closing, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import pellucid
from pellucid import files
from pellucid.errors import ClusterError, PellucidError, PictureError, StorageError
from pellucid.pictures.places import below
from pellucid.pictures.shards import packing as packer
from pellucid.pictures.shards.packing import Done, Packed, Packing, Plan
from pellucid.pictures.shards.verb import catalog_of
from pellucid.scale import cluster, faults, shard
from pellucid.scale.shard import Outcome, Task

if TYPE_CHECKING:
    from pellucid.pictures.places import Place
    from pellucid.pictures.tabular import Columns

POLL = 0.2  # seconds between two looks at the tasks
QUEUED = 2  # tasks for each core, the running ones included: plans of shards that wait take memory
PATIENCE = 10.0  # seconds for tasks that were stopped
LATE = 60.0  # seconds until a shared disk shows this machine what another one has written


def packing(
    source: Place, out: Path, form: str, shard_size: str | int, seed: int, columns: Columns, address: str
) -> Generator[Packing, None, Packed]:
    """As shards.verb.packing, by the cluster at `address` (see cluster.is_address). The result has the same bytes.

    All machines must see `out`, and the pictures, under the same path. Closing the generator stops the tasks; whole
    shards stay, and the same call goes on. Raises ClusterError too.
    """
    cluster.require()
    plan = packer.prepared(catalog_of(source, out, columns), form, shard_size, seed)
    with packer.claimed(out):
        known, state, reused = packer.begun(plan, out), Done(), 0
        total, before, done = len(plan.catalog.pictures), 0, 0
        yield _progress(plan, state, 0, 0)
        try:
            with cluster.joined(address), closing(_outcomes(plan, out.absolute(), known)) as outcomes:
                for number, outcome, under_way in outcomes:
                    if outcome is not None:
                        _accept(plan, number, outcome, known, state)
                        packer.note(out / packer.UNFINISHED, plan, state)
                        done += len(plan.rows[number])
                        before += outcome.reused * len(plan.rows[number])
                        reused += outcome.reused
                    yield _progress(plan, state, min(total, done + under_way), before)
        finally:
            with suppress(StorageError):  # the remains of processes that were killed
                files.remove_parts(out)
        _check_arrived(out, state)
        return packer.finished(plan, out, state, reused)


def _progress(plan: Plan, state: Done, done: int, reused: int) -> Packing:
    return Packing(done, len(plan.catalog.pictures), reused, f"{len(state.shards):,} of {len(plan.names):,} shards")


def _outcomes(plan: Plan, out: Path, known: Done) -> Generator[tuple[int, Outcome | None, int], None, None]:
    """Have all shards written, at most QUEUED for each core at once.

    Yields (number of the shard, its outcome, pictures done in the shards under way), and for mere progress (-1, None,
    pictures).
    """
    import ray

    board: Any = ray.remote(shard.Board).options(**cluster.here(), max_restarts=-1, max_task_retries=-1).remote()
    write: Any = ray.remote(shard.write).options(num_cpus=1, max_retries=-1)
    waiting, running = deque(range(len(plan.names))), dict[Any, int]()
    try:
        while waiting or running:
            most = QUEUED * max(1, int(ray.cluster_resources().get("CPU", 1)))  # machines come and go
            while waiting and len(running) < most:
                number = waiting.popleft()
                name, part = plan.names[number], [ray.put(plan.part(number))]
                mended = packer.is_mended(plan, known.unreadable.get(name, []))
                earlier = None if mended else known.shards.get(name)
                task = Task(number, name, part, out, earlier, board, pellucid.__version__)
                running[write.remote(task)] = number
            ready, _ = ray.wait([*running], timeout=POLL)
            counts: Any = ray.get(board.done.remote())
            for each in ready:
                number = running.pop(each)
                counts.pop(number, None)
                yield number, ray.get(each), sum(counts.values())
            if not ready:
                yield -1, None, sum(counts.values())
    except (PellucidError, GeneratorExit, KeyboardInterrupt):
        raise
    except Exception as error:  # Ray's errors have no common base
        raise faults.plain(error) from error
    finally:
        _stop([*running])


def _stop(tasks: list[Any]) -> None:
    """End tasks. Each removes the part of a file that it was writing."""
    import ray

    with suppress(Exception):  # the connection may be lost
        for each in tasks:
            ray.cancel(each)
        if tasks:
            ray.wait(tasks, num_returns=len(tasks), timeout=PATIENCE)


def _accept(plan: Plan, number: int, outcome: Outcome, known: Done, state: Done) -> None:
    """Enter a shard into `state`. Raises the error that kept a machine from writing it."""
    name = plan.names[number]
    if isinstance(outcome.fault, StorageError) and outcome.machine != platform.node():
        raise StorageError(f"On {outcome.machine}: {outcome.fault}")
    if outcome.fault is not None:
        raise outcome.fault
    assert outcome.written is not None
    if outcome.reused:
        state.unreadable[name] = known.unreadable.get(name, [])
    else:
        _check_unreadable(plan, number, outcome)
        state.unreadable[name] = [[path, reason] for path, reason in outcome.unreadable]
    state.shards[name] = outcome.written


def _check_unreadable(plan: Plan, number: int, outcome: Outcome) -> None:
    """Raise ClusterError if this machine can read what the other one could not: the quarantine would not be true.

    An address may fail for a moment; it is read again only if a whole shard came to nothing.
    """
    rows = plan.rows[number]
    if plan.catalog.is_remote and len(outcome.unreadable) < len(rows):
        return
    lost = dict(outcome.unreadable)
    for path in plan.catalog.pictures.paths.take(rows) if lost else ():
        if path in lost:
            with suppress(PictureError):
                packer.decodable(below(plan.catalog.root, path))
                raise ClusterError(
                    f"{outcome.machine} could not read {path} ({lost[path]}), but this machine can. All machines must "
                    f"see {plan.catalog.root} under one path, with the same rights and the same packages."
                )


def _check_arrived(out: Path, state: Done) -> None:
    """Raise ClusterError unless the shards are here: a machine may have another folder of the same name."""
    until = monotonic() + LATE
    for each in state.shards.values():
        while not _is_here(out / each.name, each.size):
            if monotonic() > until:
                raise ClusterError(
                    f"A machine of the cluster wrote {each.name}, but it is not in {out} of this machine. With --ray, "
                    "OUT must be a folder that all machines share under one path."
                )
            sleep(POLL)


def _is_here(place: Path, size: int) -> bool:
    try:
        return place.stat().st_size == size
    except OSError:
        return False
