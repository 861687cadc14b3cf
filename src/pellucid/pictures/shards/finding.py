"""Which shards a place stands for: one shard, a folder of them, or a pattern."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from glob import glob, has_magic
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pellucid.errors import CatalogError
from pellucid.pictures import sides
from pellucid.pictures.places import is_address
from pellucid.pictures.reading import exists
from pellucid.pictures.remote import Unreachable, refusal, store_of
from pellucid.pictures.shards import parquet
from pellucid.pictures.shards.naming import COMPRESSED, PARQUET, TAR, UNFINISHED, braces, has_ending, is_pattern
from pellucid.pictures.walk import is_system
from pellucid.texts import listed

if TYPE_CHECKING:
    from upath import UPath

    from pellucid.pictures.listing import Folders
    from pellucid.pictures.places import Place

T = TypeVar("T")

_BESIDE = (".json", ".jsonl", ".txt", ".md", ".csv", ".tsv", ".yaml", ".yml", ".idx", ".pdf", ".html", ".py", ".part")
"""Endings of files that accompany shards: lists, cards, indexes."""
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
    """The shards that a file or a pattern stands for; None for anything else. Raises CatalogError for unusable ones."""
    text = str(place)
    there = is_address(place) or place.is_file()
    if has_ending(text, COMPRESSED) and there:
        raise CatalogError(
            f"{place} is a compressed tar, and no picture in it can be read alone. Unpack it to a plain .tar: pictures "
            "are compressed already."
        )
    if is_address(place):
        if is_pattern(text):
            return _of_pattern(place)
        return Shards(text, place.parent, (place.name,)) if has_ending(text) and is_shard(place) else None
    if there:
        return Shards(text, place.parent, (place.name,)) if is_shard(place, damaged=False) else None
    return _of_pattern(place) if is_pattern(text) and not place.exists() else None


def is_shard(file: Place, damaged: bool = True) -> bool:
    """Whether a file holds pictures: a tar by its name, a Parquet file by its columns.

    `damaged`: the answer for a Parquet file that cannot be read. Raises CatalogError for one at an address that cannot
    be reached.
    """
    if has_ending(str(file), (TAR,)):
        return True
    if not has_ending(str(file), (PARQUET,)):
        return False
    try:
        if is_address(file):
            with _tried(file, lambda system: system.open(file.path, "rb")) as stream:
                return parquet.layout(parquet.opened(stream)) is not None
        return parquet.layout(parquet.opened(str(file))) is not None
    except parquet.Unreadable:
        return damaged


def in_folder(below: Folders) -> Shards | None:
    """The shards of a folder that holds nothing else below it; files beside them may be anything.

    Of an address, the first Parquet file's columns decide for all. Raises CatalogError, also for a folder that `pack`
    has not finished.
    """
    shards: list[str] = []
    beside: list[str] = []
    unfinished: list[str] = []
    waiting = [""]
    while waiting:
        prefix = waiting.pop(0)
        inner: list[str] = []
        try:
            for name, kind in below.children(prefix):
                path = prefix + name
                if is_system(name):
                    continue
                if kind == "folder":
                    inner.append(f"{path}/")
                elif name == UNFINISHED:
                    unfinished.append(prefix)
                elif has_ending(name) and ((is_address(below.top) and shards) or is_shard(below.top / path)):
                    shards.append(path)
                elif has_ending(name, COMPRESSED):
                    beside.append(path)
                elif prefix and not has_ending(name, _BESIDE):
                    return None  # a folder of files: it may be a class
                elif not has_ending(name, _BESIDE):
                    beside.append(path)
                    if len(beside) > _MANY and not shards:
                        return None
        except OSError:
            return None
        waiting += sorted(inner)
    if unfinished and (shards or not beside):
        place = below.top / unfinished[0] if unfinished[0] else below.top
        raise CatalogError(f"{place} is not packed to its end. Run the same `pellucid pack` again; it goes on.")
    if not shards:
        if packed := [path for path in beside if has_ending(path, COMPRESSED)]:
            raise CatalogError(
                f"{below.top} holds compressed tars ({listed(sorted(packed), 3)}), and no picture in them can be read "
                "alone. Unpack them to plain .tar files: pictures are compressed already."
            )
        return None
    paths = tuple(sorted(shards))
    return Shards(str(below.top), below.top, paths, _sides(paths), tuple(sorted(beside)), whole=True)


def _of_pattern(pattern: Place) -> Shards:
    text = pattern.path if is_address(pattern) else str(pattern)
    try:
        texts = list(braces(text))
    except ValueError as error:
        raise CatalogError(f"{error}.") from error
    files = sorted({path for each in texts for path in (_globbed(pattern, each) if has_magic(each) else [each])})
    gone = [file for file in files if not exists(_at(pattern, file))]
    if not files or len(gone) == len(files):
        raise CatalogError(f"{pattern} names no shard: no such file exists.")
    if gone:
        raise CatalogError(
            f"{pattern} names {len(files):,} shards, of which {len(gone):,} do not exist: {listed(gone, 3)}. "
            "Copy them here, or name only those that are here."
        )
    top = os.path.commonpath([os.path.dirname(file) or "." for file in files])
    paths = tuple(Path(os.path.relpath(file, top)).as_posix() for file in files)
    return Shards(str(pattern), _at(pattern, top), paths, _sides(paths))


def _globbed(pattern: Place, text: str) -> list[str]:
    if not is_address(pattern):
        return glob(text)
    return [str(name) for name in _tried(pattern, lambda system: system.glob(text))]


def _at(pattern: Place, path: str) -> Place:
    """A path of the same file system."""
    return pattern.with_segments(path) if is_address(pattern) else Path(path)


def _tried(address: UPath, attempt: Callable[[Any], T]) -> T:
    """What `attempt` does with the file system of an address. Raises CatalogError."""
    store = store_of(address)
    try:
        return store.tried(lambda: attempt(store.system))
    except Unreachable as error:
        raise CatalogError(refusal(error, address)) from error


def _sides(paths: tuple[str, ...]) -> dict[str, str]:
    """The side of each shard: by the folders that hold the shards, or by their own names."""
    tops = {path: path.split("/")[0] if "/" in path else "" for path in paths}
    stems = {path: os.path.splitext(path.rpartition("/")[2])[0] for path in paths}
    for names in (tops, stems):
        if by_name := sides.read_all(set(names.values())):
            return {path: by_name[name] for path, name in names.items()}
    return {}
