"""Which shards a place stands for: one shard, a folder of them, or a pattern."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from pellucid.errors import CatalogError
from pellucid.pictures import sides
from pellucid.pictures.shards import parquet
from pellucid.pictures.shards.naming import COMPRESSED, PARQUET, TAR, has_ending, is_pattern, matches
from pellucid.pictures.walk import is_system
from pellucid.texts import listed

_BESIDE = (".json", ".jsonl", ".txt", ".md", ".csv", ".tsv", ".yaml", ".yml", ".idx", ".pdf", ".html", ".py", ".part")
"""Endings of files that accompany shards: lists, cards, indexes."""


@dataclass(frozen=True)
class Shards:
    """Shards that belong together.

    * root: the folder that the paths are relative to
    * paths: of the shards, relative, with "/"; sorted
    * side_of: the side that a shard's name, or its folder's, means; only if they are the sides of one split
    * beside: other files in the folder, relative
    """

    place: str
    root: Path
    paths: tuple[str, ...]
    side_of: dict[str, str] = field(default_factory=dict)
    beside: tuple[str, ...] = ()


def find(place: Path) -> Shards | None:
    """The shards that a place stands for; None if it is something else. Raises CatalogError for unusable shards."""
    text = str(place)
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
    return Shards(str(folder), folder, paths, _sides(paths), tuple(sorted(beside)))


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
