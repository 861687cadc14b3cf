"""A folder -> its pictures, their labels, and the quarantine. This reads names only and opens no picture.

Three layouts: DIR/CLASS/**/*, DIR/SIDE/CLASS/**/* and DIR/CLASS/SIDE/**/*. Folders are the sides of a split if one to
train on and another are side by side, without any other visible folder; `sides` knows their names. A folder that is
alone is passed through: DIR/photos/CLASS, DIR/train/train/CLASS. Folders that all hold the same folders are refused
until a file `classes.txt` says which of them are the classes: `parts`.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.errors import CatalogError
from pellucid.pictures import layout, parts, sides
from pellucid.pictures.columns import Picture, Pictures, Writer
from pellucid.pictures.listing import Folders, ListedFolders, folders, kind_of
from pellucid.pictures.places import is_address, within
from pellucid.pictures.reading import UNKNOWN, Stamp
from pellucid.pictures.split import SIDES
from pellucid.pictures.walk import Entry, walk
from pellucid.texts import alike, composed, listed

if TYPE_CHECKING:
    from pellucid.pictures.places import Place

_LAYOUTS = "DIR/CLASS/picture, or DIR/train/CLASS/picture with DIR/val/... or DIR/test/... beside it"
IN_TWO = "the same file is also in class"  # how the reason begins for a file in two classes
LEAST = 2  # usable pictures per class: one to learn from, one to check with


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A file or folder that cannot be used; `path` is relative to the root, a folder's ends in "/"."""

    path: str
    reason: str
    of: str | None = field(default=None, compare=False)  # its class, if known


@dataclass(frozen=True)
class Catalog:
    """The contents of a folder. Classes are in natural order ("9" before "10"), pictures by label, then path.

    A class's name is its folder's in Unicode's composed form (NFC): folders whose names differ only in this are one
    class.
    """

    root: Place
    classes: tuple[str, ...]
    pictures: Pictures
    quarantine: tuple[Quarantined, ...]
    ignored: int  # files and folders that are hidden or the operating system's: Thumbs.db, __MACOSX
    left_out: tuple[Quarantined, ...] = ()
    """Folders that Pellucid wrote, such as a model folder, each with its kind."""
    several: bool = False
    """Whether a picture may have several labels, or none."""
    table: str | None = None
    """The table that lists the pictures, as messages name it; None for class folders."""
    repeated: int = 0
    """Rows of the table that list a picture once more."""
    listing: ListedFolders | None = field(default=None, compare=False, repr=False)
    """What is below an address, with the stamps of the files."""

    def __post_init__(self) -> None:
        """`pictures` may be any sequence of Picture; it is stored as columns."""
        if not isinstance(self.pictures, Pictures):
            object.__setattr__(self, "pictures", Pictures.of(self.pictures))

    def classes_of(self, picture: Picture) -> str:
        """The names of its classes, with a zero character between them; just the name if it has one class."""
        first = (self.classes[picture.label],) if picture.label >= 0 else ()
        return "\0".join((*first, *(self.classes[label] for label in picture.also)))

    def classes_of_all(self, pictures: Pictures) -> list[str]:
        """`classes_of` each of them."""
        if len(pictures.also):
            return [self.classes_of(picture) for picture in pictures]
        names = (*self.classes, "")  # the last one is that of label -1
        return [names[label] for label in pictures.labels.tolist()]

    def picture_at(self, path: str) -> Place:
        """The place of a picture. Raises CatalogError if its path is an address that cannot be used."""
        return within(self.root, path)

    def stamp_listed(self, path: str) -> Stamp:
        """The stamp of a picture in the listing of an address; UNKNOWN for all others."""
        return UNKNOWN if self.listing is None else self.listing.stamp(path)

    @property
    def is_remote(self) -> bool:
        """Whether a picture is at an address; only then do paths hold "://"."""
        return is_address(self.root) or re.search(b"://", self.pictures.paths.content.data) is not None

    @property
    def place(self) -> str:
        """The source, as messages name it: the table, or the folder."""
        return self.table or str(self.root)

    def class_of(self, path: str) -> str | None:
        """The class whose folder holds `path`; None outside all class folders, and for a table's picture."""
        if self.table is not None:
            return None
        folders = map(composed, path.split("/")[:-1])
        return next((name for name in folders if name in self.classes), None)

    def class_at(self, row: int) -> str | None:
        """The name of a picture's class, the first if it has several; None if it has none."""
        label = int(self.pictures.labels[row])
        return self.classes[label] if label >= 0 else None

    @property
    def alike(self) -> tuple[tuple[str, ...], ...]:
        """Classes whose names differ only by case or spaces: probably one class with two names."""
        return alike(self.classes)


