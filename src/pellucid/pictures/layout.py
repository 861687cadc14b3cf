"""Find the class folders in a folder, and their sides: DIR/CLASS, DIR/SIDE/CLASS, DIR/CLASS/SIDE."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from pellucid.pictures import sides
from pellucid.pictures.listing import Folders
from pellucid.pictures.walk import Entry, entries, is_system, only_ours
from pellucid.texts import composed

_PICTURE = re.compile(r"\.(jpe?g|png|gif|bmp|webp|tiff?|heic|avif)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ClassFolder:
    """A folder with pictures of one class; a class may have several."""

    path: str  # relative to the root, ends in "/"
    name: str  # of the class, in Unicode's composed form (NFC): the same on every system
    side: str | None  # "train", "val" or "test" if the folders say so


def find(
    below: Folders, leave_out: Path | None = None, known: Collection[str] = ()
) -> tuple[list[ClassFolder], list[Entry]]:
    """The class folders, and everything else on the levels above them.

    `leave_out`: as in `walk`. `known`: names that are classes, whatever else they could mean.
    """
    search = _Search(below, leave_out, frozenset(map(composed, known)))
    return search.find(""), search.beside


class _Search:
    """One search; collects what it meets beside the folders that it passes."""

    def __init__(self, below: Folders, leave_out: Path | None, known: frozenset[str]) -> None:
        self.below, self.leave_out, self.known = below, leave_out, known
        self.beside: list[Entry] = []

    def find(self, prefix: str) -> list[ClassFolder]:
        names = self._folders(prefix)
        certain = all(composed(name) in self.known for name in names)
        if not certain and (sides_by_name := sides.read_all(names)) is not None:
            return self._in_sides({prefix + name + "/": side for name, side in sides_by_name.items()})
        if len(names) == 1 and not certain and sides.read(names[0]) is None and self._wraps(prefix + names[0] + "/"):
            return self.find(prefix + names[0] + "/")
        if not certain and (merged := self._in_parts(prefix, names)):
            return merged
        folders = {prefix + name + "/": composed(name) for name in names}
        within = [sides.read_all(self._names(folder) or ()) for folder in folders]
        if not within or not all(within) or self._hold_classes(folders):
            return [ClassFolder(folder, name, None) for folder, name in folders.items()]
        class_folders = []
        for (folder, name), sides_by_name in zip(folders.items(), within, strict=True):
            assert sides_by_name is not None
            class_folders += [
                ClassFolder(f"{folder}{inner}/", name, sides_by_name[inner]) for inner in self._folders(folder)
            ]
        return class_folders

    def _in_parts(self, prefix: str, names: list[str]) -> list[ClassFolder]:
        """The class folders in parts of a set, such as fold1/cat and fold2/cat, if all they hold are known classes.

        Empty if these are not parts.
        """
        tops = {name: self._through(f"{prefix}{name}/") for name in names}
        within = {name: self._names(folder) or [] for name, folder in tops.items()}
        inners = {composed(inner) for folders in within.values() for inner in folders}
        if not inners or not inners <= self.known or not self.known.isdisjoint(map(composed, names)):
            return []
        return [
            ClassFolder(f"{folder}{inner}/", composed(inner), None)
            for folder in tops.values()
            for inner in self._folders(folder)
        ]

    def _through(self, folder: str) -> str:
        """The folder itself, or the end of a chain of folders that are alone in their parent and not known classes."""
        while (lone := self._lone(folder)) and composed(lone) not in self.known:
            folder += lone + "/"
        return folder

    def _hold_classes(self, folders: Collection[str]) -> bool:
        """Whether the sides in any of the folders hold class folders: then these are data sets, not classes."""
        sides_of = [f"{folder}{name}/" for folder in folders for name in self._names(folder) or ()]
        return any(len(self._names(side) or ()) > 1 for side in sides_of)

    def _in_sides(self, side_of: dict[str, str]) -> list[ClassFolder]:
        """The class folders of sides, even one level deeper: train/train/cat, train/photos/cat."""
        lone = {self._lone(folder) for folder in side_of}
        class_folders = []
        for folder, side in side_of.items():
            names = self._folders(folder)
            while len(names) == 1 and composed(names[0]) not in self.known and self._names(f"{folder}{names[0]}/"):
                if not sides.wraps(names[0]) and (len(lone) > 1 or None in lone):
                    break
                folder += names[0] + "/"
                names = self._folders(folder)
            class_folders += [ClassFolder(f"{folder}{name}/", composed(name), side) for name in names]
        return class_folders

    def _lone(self, folder: str) -> str | None:
        names = self._names(folder)
        return names[0] if names and len(names) == 1 else None

    def _wraps(self, folder: str) -> bool:
        """Whether a folder that is alone holds the classes instead of being one."""
        names = self._names(folder)
        return bool(names) and (len(names) > 1 or self._wraps(f"{folder}{names[0]}/"))

    def _names(self, folder: str) -> list[str] | None:
        """The names of the folders in a folder; None if a picture is there, after which it stops reading."""
        names = []
        try:
            for name, kind in self.below.children(folder):
                if is_system(name):
                    continue
                if kind == "folder":
                    names.append(name)
                elif _PICTURE.search(name):
                    return None
        except OSError:
            return None
        linked = [name for name in names if self.below.is_link(folder + name)]
        return sorted(name for name in names if name not in linked or not self.below.leads_back(folder + name))

    def _folders(self, prefix: str) -> list[str]:
        """The names of the folders in a folder that is passed through. Everything else goes into `beside`."""
        folders = []
        for entry in entries(self.below, prefix, self.leave_out):
            if entry.kind != "folder":
                self.beside.append(entry)
            elif self.below.is_link(entry.path) and self.below.leads_back(entry.path):
                self.beside.append(Entry(entry.path, "again", "a link to a folder that contains it"))
            elif only_ours(self.below, entry.path, self.leave_out):
                self.beside.append(Entry(entry.path, "ours", "holds only folders that Pellucid wrote"))
            else:
                folders.append(entry.path.removeprefix(prefix).rstrip("/"))
        return folders
