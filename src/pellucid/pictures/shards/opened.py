"""Read pictures from shards, which stay open: the last 32, and 512 MB of the row groups of Parquet files.

A tar's index holds about 150 bytes a member; a member is read at its place. A Parquet file has no place for a single
picture: its row group is read and decompressed as a whole, once for all that are read together.
"""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from threading import Lock
from typing import Any

from pellucid.errors import PictureError
from pellucid.pictures.shards import parquet, samples
from pellucid.pictures.shards.naming import TAR, has_ending
from pellucid.pictures.shards.tar import Fault, Opened, members

OPEN = 32  # shards
HELD = 512 << 20  # bytes of row groups, or the two last ones if they are larger
LARGEST = 1 << 30  # bytes of a picture, as of a file

Stamp = tuple[int, int, int]
"""Of a picture in a shard: its size (in Parquet the mean of its row group), a number for its shard's state, its place:
the offset in a tar, or the row group and the row in it, GROUP apart."""
GROUP = 1 << 32


def read(shard: str, member: str) -> tuple[bytes, Stamp]:
    """The bytes of a picture in a shard, and its stamp. Raises PictureError."""
    try:
        return _opened(shard).read(member)
    except (Fault, parquet.Unreadable) as error:
        raise PictureError(f"its shard is {error}") from error
    except OSError as error:
        raise PictureError(f"its shard cannot be read: {error.strerror or error}") from error


def stamp(shard: str, member: str) -> Stamp | None:
    """The stamp of a picture in a shard; None if it is not there. Raises OSError, Fault, parquet.Unreadable."""
    return _opened(shard).stamp(member)


class OpenTar:
    """A tar, open for reading from any thread."""

    def __init__(self, path: str) -> None:
        self._file = Opened(path)
        self.state = state_of(self._file.status)
        self._places: dict[str, tuple[int, int]] = {}
        self._fault: str | None = None
        try:
            for member in members(self._file):
                if member.kind == "file" and samples.is_picture(member.name):
                    self._places.setdefault(member.name, (member.offset, member.size))
        except Fault as fault:
            if not self._places and fault.member is None:
                raise
            self._fault = str(fault)

    def stamp(self, member: str) -> Stamp | None:
        place = self._places.get(member)
        return None if place is None else (place[1], self.state, place[0])

    def read(self, member: str) -> tuple[bytes, Stamp]:
        place = self._places.get(member)
        if place is None:
            raise PictureError("not found in its shard" if self._fault is None else f"its shard is {self._fault}")
        offset, size = place
        if size > LARGEST:
            raise PictureError(f"{size / 1e9:.1f} GB, over the limit of {LARGEST / 1e9:.1f} for a file")
        content = self._file.read(offset, size)
        if len(content) < size:
            raise PictureError("its shard was cut while it was read")
        return content, (size, self.state, offset)


class OpenParquet:
    """A Parquet file of pictures, open for reading from any thread."""

    def __init__(self, path: str) -> None:
        self._path, self.state = path, state_of(os.stat(path))
        self._reader: Any = parquet.opened(path)
        where = parquet.layout(self._reader)
        if where is None:
            raise parquet.Unreadable("a Parquet file without a column of pictures")
        self._layout = where
        self._lock = Lock()

    def stamp(self, member: str) -> Stamp | None:
        place = self._layout.place(member)
        return None if place is None else (self._layout.weights[place[0]], self.state, place[0] * GROUP + place[1])

    def read(self, member: str) -> tuple[bytes, Stamp]:
        place, stamp = self._layout.place(member), self.stamp(member)
        if place is None or stamp is None:
            raise PictureError("not found in its shard")
        content = self._group(place[0])[place[1]]
        if content is None:
            raise PictureError("its row holds no bytes: it only names a file")
        return bytes(content), stamp

    def _group(self, group: int) -> list[memoryview | None]:
        key = self._path, self.state, group
        with self._lock:  # one reads it, and the others wait for it
            contents = _groups.get(key)
            if contents is None:
                contents = parquet.contents(self._reader, self._layout, group)
                _groups.put(key, contents, sum(len(content) for content in contents if content is not None))
        return contents


def state_of(status: os.stat_result) -> int:
    """A number of 62 bits for the state of a file: its size and its times."""
    text = f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 2


class _Latest:
    """The values that were used last, up to a weight in all, but two at least."""

    def __init__(self, most: int) -> None:
        self._most, self._weight, self._lock = most, 0, Lock()
        self._values: OrderedDict[Any, tuple[Any, int]] = OrderedDict()

    def get(self, key: Any) -> Any:
        with self._lock:
            if key not in self._values:
                return None
            self._values.move_to_end(key)
            return self._values[key][0]

    def put(self, key: Any, value: Any, weight: int) -> None:
        with self._lock:
            self._weight += weight - self._values.pop(key, (None, 0))[1]
            self._values[key] = value, weight
            while self._weight > self._most and len(self._values) > 2:
                _, (_, gone) = self._values.popitem(last=False)
                self._weight -= gone


_shards, _groups = _Latest(OPEN), _Latest(HELD)
_opening: dict[str, Lock] = {}  # one thread opens a shard, and the others wait for it


def _opened(path: str) -> OpenTar | OpenParquet:
    """The shard, opened again if its file has changed."""
    state = state_of(os.stat(path))
    shard = _shards.get(path)
    if shard is not None and shard.state == state:
        return shard
    with _opening.setdefault(path, Lock()):
        shard = _shards.get(path)
        if shard is None or shard.state != state:
            shard = OpenTar(path) if has_ending(path, (TAR,)) else OpenParquet(path)
            _shards.put(path, shard, 1)
    _opening.pop(path, None)
    return shard
