"""Which shards a place stands for: one shard, a folder of them, or a pattern."""

from __future__ import annotations

import os
import posixpath
from dataclasses import dataclass, field
from glob import has_magic
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.errors import CatalogError
from pellucid.pictures import sides
from pellucid.pictures.places import is_address
from pellucid.pictures.shards import parquet
from pellucid.pictures.shards.naming import COMPRESSED, ENDINGS, PARQUET, TAR, braces, has_ending, is_pattern, matches
from pellucid.pictures.walk import is_system
from pellucid.texts import listed

if TYPE_CHECKING:
    from upath import UPath

    from pellucid.pictures.places import Place

_BESIDE = (".json", ".jsonl", ".txt", ".md", ".csv", ".tsv", ".yaml", ".yml", ".idx", ".pdf", ".html", ".py", ".part")
"""Endings of files that accompany shards: lists, cards, indexes."""
_TABLE = "metadata.parquet"
_HERE = "Name only those that are there."
_MANY = 1000  # other files in a folder without a shard so far: it is a folder of pictures


@dataclass(frozen=True)
class Shards:
    """Shards that belong together.

    * root: the folder that the paths are relative to
    * paths: of the shards, relative, with "/"; sorted
    * side_of: the side that a shard's name, or its folder's, means; only if they are the sides of one split
    * beside: other files in the folder, relative
    * whole: whether they are all that the folder holds
    """

    place: str
    root: Place
    paths: tuple[str, ...]
    side_of: dict[str, str] = field(default_factory=dict)
    beside: tuple[str, ...] = ()
    whole: bool = False


def find(place: Place) -> Shards | None:
    """The shards that a place stands for; None if it is something else. Raises CatalogError for unusable shards."""
    text = str(place)
    if is_address(place):
        return _at_address(place)
    if has_ending(text, COMPRESSED) and place.is_file():
        raise CatalogError(
            f"{place} is a compressed tar, and no picture in it can be read alone. Unpack it to a plain .tar: pictures "
            "are compressed already."
        )
    if place.is_file():
        return Shards(text, place.parent, (place.name,)) if is_shard(place, damaged=False) else None
    if place.is_dir():
        return _in_folder(place)
    return _of_pattern(place) if is_pattern(text) else None


def is_shard(file: Path, damaged: bool = True) -> bool:
    """Whether a file holds pictures: a tar by its name, a Parquet file by its columns.

    `damaged`: the answer for a Parquet file that cannot be read.
    """
    if has_ending(file, (TAR,)):
        return True
    if not has_ending(file, (PARQUET,)):
        return False
    try:
        return parquet.layout(parquet.opened(str(file))) is not None
    except parquet.Unreadable:
        return damaged


def _in_folder(folder: Path) -> Shards | None:
    """The shards of a folder that holds nothing else below it; files beside them may be anything."""
    shards: list[str] = []
    beside: list[str] = []
    waiting = [""]
    while waiting:
        prefix = waiting.pop(0)
        inner: list[str] = []
        try:
            with os.scandir(folder / prefix) as listing:
                for entry in listing:
                    path = prefix + entry.name
                    if is_system(entry.name):
                        continue
                    if entry.is_dir():
                        inner.append(f"{path}/")
                    elif has_ending(entry.name, (TAR, PARQUET)) and is_shard(folder / path):
                        shards.append(path)
                    elif has_ending(entry.name, COMPRESSED):
                        beside.append(path)
                    elif prefix and not has_ending(entry.name, _BESIDE):
                        return None  # a folder of files: it may be a class
                    elif not has_ending(entry.name, _BESIDE):
                        beside.append(path)
                        if len(beside) > _MANY and not shards:
                            return None
        except OSError:
            return None
        waiting += sorted(inner)
    if not shards:
        if packed := [path for path in beside if has_ending(path, COMPRESSED)]:
            raise CatalogError(
                f"{folder} holds compressed tars ({listed(sorted(packed), 3)}), and no picture in them can be read "
                "alone. Unpack them to plain .tar files: pictures are compressed already."
            )
        return None
    paths = tuple(sorted(shards))
    return Shards(str(folder), folder, paths, _sides(paths), tuple(sorted(beside)), whole=True)


