"""Shards at an address: each is fetched whole into the cache, and read there.

A tar is indexed by a header before each picture. As a request each, they would take longer than the whole shard
(docs/why/shards.md). Fetched shards take at most half of the disk that is free for them; the one that was not used for
the longest time goes first, but the last two stay.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from threading import Lock as ThreadLock
from typing import TYPE_CHECKING, Any

from pellucid import files
from pellucid.errors import PictureError, StorageError
from pellucid.pictures import space
from pellucid.pictures.faults import CutShort
from pellucid.pictures.lock import Lock, beside
from pellucid.pictures.shards import opened
from pellucid.pictures.shards.naming import ENDINGS
from pellucid.pictures.shards.opened import Stamp

if TYPE_CHECKING:
    from upath import UPath

FOLDER = "shards"  # in the cache
_VERSION = re.compile(r"([0-9a-f]{15})-")
_EVERY = 0.1  # seconds between two looks whether another process has fetched it

_known: dict[str, Path] = {}  # address of a shard -> its copy, whose version was checked by this process
_turns: dict[str, ThreadLock] = {}  # one thread fetches a shard, and the others wait for it


class ShardInfo(files.StoredFile):
    """A shard in the cache, which was fetched from an address."""


def stored(cache: Path) -> list[ShardInfo]:
    """The shards in the cache, by name."""
    entries = ((path, path.stat()) for path in files.stored(cache / FOLDER, *ENDINGS))
    return [ShardInfo(path, status.st_size, status.st_mtime) for path, status in entries]


def clear(cache: Path) -> int:
    """Remove them, and the remains of killed runs. Returns the bytes freed. Raises StorageError."""
    return files.clear(cache / FOLDER, *ENDINGS)


def read(shard: UPath, member: str) -> tuple[bytes, Stamp]:
    """As `opened.read`, from an address. Raises PictureError, and Unreachable if the shard cannot be fetched."""
    copy = local(shard)
    try:
        data, stamp = opened.read(str(copy), member)
    except PictureError as error:
        if not isinstance(error.__cause__, FileNotFoundError):
            raise
        copy = local(shard)  # another process made room just then
        data, stamp = opened.read(str(copy), member)
    return data, _versioned(copy, stamp)


def stamp(shard: UPath, member: str) -> Stamp | None:
    """As `opened.stamp`, from an address. Raises Unreachable if the shard cannot be fetched."""
    copy = local(shard)
    there = opened.stamp(str(copy), member)
    return None if there is None else _versioned(copy, there)


def local(shard: UPath) -> Path:
    """The copy of a shard in the cache, fetched if it is not there. Raises Unreachable, StorageError."""
    key = str(shard)
    with _turns.setdefault(key, ThreadLock()):
        copy = _known.get(key)
        if copy is None or not copy.exists():
            copy = _known[key] = _fetched(shard)
    return copy


def _fetched(shard: UPath) -> Path:
    """Raises Unreachable if it cannot be fetched whole, after several tries."""
    from pellucid.pictures.remote import store_of

    store = store_of(shard)
    about = store.info(shard.path)
    size = about.get("size")
    version = hashlib.sha256(f"{shard} {size} {store.system.ukey(shard.path)}".encode()).hexdigest()[:15]
    folder = files.user_cache() / "stores" / FOLDER
    with files.storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    copy = folder / f"{version}-{re.sub(r'[^a-z0-9._-]+', '_', shard.name.lower())}"
    with closing(Lock(beside(copy))) as lock:
        while not lock.acquire():
            time.sleep(_EVERY)
        if not copy.exists():
            _make_room(folder, size or 0)
            with files.replacing(copy) as part:
                store.tried(partial(_get, store.system, shard.path, part, size))
        with suppress(OSError):
            os.utime(copy)  # records the last use
    return copy


def _get(system: Any, path: str, part: Path, size: int | None) -> None:
    system.get_file(path, str(part))
    came = part.stat().st_size
    if size is not None and came != size:
        raise CutShort(f"{came:,} of {size:,} bytes")


def _make_room(folder: Path, size: int) -> None:
    """Remove the shards that were not used for the longest time. Raises StorageError if this one has no room."""
    copies: list[tuple[float, Path, int]] = []
    for path in folder.iterdir():
        if _VERSION.match(path.name):
            with suppress(FileNotFoundError):  # another process makes room, too
                copies.append((path.stat().st_mtime, path, path.stat().st_size))
    free, used = space.free_in(folder), sum(occupied for _, _, occupied in copies)
    for _, path, gone in sorted(copies)[:-1]:
        if used + size <= (used + free) / 2:
            break
        path.unlink(missing_ok=True)
        used, free = used - gone, free + gone
    if size > free:
        raise StorageError(
            f"The disk is full: the shard needs {size / 1e6:,.0f} MB in {folder}, {free / 1e6:,.0f} MB are free. "
            "Free some space and run again."
        )


def _versioned(copy: Path, stamp: Stamp) -> Stamp:
    """The stamp with the shard's version in its place of origin: a copy that is fetched again has other times."""
    match = _VERSION.match(copy.name)
    assert match is not None
    return stamp[0], int(match[1], 16), stamp[2]
