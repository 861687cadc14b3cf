"""A store of the same pictures under another name: of another table over the folder, or of the folder itself.

Its files are already decoded. A new store takes over as many as it can.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from pellucid.pictures.index import Index, read_header
from pellucid.pictures.lock import Lock, beside


@contextmanager
def neighbour(folder: Path, identity: dict[str, Any]) -> Iterator[Index | None]:
    """The index of the last used store beside `folder` that differs from `identity` only in its table, or None.

    No other process replaces that store meanwhile. A store that another process is building is skipped.
    """
    same = {key: value for key, value in identity.items() if key != "table"}
    for other in _by_use(folder, same):
        with closing(Lock(beside(other))) as lock:
            if lock.acquire() and (index := Index.load(other, same)) is not None:
                yield index
                return
    yield None


def _by_use(folder: Path, same: dict[str, Any]) -> list[Path]:
    stores = []
    for other in folder.parent.glob("*.store"):
        with suppress(OSError, ValueError):
            header = read_header(other)
            if other != folder and {key: header.get(key) for key in same} == same:
                stores.append((os.stat(other / "store.json").st_mtime, other))
    return [other for _, other in sorted(stores, reverse=True)]
