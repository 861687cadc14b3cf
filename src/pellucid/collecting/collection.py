"""A collection on disk: pictures in a folder per class. The disk is the only state, so a restart loses nothing.

    FOLDER/pictures/CLASS/camera-002-0013.jpg   the 13th picture of the class's second recording
    FOLDER/pictures/CLASS/drawing-0004.png      a drawing; file-0007.jpg is a file that somebody brought
    FOLDER/removed/CLASS/...                    what was taken out of the set; nothing is deleted
    FOLDER/pictures.csv                         the table to train on: path, label, and the recording as group
    FOLDER/model-1, model-2, ...                the trained models

Pictures of one recording show nearly the same, so they stay on one side of a split. A recording ends when the camera
rests for PAUSE seconds, or another class is recorded: pressing the button twice in a row makes no second recording.
"""

from __future__ import annotations

import csv
import io
import os
import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pellucid import files
from pellucid.collecting import names
from pellucid.collecting.formats import suffix
from pellucid.errors import CatalogError, StorageError
from pellucid.pictures.catalog import natural
from pellucid.pictures.decode import decode
from pellucid.pictures.walk import is_system
from pellucid.texts import composed

Kind = Literal["camera", "drawing", "file"]
KINDS: tuple[Kind, ...] = ("camera", "drawing", "file")
PICTURES, REMOVED, TABLE = "pictures", "removed", "pictures.csv"
COLUMNS = ["path", "label", "group"]  # of the table
PAUSE = 10.0  # seconds without the camera, after which a picture belongs to a new recording
_RECORDED = re.compile(r"camera-(\d+)-(\d+)(?:-\d+)?\.\w+")
_NUMBERED = re.compile(r"(?:drawing|file)-(\d+)(?:-\d+)?\.\w+")


@dataclass(frozen=True)
class Picture:
    """A picture's file name, and its recording: 0 if it was not taken in one."""

    name: str
    recording: int = 0


@dataclass(frozen=True)
class Class:
    """A class and its pictures, in the order of their names."""

    name: str
    pictures: tuple[Picture, ...]

    @property
    def recordings(self) -> int:
        return len({picture.recording for picture in self.pictures if picture.recording})

    @property
    def parts(self) -> int:
        """How many parts a split can separate: each recording is one, and so is each other picture."""
        return self.recordings + sum(not picture.recording for picture in self.pictures)


