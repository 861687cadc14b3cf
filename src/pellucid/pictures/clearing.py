"""Clear from the cache what can be made again: whole folders, and the remains of killed runs."""

import os
import re
import shutil
from contextlib import closing
from pathlib import Path

from pellucid import files
from pellucid.pictures.lock import Lock, beside


def clear(cache: Path, names: re.Pattern[str]) -> int:
    """Remove all folders whose name (group 1) matches `names`, except those in the making. Returns the bytes freed.

    Raises StorageError if something cannot be removed.
    """
    freed = 0
    there = os.listdir(cache) if cache.is_dir() else []
    for name in sorted({match[1] for each in there if (match := names.fullmatch(each))}):
        with files.storage_errors(cache / name), closing(Lock(beside(cache / name))) as lock:
            if lock.acquire():
                freed += remove_leftovers(cache / name, names) + _remove(cache / name)
    return freed


def remove_leftovers(folder: Path, names: re.Pattern[str]) -> int:
    """Remove the remains of killed runs of a folder, whose lock the caller must hold. Returns the bytes freed."""
    there = [name for name in os.listdir(folder.parent) if name.endswith((".part", ".old"))]
    ours = [name for name in there if (match := names.fullmatch(name)) and match[1] == folder.name]
    return sum(_remove(folder.with_name(name)) for name in ours)


def occupied(folder: Path) -> int:
    """Bytes of all files below `folder`."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _remove(folder: Path) -> int:
    freed = occupied(folder)
    if folder.is_dir():
        shutil.rmtree(folder)
    return freed