def _at_address(place: UPath) -> Shards | None:
    """The same for an address. In a folder, the columns of the first Parquet file decide for all."""
    text, system = str(place), place.fs
    if has_ending(text, COMPRESSED):
        raise CatalogError(f"{place} is a compressed tar. Unpack it to a plain .tar: pictures are compressed already.")
    if is_pattern(text):
        return _of_patterned(place)
    if has_ending(text, (TAR,)):
        return Shards(text, place.parent, (place.name,))
    if has_ending(text, (PARQUET,)):
        with system.open(place.path) as file:
            return Shards(text, place.parent, (place.name,)) if _has_pictures(file) else None
    if place.protocol in ("http", "https"):  # they list no folders
        return None
    top = place.path.rstrip("/")
    names = sorted(str(name)[len(top) :].lstrip("/") for name in system.find(top))
    seen = [name for name in names if not any(map(is_system, name.split("/")))]
    shards = [name for name in seen if has_ending(name) and not name.endswith(_TABLE)]
    others = [name for name in seen if not has_ending(name, (*ENDINGS, *_BESIDE)) or name.endswith(_TABLE)]
    if not shards or any("/" in name for name in others):
        return None
    if has_ending(shards[0], (PARQUET,)):
        with system.open((place / shards[0]).path) as file:
            if not _has_pictures(file):
                return None
    return Shards(text, place, tuple(shards), _sides(tuple(shards)), tuple(others), whole=True)


def _has_pictures(file: Any) -> bool:
    try:
        return parquet.layout(parquet.opened(file)) is not None
    except parquet.Unreadable:
        return False


def _of_patterned(pattern: UPath) -> Shards:
    """The shards of a pattern at an address; each text that its braces stand for is a name, or a glob."""
    try:
        texts = list(braces(pattern.path))
    except ValueError as error:
        raise CatalogError(f"{error}.") from error
    system = pattern.fs
    files = sorted({str(name) for text in texts for name in (system.glob(text) if has_magic(text) else [text])})
    gone = [file for file in files if not system.exists(file)]
    if not files or gone:
        raise CatalogError(f"{pattern} names {len(files):,} shards, of which {len(gone):,} do not exist. {_HERE}")
    top = posixpath.commonpath([posixpath.dirname(file) for file in files])
    root = pattern.parent
    while len(root.path.rstrip("/")) > len(top):
        root = root.parent
    paths = tuple(posixpath.relpath(file, top) for file in files)
    return Shards(str(pattern), root, paths, _sides(paths))


def _of_pattern(pattern: Path) -> Shards:
    try:
        files = matches(pattern)
    except ValueError as error:
        raise CatalogError(f"{error}.") from error
    gone = [file for file in files if not os.path.isfile(file)]
    if not files or len(gone) == len(files):
        raise CatalogError(f"{pattern} names no shard: no such file exists.")
    if gone:
        raise CatalogError(
            f"{pattern} names {len(files):,} shards, of which {len(gone):,} do not exist: {listed(gone, 3)}. "
            "Copy them here, or name only those that are here."
        )
    root = Path(os.path.commonpath([os.path.dirname(file) or "." for file in files]))
    paths = tuple(Path(os.path.relpath(file, root)).as_posix() for file in files)
    return Shards(str(pattern), root, paths, _sides(paths))


def _sides(paths: tuple[str, ...]) -> dict[str, str]:
    """The side of each shard: by the folders that hold the shards, or by their own names."""
    tops = {path: path.split("/")[0] if "/" in path else "" for path in paths}
    stems = {path: os.path.splitext(path.rpartition("/")[2])[0] for path in paths}
    for names in (tops, stems):
        if by_name := sides.read_all(set(names.values())):
            return {path: by_name[name] for path, name in names.items()}
    return {}