def scan(
    root: Place, leave_out: Path | None = None, known: Collection[str] = (), below: Folders | None = None
) -> Catalog:
    """Read the names below `root`. Raises CatalogError if it is missing, a file, or may not be opened.

    `leave_out`: the model folder that is about to be written. `known`: the classes of a model, which are classes here
    too, whatever else their names could mean. `below`: what `root` holds, if it was listed already.
    """
    below = opened(root) if below is None else below
    declared = parts.declared(root, below)
    class_folders, beside = layout.find(below, leave_out, known or declared)
    if declared and {folder.name for folder in class_folders} <= declared:
        beside = [entry for entry in beside if entry.path != parts.CLASSES]
    ordered = tuple(sorted({folder.name for folder in class_folders}, key=natural))
    labels = {name: label for label, name in enumerate(ordered)}
    pictures = Writer()
    others: list[Entry] = [
        entry._replace(kind="unusable", reason="is outside a class folder") if entry.kind == "file" else entry
        for entry in beside
    ]
    for folder in class_folders:
        label, side = labels[folder.name], -1 if folder.side is None else SIDES.index(folder.side)
        for entry in walk(below.below(folder.path), leave_out):
            if entry.kind == "file":
                pictures.add(folder.path + entry.path, label, side)
            else:
                others.append(entry._replace(path=folder.path + entry.path))
    bad = [Quarantined(entry.path, entry.reason) for entry in others if entry.kind in ("unusable", "again")]
    left_out = [Quarantined(entry.path, entry.reason) for entry in others if entry.kind == "ours"]
    ignored = sum(entry.kind == "system" for entry in others)
    every = pictures.pictures().ordered()
    listing = below if isinstance(below, ListedFolders) else None
    return Catalog(root, ordered, every, by_path(bad), ignored, by_path(left_out), listing=listing)


def opened(root: Place) -> Folders:
    """What a folder holds. Raises CatalogError if it is missing, a file, or may not be opened."""
    want = "Name a folder that holds one folder of pictures for each class, or a table."
    if is_address(root):
        below = folders(root)
        if next(below.children(""), None) is None:
            wrong = "is not a folder" if kind_of(root) == "file" else "does not exist, or holds nothing"
            raise CatalogError(f"{root} {wrong}. {want}")
        return below
    if not root.is_dir():
        raise CatalogError(f"{root} {'is not a folder' if root.exists() else 'does not exist'}. {want}")
    try:
        os.scandir(root).close()
    except OSError as error:
        raise CatalogError(f"{root} cannot be opened: {error.strerror}. Change its permissions or copy it.") from error
    return folders(root)


def check(catalog: Catalog) -> None:
    """Raise CatalogError, in one line that names class and count, if nothing can be learned from the catalog."""
    root, classes = catalog.place, catalog.classes
    if not classes and catalog.table is not None:
        raise CatalogError(f"{root} lists no labelled picture. {_why(catalog, None)}".rstrip())
    if not classes:
        contents = f"{len(catalog.quarantine):,} files, but no class folder" if catalog.quarantine else "nothing"
        ours = f" It left out {parts.names([bad.path for bad in catalog.left_out])}." if catalog.left_out else ""
        raise CatalogError(f"{root} has no class folders: found {contents} in it.{ours} Accepted: {_LAYOUTS}.")
    _check_sides(catalog)
    counts = catalog.pictures.counts(len(classes)).tolist()
    if len(classes) == 1 and not catalog.several:
        contents = f"{classes[0]} ({counts[0]:,} usable pictures)"
        raise CatalogError(f"{root} has only one class, {contents}; two or more are needed.{_lone_side(catalog)}")
    few = [label for label in range(len(classes)) if counts[label] < LEAST]
    if few:
        lost = Counter(bad.of or catalog.class_of(bad.path) for bad in catalog.quarantine)
        counted = [f"{classes[bad]} has {counts[bad]} ({lost[classes[bad]]:,} in quarantine)" for bad in few]
        named = listed(counted, 5, "more classes have too few")
        raise CatalogError(
            f"Every class needs at least {LEAST} usable pictures: in {root}, {named}. "
            f"{_why(catalog, {classes[bad] for bad in few})}Add pictures, or "
            f"{'move the folder elsewhere' if catalog.table is None else 'remove the class from the table'}."
        )


