"""What a folder holds, by names alone: of this machine through the operating system, of an address from one listing.

Both are a `Folders`. Paths in it are relative to its top, with "/" on every system; a folder's ends in "/", and "" is
the top itself.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from pellucid.errors import CatalogError
from pellucid.pictures.places import is_address, is_on_the_web, place
from pellucid.pictures.reading import UNKNOWN, Stamp, stamp_in

if TYPE_CHECKING:
    from upath import UPath

    from pellucid.pictures.places import Place


class Child(NamedTuple):
    """A name in a folder. `kind`: "file", "folder", or the reason why it is neither."""

    name: str
    kind: str


class Folders(Protocol):
    """The folders and files below a top. Only a folder of this machine has links."""

    @property
    def top(self) -> Place: ...

    def below(self, prefix: str) -> Folders:
        """The same, with a folder in it as the top."""
        ...

    def children(self, prefix: str) -> Iterator[Child]:
        """The names in a folder, as they come. Raises OSError."""
        ...

    def has_file(self, path: str) -> bool: ...

    def is_link(self, path: str) -> bool: ...

    def leads_back(self, path: str) -> bool:
        """Whether a link leads to the top, to a folder above it, or to one that holds the link."""
        ...

    def identity(self, prefix: str) -> tuple[int, int] | None:
        """What two names of one folder share; None if each folder has one name. Raises OSError."""
        ...

    def is_same(self, path: str, other: Path) -> bool:
        """Whether a path leads to the folder `other` of this machine."""
        ...


class LocalFolders:
    """See Folders."""

    def __init__(self, top: str | Path) -> None:
        self.top, self._start = Path(top), os.path.join(top, "")

    def below(self, prefix: str) -> LocalFolders:
        return LocalFolders(self._start + prefix)

    def children(self, prefix: str) -> Iterator[Child]:
        with os.scandir(self._start + prefix) as listing:
            for entry in listing:
                yield Child(entry.name, _kind(entry))

    def has_file(self, path: str) -> bool:
        return os.path.isfile(self._start + path)

    def is_link(self, path: str) -> bool:
        return os.path.islink(self._start + path.rstrip("/"))

    def leads_back(self, path: str) -> bool:
        target = os.path.realpath(self._start + path)
        holder = os.path.dirname(path.rstrip("/"))
        holders = (os.path.realpath(self._start), os.path.realpath(self._start + holder))
        return any(os.path.join(each, "").startswith(os.path.join(target, "")) for each in holders)

    def identity(self, prefix: str) -> tuple[int, int] | None:
        status = os.stat(self._start + prefix)
        return (status.st_dev, status.st_ino) if status.st_ino else None  # 0 if the file system numbers no files

    def is_same(self, path: str, other: Path) -> bool:
        try:
            return os.path.samefile(self._start + path, other)
        except OSError:
            return False


class ListedFolders:
    """See Folders. A listing of an address, as it was at one moment, with the stamp of each file.

    A million files take about 250 MB. `prefix`: the folder in it that is the top.
    """

    def __init__(self, address: UPath, prefix: str = "", of: ListedFolders | None = None) -> None:
        self.address, self._prefix = address, prefix
        # of each folder: name -> number of the file; name with / -> -1 for a folder
        self._folders: dict[str, dict[str, int]] = of._folders if of is not None else {"": {}}
        self._stamps = of._stamps if of is not None else array("q")  # size and version of each file

    @property
    def top(self) -> Place:
        return self.address / self._prefix if self._prefix else self.address

    def __len__(self) -> int:
        """The number of files below the address."""
        return len(self._stamps) // 2

    def add(self, path: str, stamp: Stamp) -> None:
        """Add a file."""
        folder, _, name = path.rpartition("/")
        self._folder(f"{folder}/" if folder else "")[name] = len(self)
        self._stamps.extend(stamp[:2])

    def stamp(self, path: str) -> Stamp:
        """The stamp of a file; UNKNOWN if it is not there, or if its version is not known."""
        number = self._number(path)
        if number < 0 or self._stamps[2 * number + 1] < 0:
            return UNKNOWN
        return self._stamps[2 * number], self._stamps[2 * number + 1], 0

    def below(self, prefix: str) -> ListedFolders:
        return ListedFolders(self.address, self._prefix + prefix, self)

    def children(self, prefix: str) -> Iterator[Child]:
        for name, number in self._folders.get(self._prefix + prefix, {}).items():
            yield Child(name.removesuffix("/"), "folder" if number < 0 else "file")

    def has_file(self, path: str) -> bool:
        return self._number(path) >= 0

    def is_link(self, path: str) -> bool:
        return False

    def leads_back(self, path: str) -> bool:
        return False

    def identity(self, prefix: str) -> tuple[int, int] | None:
        return None

    def is_same(self, path: str, other: Path) -> bool:
        return False

    def _number(self, path: str) -> int:
        folder, _, name = (self._prefix + path).rpartition("/")
        return self._folders.get(f"{folder}/" if folder else "", {}).get(name, -1)

    def _folder(self, prefix: str) -> dict[str, int]:
        if prefix not in self._folders:
            holder, _, name = prefix[:-1].rpartition("/")
            self._folder(f"{holder}/" if holder else "")[f"{name}/"] = -1  # beside a file of the same name, as in S3
            self._folders[prefix] = {}
        return self._folders[prefix]


def folders(where: str | Place | Folders) -> Folders:
    """What is below a folder of this machine, or below an address. Raises CatalogError as `listed`."""
    if isinstance(where, LocalFolders | ListedFolders):
        return where
    somewhere = place(where) if isinstance(where, str) else where
    return listed(somewhere) if is_address(somewhere) else LocalFolders(somewhere)  # type: ignore[arg-type]


def listed(address: UPath) -> ListedFolders:
    """Everything below an address, from one recursive listing. Empty if nothing is there, or if it is a file.

    Raises CatalogError if it cannot be listed: HTTP has no listings, there is no such bucket, credentials are missing.
    """
    from pellucid.pictures.remote import Unreachable, refusal, store_of

    if is_on_the_web(address):
        raise CatalogError(
            f"{address} is not a table, and HTTP has no list of a folder's files. Name a table (CSV, JSONL or Parquet) "
            "with the pictures' addresses in its column path, or copy the folder to this machine."
        )
    store, start = store_of(address), address.path.rstrip("/")

    def find() -> Any:
        store.system.invalidate_cache()  # what an earlier listing showed
        try:
            return store.system.find(start, detail=True)
        finally:
            store.system.invalidate_cache()  # it would hold all descriptions once more

    try:
        files = store.tried(find)
    except Unreachable as error:
        if error.reason == "not found":
            return ListedFolders(address)
        raise CatalogError(refusal(error, address)) from error
    listing = ListedFolders(address)
    for path, info in files.items():
        below = path[len(start) :].lstrip("/") if path.startswith(start) else ""
        if below and not below.endswith("/") and info.get("type") != "directory":  # some stores mark folders by a file
            stamp = stamp_in(info)
            listing.add(below, stamp if stamp != UNKNOWN else (-1, -1, 0))
    return listing


def matching(pattern: UPath) -> dict[str, Stamp]:
    """The files that match a glob at an address, by address in order, with their stamps. Raises CatalogError."""
    from pellucid.pictures.remote import Unreachable, refusal, store_of

    store, start = store_of(pattern), str(pattern)[: str(pattern).index("://") + 3]

    def find() -> Any:
        store.system.invalidate_cache()
        return store.system.glob(pattern.path, detail=True)

    try:
        files = store.tried(find)
    except Unreachable as error:
        if error.reason == "not found":
            return {}
        raise CatalogError(refusal(error, pattern)) from error
    names = sorted(path for path, info in files.items() if info.get("type") != "directory")
    return {start + path.lstrip("/"): stamp_in(files[path]) for path in names}


def kind_of(where: Place) -> str | None:
    """ "file", "folder", or None if nothing is there. An HTTP address is a file. Raises CatalogError."""
    if not is_address(where):
        return "folder" if where.is_dir() else "file" if where.exists() else None
    if is_on_the_web(where):
        return "file"
    from pellucid.pictures.remote import Unreachable, refusal, store_of

    try:
        info = store_of(where).info(where.path)
    except Unreachable as error:
        if error.reason == "not found":
            return None
        raise CatalogError(refusal(error, where)) from error
    return "folder" if info.get("type") == "directory" else "file"


def _kind(entry: os.DirEntry[str]) -> str:
    """ "file", "folder", or the reason why it is neither. Nothing is opened: a pipe would hang."""
    try:
        if entry.is_file():
            return "file"
        if entry.is_dir():
            return "folder"
        if entry.is_symlink() and not os.path.exists(entry.path):
            return "a broken link"
    except OSError:  # a link to itself
        return "a broken link"
    return "not a regular file (a pipe, a socket or a device)"
