"""A folder -> its pictures, their labels, and the quarantine. Only names are read here, no picture is opened.

Two layouts: DIR/CLASS/**/* and DIR/SIDE/CLASS/**/*. Sides are train, val (valid, validation) and test; the second
layout is recognised when `train` and another side are there and no other folder is, hidden ones aside.
"""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pellucid.errors import CatalogError

_SIDES = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
_SYSTEM = {"thumbs.db", "desktop.ini", "__macosx"}
_LAYOUTS = "DIR/CLASS/picture, or DIR/train/CLASS/picture with DIR/val/... or DIR/test/... beside it"
LEAST = 2  # usable pictures a class: one to learn from, one to check with


@dataclass(frozen=True, slots=True)
class Picture:
    """A file that should hold a picture."""

    path: str  # relative to the root, with "/" on every system
    label: int  # index into Catalog.classes
    side: str | None  # "train", "val" or "test" where the folders say so


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A file or folder that cannot be used; `path` is relative to the root, a folder's ends in "/"."""

    path: str
    reason: str


@dataclass(frozen=True)
class Catalog:
    """What is in a folder. Classes are in natural order ("9" before "10"), pictures by label, then path."""

    root: Path
    classes: tuple[str, ...]
    pictures: tuple[Picture, ...]
    quarantine: tuple[Quarantined, ...]
    ignored: int  # the operating system's: hidden files and folders, Thumbs.db, desktop.ini, __MACOSX

    def class_of(self, path: str) -> str | None:
        """The class in whose folder `path` lies; None for what lies outside all of them."""
        first, *rest = path.split("/")
        if rest and first in self.classes:
            return first
        return rest[0] if len(rest) > 1 and first.lower() in _SIDES and rest[0] in self.classes else None


def scan(root: Path) -> Catalog:
    """Read the names below `root`. Raises CatalogError where it is missing, a file, or may not be opened."""
    if not root.is_dir():
        wrong = "is not a folder" if root.exists() else "does not exist"
        raise CatalogError(f"{root} {wrong}. Name a folder that holds one folder of pictures for each class.")
    return _Scan(root).catalog()


def check(catalog: Catalog) -> None:
    """Raise CatalogError, in one line that names class and count, where nothing sensible can be learned."""
    root, classes = catalog.root, catalog.classes
    if not classes:
        found = f"{len(catalog.quarantine):,} files and no folder" if catalog.quarantine else "nothing"
        raise CatalogError(f"{root} has no class folders: found {found} in it. Accepted: {_LAYOUTS}.")
    if "train" in classes and len(sides := [name for name in classes if name.lower() in _SIDES]) > 1:
        others = [name for name in classes if name not in sides]
        raise CatalogError(
            f"{root} has {_names(sides)}, which look like the sides of a split, beside {_names(others)}. "
            f"Move one kind elsewhere. Accepted: {_LAYOUTS}."
        )
    counts = Counter(picture.label for picture in catalog.pictures)
    if len(classes) == 1:
        side = classes[0].lower() in _SIDES
        hint = ' Sides of a split need "train" and "val" or "test" beside each other.' if side else ""
        found = f"{classes[0]} ({counts[0]:,} usable pictures)"
        raise CatalogError(f"{root} has only one class, {found}; two or more are needed.{hint}")
    few = [label for label in range(len(classes)) if counts[label] < LEAST]
    if few:
        lost = Counter(catalog.class_of(bad.path) for bad in catalog.quarantine)
        told = [f"{classes[bad]} has {counts[bad]} ({lost[classes[bad]]:,} in quarantine)" for bad in few[:5]]
        more = f" and {len(few) - 5} more classes have too few" if len(few) > 5 else ""
        raise CatalogError(
            f"Every class needs at least {LEAST} usable pictures: in {root}, {', '.join(told)}{more}. "
            f"{_why(catalog, {classes[bad] for bad in few})}Add pictures or remove the folder."
        )


def _why(catalog: Catalog, names: set[str]) -> str:
    """A sentence with the commonest reason for which files of these classes are in quarantine; "" where none is."""
    reasons = Counter(bad.reason for bad in catalog.quarantine if catalog.class_of(bad.path) in names)
    if not reasons:
        return ""
    reason, count = reasons.most_common(1)[0]
    files = "1 file" if count == 1 else f"{count:,} files"
    return f"The commonest reason in quarantine, {files}: {reason}. "