def _why(catalog: Catalog, names: set[str] | None) -> str:
    """A sentence with the commonest reason why files of these classes are in quarantine; "" if none is."""
    bad = catalog.quarantine
    reasons = Counter(b.reason for b in bad if names is None or (b.of or catalog.class_of(b.path)) in names)
    if not reasons:
        return ""
    reason, count = reasons.most_common(1)[0]
    files = "1 file" if count == 1 else f"{count:,} files"
    return f"The most common reason in quarantine, {files}: {reason}. "


def _check_sides(catalog: Catalog) -> None:
    """Refuse folders that look like the sides of a split but were not recognised as such: they are not classes."""
    if catalog.table is not None or (catalog.pictures.sides >= 0).any():
        return
    declared = parts.declared(catalog.root, catalog.listing)
    if declared.issuperset(catalog.classes):
        return
    below: dict[str, set[tuple[str, ...]]] = {name: set() for name in catalog.classes}
    for holder, label in {(picture.path.rpartition("/")[0], picture.label) for picture in catalog.pictures}:
        name, folders = catalog.classes[label], [*map(composed, holder.split("/")), ""]
        below[name].add(tuple(folders[folders.index(name) + 1 :]))
    # "" for a picture in the class folder itself
    inside = {name: {folders[0] for folders in holders} for name, holders in below.items()}
    for name, folders in inside.items():
        if sides.read_all(folders) is not None:
            raise CatalogError(
                f"{catalog.root} has {parts.names(catalog.classes)}, and {name} holds {parts.names(sorted(folders))}, "
                f"which look like the sides of a split. Name {catalog.root / name} itself, or move the rest elsewhere."
            )
    if looks := sides.suspects({name: folders - {""} for name, folders in inside.items()}):
        others = [name for name in catalog.classes if name not in looks]
        beside = f", beside {parts.names(others)}" if others else ""
        raise CatalogError(
            f"{catalog.root} has {parts.names(looks)}, which look like the sides of a split{beside}. Name them train, "
            "val and test and move the rest elsewhere, or train on the one folder that holds the classes. "
            f"Accepted: {_LAYOUTS}."
        )
    if looks := parts.alike({name: _divided(holders) for name, holders in below.items()}):
        raise CatalogError(parts.refusal(catalog.root, *looks, declared))


def _divided(holders: set[tuple[str, ...]]) -> set[str]:
    """The folders that divide a class folder, on the first level that has several: fold1/images/cat."""
    while len({folders[0] for folders in holders}) == 1 and all(len(folders) > 1 for folders in holders):
        holders = {folders[1:] for folders in holders}
    return {folders[0] for folders in holders}


def _lone_side(catalog: Catalog) -> str:
    """What to do if the only class looks like a side of a split."""
    (name,) = catalog.classes
    if catalog.table is not None or sides.read(name) is None:
        return ""
    path = catalog.pictures[0].path if catalog.pictures else f"{name}/"
    folder = catalog.root / path[: f"/{path}".index(f"/{name}/") + len(name)]
    return f' Sides of a split need "train" and "val" or "test" beside each other. Or name {folder} itself.'


def contradictions(pictures: Sequence[Picture], digests: Sequence[str], classes: Sequence[str]) -> dict[int, str]:
    """Byte-identical files under more than one class: picture's index -> reason that names another such file.

    All copies are named, because nothing shows which of them has the right class. Copies within one class do not count.
    """
    first: dict[str, int] = {}  # digest -> its first picture
    other: dict[str, int] = {}  # digest -> the first picture of another class
    for index, digest in enumerate(digests):
        if _labels(pictures[first.setdefault(digest, index)]) != _labels(pictures[index]):
            other.setdefault(digest, index)
    reasons = {}
    for index, digest in enumerate(digests):
        if digest in other:
            twin = pictures[first[digest]]
            if _labels(twin) == _labels(pictures[index]):
                twin = pictures[other[digest]]
            names = ", ".join(classes[label] for label in _labels(twin)) or "none"
            one = twin.label >= 0 and not twin.also
            where = f"{IN_TWO} {names}" if one else f"the same file also has the labels {names}"
            reasons[index] = f"{where}: {twin.path}"
    return reasons


def _labels(picture: Picture) -> tuple[int, ...]:
    return (picture.label, *picture.also) if picture.label >= 0 else picture.also


def by_path(quarantine: Iterable[Quarantined]) -> tuple[Quarantined, ...]:
    """The quarantine in its canonical order."""
    return tuple(sorted(quarantine, key=lambda bad: bad.path))


def natural(name: str) -> tuple[list[tuple[int, int, str]], str]:
    """Sort key: runs of digits by their value, the rest alphabetically, ignoring case."""
    parts = re.findall(r"([0-9]+)|([^0-9]+)", name.casefold())
    return [(0, int(digits), "") if digits else (1, 0, text) for digits, text in parts], name
