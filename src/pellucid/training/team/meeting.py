"""A place of its own in the launcher's store for each start of a team.

torchrun keeps one store for all its restarts, and PyTorch 2.13 reads it without a mark of the restart. A process that
started sooner than another then finds the address of that one's dead predecessor, and the start fails.
"""

from __future__ import annotations

import json
import secrets
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch.distributed.distributed_c10d import Store

ANNOUNCED = "pellucid/announced"
GLANCE = 0.02  # seconds between two looks


def fresh(store: Store, rank: int, world: int, seconds: float) -> Store:
    """The part of `store` that belongs to the processes that are here now, the same in all of them.

    Each process writes a random mark. The first one announces a place together with the marks that it has read, until
    every process has recognised its own. Raises RuntimeError if not all come within `seconds`.
    """
    from torch.distributed.distributed_c10d import PrefixStore

    mark, end = secrets.token_hex(8), time.monotonic() + seconds
    store.set(_of(rank), mark)
    while True:
        place, missing = _announce(store, mark, world) if rank == 0 else _recognise(store, rank, mark)
        if place is not None:
            return PrefixStore(f"pellucid/{place}", store)
        if time.monotonic() > end:
            raise RuntimeError(f"not there: {missing}")
        time.sleep(GLANCE)


def _announce(store: Store, place: str, world: int) -> tuple[str | None, str]:
    """The place, once all have recognised themselves; else which processes have not."""
    marks = [_read(store, _of(rank)) for rank in range(world)]
    if None not in marks:
        store.set(ANNOUNCED, json.dumps([place, *marks]))
    absent = [str(rank) for rank in range(1, world) if not store.check([f"{place}/{rank}"])]
    if absent:
        return None, f"process{'es' if len(absent) > 1 else ''} {', '.join(absent)}"
    store.set(f"{place}/go", "1")
    return place, ""


def _recognise(store: Store, rank: int, mark: str) -> tuple[str | None, str]:
    """The place that was announced for this process, once all have recognised themselves."""
    announced: Any = json.loads(_read(store, ANNOUNCED) or "[]")
    if len(announced) <= rank + 1 or announced[rank + 1] != mark:
        return None, "process 0"
    place = announced[0]
    store.set(f"{place}/{rank}", "1")
    return (place, "") if store.check([f"{place}/go"]) else (None, "another process")


def _of(rank: int) -> str:
    return f"pellucid/mark/{rank}"


def _read(store: Store, key: str) -> str | None:
    return store.get(key).decode() if store.check([key]) else None