def contradictions(pictures: Sequence[Picture], digests: Sequence[str], classes: Sequence[str]) -> dict[int, str]:
    """Byte-identical files under more than one class: picture's index -> reason that names another such file.

    All copies are named, as nothing says which of them has the right class. Copies within one class are none.
    """
    first: dict[str, int] = {}  # digest -> its first picture
    other: dict[str, int] = {}  # digest -> the first picture of another class
    for index, digest in enumerate(digests):
        if pictures[first.setdefault(digest, index)].label != pictures[index].label:
            other.setdefault(digest, index)
    reasons = {}
    for index, digest in enumerate(digests):
        if digest in other:
            twin = pictures[first[digest]]
            if twin.label == pictures[index].label:
                twin = pictures[other[digest]]
            reasons[index] = f"the same file also stands in class {classes[twin.label]}: {twin.path}"
    return reasons


def by_path(quarantine: Iterable[Quarantined]) -> tuple[Quarantined, ...]:
    """The quarantine in its one order."""
    return tuple(sorted(quarantine, key=lambda bad: bad.path))


class _Scan:
    """One walk; collects pictures, quarantine and the count of what is ignored."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.found: list[tuple[str, str, str | None]] = []  # path, class, side
        self.quarantine: list[Quarantined] = []
        self.ignored = 0

    def catalog(self) -> Catalog:
        try:
            os.scandir(self.root).close()
        except OSError as error:
            raise CatalogError(f"{self.root} cannot be opened: {error.strerror}.") from error
        top = self._folders("")
        sides = {_SIDES.get(name.lower()) for name in top}
        classes: set[str] = set()
        if None not in sides and "train" in sides and len(sides) > 1:
            for folder in top:
                classes |= self._classes(folder + "/", _SIDES[folder.lower()])
        else:
            classes = self._classes("", None, top)
        ordered = tuple(sorted(classes, key=_natural))
        labels = {name: label for label, name in enumerate(ordered)}
        pictures = [Picture(path, labels[name], side) for path, name, side in self.found]
        pictures.sort(key=lambda picture: (picture.label, picture.path))
        return Catalog(self.root, ordered, tuple(pictures), by_path(self.quarantine), self.ignored)

    def _classes(self, prefix: str, side: str | None, names: list[str] | None = None) -> set[str]:
        """Read the class folders that stand in `prefix`, "" or "SIDE/"; return their names."""
        names = self._folders(prefix) if names is None else names
        for name in names:
            self._class(prefix + name, name, side)
        return set(names)

    def _folders(self, prefix: str) -> list[str]:
        """Names of the folders in `prefix`; files there lie outside a class, and go into quarantine."""
        folders = []
        for entry in self._entries(prefix):
            if (kind := _kind(entry)) == "folder":
                folders.append(entry.name)
            else:
                self._refuse(prefix + entry.name, "lies outside a class folder" if kind == "file" else kind)
        return folders

    def _class(self, folder: str, name: str, side: str | None) -> None:
        """Read everything below a class folder, each folder once, however links lead to it."""
        seen: set[tuple[int, int]] = set()
        folders, links = [folder + "/"], []  # links last, so that a folder is read under its own name
        while folders or links:
            prefix = folders.pop() if folders else links.pop()
            try:
                status = os.stat(self.root / prefix)
            except OSError as error:
                self._refuse(prefix, f"a folder that cannot be opened: {error.strerror}")
                continue
            identity = (status.st_dev, status.st_ino)
            if identity in seen and status.st_ino:  # 0 where the file system numbers nothing
                self._refuse(prefix, "a link to a folder that was read already")
                continue
            seen.add(identity)
            for entry in self._entries(prefix):
                path = prefix + entry.name
                match _kind(entry):
                    case "file":
                        self.found.append((path, name, side))
                    case "folder":
                        (links if entry.is_symlink() else folders).append(path + "/")
                    case reason:
                        self._refuse(path, reason)

    def _entries(self, prefix: str) -> Iterator[os.DirEntry[str]]:
        """What stands in a folder, by name, without the operating system's files; those are counted."""
        try:
            with os.scandir(self.root / prefix) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except PermissionError:
            self._refuse(prefix, "a folder that may not be opened (no permission)")
            return
        except OSError as error:
            self._refuse(prefix, f"a folder that cannot be opened: {error.strerror}")
            return
        for entry in entries:
            if entry.name.startswith(".") or entry.name.lower() in _SYSTEM:
                self.ignored += 1
            else:
                yield entry

    def _refuse(self, path: str, reason: str) -> None:
        self.quarantine.append(Quarantined(path, reason))


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


def _natural(name: str) -> tuple[list[tuple[int, int, str]], str]:
    """Sort key: runs of digits by their value, the rest alphabetically without regard to case."""
    parts = re.findall(r"([0-9]+)|([^0-9]+)", name.casefold())
    return [(0, int(digits), "") if digits else (1, 0, text) for digits, text in parts], name


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown
