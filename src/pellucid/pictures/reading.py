"""Read the content of a picture's file, and the stamp by which a later run recognises that it has not changed."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from pellucid import files
from pellucid.errors import PictureError
from pellucid.pictures.places import is_address
from pellucid.pictures.shards.naming import member_of, shard_of

if TYPE_CHECKING:
    from upath import UPath

    from pellucid.pictures.places import Place

FILE_LIMIT = 1 << 30  # bytes; a picture at the pixel limit, uncompressed with 16 bits a channel, has 0.8e9

Stamp: TypeAlias = tuple[int, int, int]
"""Of a file of this machine: size, mtime_ns, ctime_ns. Of an address: size, a number for its version, 0.
Of a picture in a shard: size, a number for the shard's state, its place in the shard (shards/opened.py)."""
UNKNOWN: Stamp = -1, -1, -1


def below(root: Place, name: str) -> str | Place:
    """The file `name` below a folder, or elsewhere if that is absolute; a path is a text, which takes less time."""
    return root / name if is_address(root) else os.path.join(root, name)


def read(place: str | Place) -> bytes:
    """The content of a file. Raises PictureError if it is empty, missing, not permitted, or not a regular file."""
    return read_with_stamp(place)[0]


def read_with_stamp(place: str | Place) -> tuple[bytes, Stamp]:
    """As `read`, with the stamp of exactly the file that was read, even if it is being replaced meanwhile."""
    data, stamp = _from_address(place) if is_address(place) else _from_disk(place)
    if not data:
        raise PictureError("empty file")
    return data, stamp


def stamp_of(place: str | Place) -> Stamp:
    """The stamp of a file; UNKNOWN if it is unavailable. Raises nothing."""
    try:
        if is_address(place):
            return _stamp_of_address(place)
        return _stamp(os.stat(place))
    except (NotADirectoryError, FileNotFoundError):
        return _stamp_in_shard(place)
    except Exception:
        return UNKNOWN


def sha256(place: Path) -> str:
    """Hexadecimal SHA-256 of a picture's file, or of a picture in a shard. Raises OSError."""
    try:
        return files.sha256(place)
    except (NotADirectoryError, FileNotFoundError):
        if member_of(str(place)) is None:
            raise
    try:
        return hashlib.sha256(read(place)).hexdigest()
    except PictureError as error:
        raise OSError(None, error.reason) from error


def is_missing(place: Place) -> bool:
    """Whether there is certainly no such file, and no such picture in a shard. Raises nothing."""
    if is_address(place) and shard_of(place.path):
        from pellucid.pictures.shards import fetched

        try:
            member = fetched.member_of(place)
            return member is not None and fetched.stamp(*member) is None
        except Exception:
            return False
    try:
        place.stat()
    except (NotADirectoryError, FileNotFoundError):
        member = member_of(str(place))
        return member is None or _is_missing_in_shard(*member)
    except OSError:  # a disk or network that fails now may recover
        return False
    return False


def _from_disk(path: str | Path) -> tuple[bytes, Stamp]:
    # a pipe would block in open() until somebody writes to it; Windows changes line ends by default
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise PictureError("a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file")
            _check_size(status.st_size)
            with open(descriptor, "rb", closefd=False) as file:
                data = file.read(FILE_LIMIT)
        finally:
            os.close(descriptor)
    except OSError as error:
        member = member_of(str(path)) if isinstance(error, NotADirectoryError | FileNotFoundError) else None
        if member is not None:
            from pellucid.pictures.shards import opened

            return opened.read(*member)
        from pellucid.pictures.reasons import open_reason

        raise PictureError(open_reason(error)) from error
    return data, _stamp(status)


def _stamp_in_shard(place: str | Place) -> Stamp:
    member = member_of(str(place))
    if member is None:
        return UNKNOWN
    from pellucid.pictures.shards import opened

    try:
        return opened.stamp(*member) or UNKNOWN
    except Exception:
        return UNKNOWN


def _is_missing_in_shard(shard: str, member: str) -> bool:
    from pellucid.pictures.shards import opened

    try:
        return opened.stamp(shard, member) is None
    except Exception:
        return False


def _from_address(address: UPath) -> tuple[bytes, Stamp]:
    try:
        if shard_of(address.path):
            from pellucid.pictures.shards import fetched

            if (member := fetched.member_of(address)) is not None:
                return fetched.read(*member)
        stamp = _stamp_of_address(address)
        _check_size(stamp[0])
        return address.read_bytes(), stamp
    except OSError as error:
        from pellucid.pictures.reasons import open_reason

        raise PictureError(open_reason(error)) from error


def _stamp(status: os.stat_result) -> Stamp:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _stamp_of_address(address: UPath) -> Stamp:
    if shard_of(address.path):
        from pellucid.pictures.shards import fetched

        if (member := fetched.member_of(address)) is not None:
            return fetched.stamp(*member) or UNKNOWN
    file_system = address.fs
    size = file_system.info(address.path).get("size")
    return -1 if size is None else int(size), int(file_system.ukey(address.path)[:15], 16), 0


def _check_size(size: int) -> None:
    if size > FILE_LIMIT:
        raise PictureError(f"{size / 1e9:.1f} GB, over the limit of {FILE_LIMIT / 1e9:.1f} for a file")