class Collection:
    """The pictures below a folder, which is created if it is missing. Safe to use from several threads.

    `clock`: seconds that never go back. Raises CatalogError if the folder holds something else, and StorageError.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.folder, self._clock = folder, clock
        self.pictures, self.removed = folder / PICTURES, folder / REMOVED
        self._lock = threading.RLock()
        self._recording: tuple[str, int, float] | None = None  # class, number, time of its last picture
        _check(folder)
        with files.storage_errors(self.pictures):
            self.pictures.mkdir(parents=True, exist_ok=True)

    # ---- what there is

    def classes(self) -> list[Class]:
        """All classes in natural order, "2" before "10". Raises StorageError."""
        with self._lock:
            return [self._described(name, path) for name, path in self._folders().items()]

    def the(self, name: str) -> Class:
        """The class with this name. Raises CatalogError."""
        with self._lock:
            return self._described(name, self._folder(name))

    def path(self, name: str, picture: str) -> Path:
        """The file of a picture of a class. Raises CatalogError if there is none of that name."""
        with self._lock:
            folder = self._folder(name)
            if picture not in _listed(folder):
                raise CatalogError(f"Class {name} has no picture “{picture}”. Reload the page.")
            return folder / picture

    # ---- classes

    def add_class(self, written: str = "") -> str:
        """Make a class; returns its name. Without one it is the next "Class 1". Raises CatalogError, StorageError."""
        with self._lock:
            others = list(self._folders())
            name = names.checked(written or names.free(others), others)
            with files.storage_errors(self.pictures / name):
                (self.pictures / name).mkdir()
            return name

    def rename(self, name: str, written: str) -> str:
        """Rename a class; returns the new name. Raises CatalogError, StorageError."""
        with self._lock:
            folder = self._folder(name)
            new = names.checked(written, [other for other in self._folders() if other != name])
            place = self.pictures / new
            if new != name:
                if place.exists() and not place.samefile(folder):
                    raise CatalogError(f"{place} exists already. Choose another name.")
                with files.storage_errors(place):
                    folder.rename(place)
                if self._recording is not None and self._recording[0] == name:
                    self._recording = (new, *self._recording[1:])
            return new

    def remove_class(self, name: str) -> str:
        """Move a class to FOLDER/removed; returns its name there. Raises CatalogError, StorageError."""
        with self._lock:
            return self._move(self._folder(name), self.removed / name).name

    # ---- pictures

    def add(self, name: str, content: bytes, kind: Kind) -> Picture:
        """Keep a picture's file as it came. Raises PictureError if it cannot be decoded, CatalogError, StorageError."""
        decode(content)
        with self._lock:
            folder = self._folder(name)
            recording, stem = self._next(name, folder, kind)
            for number in range(self._last(name, folder, stem) + 1, 1_000_000):
                place = folder / f"{stem}-{number:04}.{suffix(content)}"
                if place.exists():
                    continue
                files.create(place, content)
                if kind == "camera":
                    self._recording = name, recording, self._clock()
                return Picture(place.name, recording)
            raise StorageError(f"{folder} holds a million pictures of one kind. Make another class.")

    def remove(self, name: str, picture: str) -> str:
        """Move a picture to FOLDER/removed; returns its name there. Raises CatalogError, StorageError."""
        with self._lock:
            return self._move(self.path(name, picture), self.removed / name / picture).name

    def put_back(self, name: str, picture: str | None = None, called: str | None = None, to: str | None = None) -> None:
        """Move a removed picture, or a removed class, back. `name` and `picture` are those in FOLDER/removed.

        `called`: the name that a class had; it gets it again unless another class has it by now. `to`: the class that
        gets a picture, if it was renamed since. Raises CatalogError, StorageError.
        """
        with self._lock:
            if name not in _listed(self.removed, folders=True):
                raise CatalogError(f"{self.removed} holds no class “{name}”. Reload the page.")
            if picture is None:
                # "cat-2" in the folder of what was removed is another "cat", which there may be again
                wanted = name if called is None or called in self._folders() else called
                self._move(self.removed / name, self.pictures / names.checked(wanted, self._folders()))
            elif picture not in _listed(self.removed / name):
                raise CatalogError(f"{self.removed / name} holds no picture “{picture}”. Reload the page.")
            else:
                self._move(self.removed / name / picture, self._folder(name if to is None else to) / picture)
                with suppress(OSError):  # others are still there
                    (self.removed / name).rmdir()

    # ---- for the training

    def write_table(self) -> Path:
        """Write the table to train on, FOLDER/pictures.csv, and return its path. Raises StorageError."""
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(COLUMNS)
        with self._lock:
            for name, folder in self._folders().items():
                for picture in self._described(name, folder).pictures:
                    group = f"{name}/{picture.recording}" if picture.recording else ""
                    table.writerow([f"{PICTURES}/{folder.name}/{picture.name}", name, group])
            files.write(self.folder / TABLE, text.getvalue().encode("utf-8", "surrogateescape"))
        return self.folder / TABLE

    # ---- the disk

    def _folders(self) -> dict[str, Path]:
        """The folder of each class by its composed name; of two with the same composed name, the first."""
        there: dict[str, Path] = {}
        for entry in _listed(self.pictures, folders=True):
            there.setdefault(composed(entry), self.pictures / entry)
        return {name: there[name] for name in sorted(there, key=natural)}

    def _folder(self, name: str) -> Path:
        folder = self._folders().get(name)
        if folder is None:
            raise CatalogError(f"There is no class “{name}”. Reload the page.")
        return folder

    def _described(self, name: str, folder: Path) -> Class:
        return Class(name, tuple(Picture(each, _recording_of(each)) for each in _listed(folder)))

    def _next(self, name: str, folder: Path, kind: Kind) -> tuple[int, str]:
        """The recording that a new picture belongs to, 0 for none, and the beginning of its file's name."""
        if kind != "camera":
            return 0, kind
        last = self._recording
        if last is not None and last[0] == name and self._clock() - last[2] < PAUSE:
            return last[1], f"camera-{last[1]:03}"
        known = [*_listed(folder), *_listed(self.removed / name)]
        number = max((_recording_of(each) for each in known), default=0) + 1
        return number, f"camera-{number:03}"

    def _last(self, name: str, folder: Path, stem: str) -> int:
        """The largest number behind `stem` among the pictures of a class, and among those removed from it."""
        known = [*_listed(folder), *_listed(self.removed / name)]
        numbers = [_number_of(each) for each in known if each.startswith(f"{stem}-")]
        return max(numbers, default=0)

    def _move(self, path: Path, place: Path) -> Path:
        """Rename to a place that is free: "cat" becomes "cat-2" where there is a "cat"."""
        with files.storage_errors(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            target, number = place, 1
            stem, ending = (place.name, "") if path.is_dir() else (place.stem, place.suffix)
            while target.exists():
                number += 1
                target = place.with_name(f"{stem}-{number}{ending}")
            return path.rename(target)


def _check(folder: Path) -> None:
    """Raise CatalogError if `folder` holds something else than a collection."""
    if folder.exists() and not folder.is_dir():
        raise CatalogError(f"{folder} is a file. Name a new folder, or one that `pellucid teach` has made.")
    there = _listed(folder, folders=True) + _listed(folder)
    if there and PICTURES not in there:
        raise CatalogError(
            f"{folder} holds other files. Name a new folder, or one that `pellucid teach` has made; pictures that are "
            "in it can be dropped onto the page, and `pellucid train` trains on a folder of class folders."
        )
    if TABLE in there and not _is_ours(folder / TABLE):
        raise CatalogError(
            f"{folder / TABLE} is a table that `pellucid teach` has not written, and would be replaced. Name a new "
            "folder, or give the table another name."
        )


def _is_ours(table: Path) -> bool:
    """Whether a table can be one of `write_table`: whoever has a list of pictures may have called it the same."""
    try:
        with table.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            header, *rows = csv.reader(file)
    except (OSError, ValueError, csv.Error):
        return False
    return header == COLUMNS and all(len(row) == len(COLUMNS) and _is_row(*row) for row in rows)


def _is_row(path: str, label: str, group: str) -> bool:
    parts = path.split("/")
    own = len(parts) == 3 and parts[0] == PICTURES and composed(parts[1]) == label
    return own and (not group or group.startswith(f"{label}/"))


def _listed(folder: Path, folders: bool = False) -> list[str]:
    """The visible files of a folder, or its visible folders, by name; none if it is missing. Raises StorageError.

    A link that leads nowhere is neither.
    """
    if not folder.is_dir():
        return []
    try:
        with os.scandir(folder) as entries:
            return sorted(each.name for each in entries if not is_system(each.name) and _is(each, folders))
    except OSError as error:
        raise StorageError(f"{folder} cannot be read: {error.strerror or error}.") from error


def _is(entry: os.DirEntry[str], folders: bool) -> bool:
    try:
        return entry.is_dir() if folders else entry.is_file()
    except OSError:  # links in a circle
        return False


def _recording_of(name: str) -> int:
    match = _RECORDED.fullmatch(name)
    return int(match[1]) if match else 0


def _number_of(name: str) -> int:
    match = _RECORDED.fullmatch(name)
    if match:
        return int(match[2])
    match = _NUMBERED.fullmatch(name)
    return int(match[1]) if match else 0
