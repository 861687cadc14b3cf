"""Read the content of a picture's file, and the stamp by which a later run recognises that it has not changed."""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from pellucid import files
from pellucid.errors import CatalogError, PictureError
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


# a file's version, by the first of these that the store states
_VERSIONS = (
    "ETag", "etag", "generation", "blob_id", "md5Hash", "content_md5", "Content-MD5", "checksum", "VersionId",
    "Last-Modified", "LastModified", "last_modified", "updated", "mtime", "created",
)  # fmt: skip


class NotRead(OSError):
    """The cause of a PictureError about an address whose content never came: its stamp says nothing about that."""


def read(place: str | Place, stamp: Stamp = UNKNOWN) -> bytes:
    """The content of a file. Raises PictureError if it is empty, missing, not permitted, or not a regular file.

    `stamp`: of an address, if a listing has shown it. This saves a request.
    """
    return read_with_stamp(place, stamp)[0]


def read_with_stamp(
    place: str | Place, stamp: Stamp = UNKNOWN, stopping: threading.Event | None = None
) -> tuple[bytes, Stamp]:
    """As `read`, with the stamp of exactly the file that was read, even if it is being replaced meanwhile.

    `stopping`: set, it ends the tries to read an address.
    """
    data, stamp = _from_address(place, stamp, stopping) if is_address(place) else _from_disk(place)
    if not data:
        raise PictureError("empty file")
    return data, stamp


def stamp_in(info: dict[str, Any]) -> Stamp:
    """The stamp of a file in fsspec's description: its size and a number for its version.

    UNKNOWN if the store states neither a version nor a date: such a file is read again by every run.
    """
    size, version = info.get("size"), next((info[name] for name in _VERSIONS if info.get(name)), None)
    if size is None or version is None:
        return UNKNOWN
    return int(size), int(hashlib.sha256(str(version).encode()).hexdigest()[:15], 16), 0


def stamp_of(place: str | Place) -> Stamp:
    """The stamp of a file; UNKNOWN if it is unavailable. Raises nothing."""
    try:
        if is_address(place):
            return _stamp_of_address(place)
        return _stamp(os.stat(place))
    except (NotADirectoryError, FileNotFoundError):
        with suppress(Exception):
            return _stamp_in_shard(place) or UNKNOWN
    except Exception:
        pass
    return UNKNOWN


def head_of(place: str | Place, length: int) -> bytes:
    """The first bytes of a file. Raises OSError, or PictureError for a picture in a shard."""
    if not is_address(place):
        try:
            with open(place, "rb") as file:
                return file.read(length)
        except (NotADirectoryError, FileNotFoundError):
            if member_of(str(place)) is None:
                raise
        return read(place)[:length]
    from pellucid.pictures.remote import Unreachable, store_of

    store = store_of(place)
    try:
        return store.tried(lambda: store.system.cat_file(place.path, start=0, end=length))[:length]
    except Unreachable as error:
        raise NotRead(error.reason) from error


def digest_of(place: str | Place) -> str:
    """The SHA-256 of a file, hexadecimal. Raises OSError, or PictureError for an address and a picture in a shard."""
    if not is_address(place):
        try:
            return files.sha256(Path(place))
        except (NotADirectoryError, FileNotFoundError):
            if member_of(str(place)) is None:
                raise
    return hashlib.sha256(read(place)).hexdigest()


def exists(place: str | Place) -> bool:
    """Whether something is there. What cannot be reached now counts as there: reading it gives the reason."""
    if not is_address(place):
        return _exists_here(place)
    from pellucid.pictures.remote import Unreachable, store_of

    try:
        if (member := _member_at(place)) is not None:
            from pellucid.pictures.shards import fetched

            return fetched.stamp(*member) is not None
        store_of(place).info(place.path)
    except CatalogError:
        return True
    except Unreachable as error:
        return error.reason != "not found"
    except Exception:  # a shard that cannot be read: reading the picture gives the reason
        return True
    return True


def _exists_here(path: str | Path) -> bool:
    try:
        os.stat(path)
    except (NotADirectoryError, FileNotFoundError):
        if member_of(str(path)) is None:
            return False
        with suppress(Exception):
            return _stamp_in_shard(path) is not None
    except (OSError, ValueError):  # a disk or network that fails now may recover
        pass
    return True


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


def _stamp_in_shard(path: str | Place) -> Stamp | None:
    """None if the picture is not there, or is in no shard. Raises errors of every kind."""
    from pellucid.pictures.shards import opened

    member = member_of(str(path))
    return None if member is None else opened.stamp(*member)


def _from_address(address: UPath, stamp: Stamp, stopping: threading.Event | None) -> tuple[bytes, Stamp]:
    """The stamp is older than the content: if the file is replaced in between, the next run sees another stamp."""
    from pellucid.pictures.faults import CutShort
    from pellucid.pictures.remote import Unreachable, store_of

    try:
        if (member := _member_at(address)) is not None:
            from pellucid.pictures.shards import fetched

            return fetched.read(*member)
        store, size = store_of(address), stamp[0]
        if stamp == UNKNOWN:
            info = store.info(address.path)
            if info.get("type") == "directory":
                raise PictureError("a folder")
            stamp, size = stamp_in(info), -1 if info.get("size") is None else int(info["size"])
        _check_size(size)
        return store.read(address.path, size, FILE_LIMIT, stopping), stamp
    except CatalogError as error:
        raise PictureError(str(error)) from NotRead()
    except Unreachable as error:
        if isinstance(error.__cause__, CutShort) and stamp_of(address) not in (stamp, UNKNOWN):  # it was replaced
            return _from_address(address, UNKNOWN, stopping)
        raise PictureError(error.reason) from NotRead(error.reason)


def _stamp(status: os.stat_result) -> Stamp:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _stamp_of_address(address: UPath) -> Stamp:
    from pellucid.pictures.remote import store_of

    if (member := _member_at(address)) is not None:
        from pellucid.pictures.shards import fetched

        return fetched.stamp(*member) or UNKNOWN
    return stamp_in(store_of(address).info(address.path))


def _member_at(address: UPath) -> tuple[UPath, str] | None:
    """(shard, member) of the address of a picture in a shard; None if its name says that it is in none."""
    shard = shard_of(address.path)
    member = address.path[len(shard) + 1 :]
    if not shard or not member:
        return None
    holder = address
    for _ in member.split("/"):
        holder = holder.parent
    return holder, member


def _check_size(size: int) -> None:
    if size > FILE_LIMIT:
        raise PictureError(f"{size / 1e9:.1f} GB, over the limit of {FILE_LIMIT / 1e9:.1f} for a file")
