"""How every file is written: beside its place, flushed to the disk, then renamed over it.

A reader of the path sees the old content or the new, never a part, even after `kill -9` or a power cut.
Files in the cache are listed and removed here too.
"""

import errno
import hashlib
import math
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pellucid.errors import StorageError


def write(path: Path, content: bytes | str | Iterable[bytes]) -> None:
    """Write `content` (text as UTF-8; parts one by one) to `path` atomically. Raises StorageError."""
    parts = [content.encode()] if isinstance(content, str) else [content] if isinstance(content, bytes) else content
    with storage_errors(path), replacing(path) as temporary, temporary.open("wb") as file:
        file.writelines(parts)


def create(path: Path, content: bytes | str) -> None:
    """As `write`, but never replace a file, even if another process writes `path` meanwhile. Raises StorageError."""
    data = content.encode() if isinstance(content, str) else content
    try:
        with storage_errors(path), replacing(path, new=True) as temporary:
            temporary.write_bytes(data)
    except StorageError as error:
        if not isinstance(error.__cause__, FileExistsError):
            raise
        problem = "was meanwhile written by another program, and nothing is overwritten. Choose another place"
        raise StorageError(f"{path} {problem}.") from error


@contextmanager
def replacing(path: Path, new: bool = False) -> Iterator[Path]:
    """Yield a free path beside `path`; on leaving, sync its file and rename it to `path`, or remove it on error.

    `new`: raise FileExistsError if `path` exists by then.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        sync(temporary)
        # mkstemp gives 0600; a model folder is meant to be shared like any other file
        temporary.chmod(0o666 & ~_umask())
        if new:
            _take(temporary, path)
        else:
            temporary.replace(path)
        sync(path.parent)
    except BaseException:
        with suppress(FileNotFoundError):
            temporary.unlink()
        raise


@contextmanager
def replacing_together(places: Mapping[str, Path]) -> Iterator[Path]:
    """As `replacing`, for files that belong together: yield an empty folder beside the first place.

    `places`: the names of the files to write there -> where they go. On leaving, they are renamed in this order. A
    power cut may come between two renames, so a reader must be able to tell that they do not belong together.
    """
    beside = next(iter(places.values()))
    temporary = Path(tempfile.mkdtemp(prefix=f".{beside.name}.", suffix=".part", dir=beside.parent))
    try:
        yield temporary
        for name in places:
            sync(temporary / name)
            (temporary / name).chmod(0o666 & ~_umask())
        for name, place in places.items():
            (temporary / name).replace(place)
        sync(beside.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def remove_parts(folder: Path) -> None:
    """Remove what killed writes left in `folder`. Nobody else may be writing there. Raises StorageError."""
    with storage_errors(folder):
        for path in folder.iterdir() if folder.is_dir() else ():
            if is_part(path):
                path.unlink()


def is_part(path: Path) -> bool:
    """Whether a file's name is that of a remainder of a killed `write`."""
    return re.fullmatch(r"\..+\.\w{8}\.part", path.name) is not None and path.is_file()


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """As `replacing`, for a folder: yield an empty one beside `path`; on leaving it takes the place of `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
    try:
        yield temporary
        put_folder(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def put_folder(temporary: Path, path: Path) -> None:
    """Sync a folder of files beside `path` and rename it to `path`; a folder that was there is removed."""
    for file in temporary.iterdir():
        sync(file)
    sync(temporary)
    temporary.chmod(0o777 & ~_umask())
    if path.exists():
        old = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".old", dir=path.parent))
        path.rename(old / path.name)
        temporary.rename(path)
        shutil.rmtree(old, ignore_errors=True)
    else:
        temporary.rename(path)
    sync(path.parent)


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn an OSError of the body into a StorageError that names `path` and says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            free = shutil.disk_usage(_nearest(path)).free / 1e6
            message = (
                f"The disk is full: {path} could not be written ({free:,.0f} MB free). Free some space and run again."
            )
        else:
            message = f"{path} could not be written: {error.strerror or error}."
        raise StorageError(message) from error


def sync(path: Path) -> None:
    """Flush a file or folder to the disk: a rename that follows must not come before the content."""
    if os.name == "nt":  # Windows opens no folders, and flushes only what is open for writing
        if path.is_dir():
            return
        descriptor = os.open(path, os.O_RDWR)
    else:
        descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@dataclass(frozen=True)
class StoredFile:
    """A file in the cache; `used` is its modification time, seconds since 1970."""

    path: Path
    bytes: int
    used: float


def stored(folder: Path, *endings: str) -> list[Path]:
    """The files in a folder of the cache whose names have one of the endings, by name; none if there is no folder."""
    return [path for path in _own(folder, endings) if not is_part(path)]


def clear(folder: Path, *endings: str) -> int:
    """Remove these files and the remains of killed runs, and the folder if it is empty then.

    Returns the bytes freed. Raises StorageError.
    """
    freed = 0
    with storage_errors(folder):
        for path in _own(folder, endings):
            freed += path.stat().st_size
            path.unlink()
        with suppress(OSError):  # not empty: it holds files of somebody else
            folder.rmdir()
    return freed


def user_cache() -> Path:
    """Our folder in the user's cache. Raises StorageError if this user has no home folder, as in some containers."""
    import platformdirs

    try:
        return platformdirs.user_cache_path("pellucid", appauthor=False)
    except (RuntimeError, KeyError, OSError) as error:
        raise StorageError("There is no home folder for a cache. Set XDG_CACHE_HOME to a folder.") from error


def safe(name: str) -> str:
    """A name as part of a file name: characters that a file system may interpret become hyphens."""
    return re.sub(r"[^\w.-]+", "-", name).strip(".-") or "unnamed"


def finite(number: float | None) -> float | None:
    """A number for JSON, which has neither infinity nor NaN: both become None. None stays None."""
    return number if number is not None and math.isfinite(number) else None


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _own(folder: Path, endings: tuple[str, ...]) -> list[Path]:
    there = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path for path in there if path.suffix in endings or is_part(path)]


def _take(temporary: Path, path: Path) -> None:
    """Rename to a place that must be free. Raises FileExistsError."""
    if os.name == "nt":
        temporary.rename(path)
        return
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # a disk without second names, such as FAT: an empty file holds the place for a moment
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        temporary.replace(path)
    else:
        temporary.unlink()


def _nearest(path: Path) -> Path:
    return next(folder for folder in (path, *path.absolute().parents) if folder.exists())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
