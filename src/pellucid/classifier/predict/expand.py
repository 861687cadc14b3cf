"""Turn names into pictures. A name is a folder, a glob, a table, shards, or a picture itself."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.classifier.predict.pictures import Listed, Source
from pellucid.errors import CatalogError
from pellucid.pictures.listing import Folders, ListedFolders, LocalFolders, kind_of, listed, matching
from pellucid.pictures.places import TABLES, is_address, is_on_the_web, is_written_as_address, place
from pellucid.pictures.shards.naming import has_ending
from pellucid.pictures.walk import PACKED, is_system, walk, written_by_us

if TYPE_CHECKING:
    from upath import UPath

    from pellucid.pictures.places import Place
    from pellucid.pictures.reading import Stamp

PICTURES = (".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".heic", ".avif")  # and of no folder's


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A folder that was left out below a folder that the user named, and why."""

    path: str
    reason: str


def expand(pictures: Iterable[Source | ListedFolders]) -> Iterator[Source]:
    """Replace folders, globs, tables and shards by their pictures.

    Everything else passes through unchanged, missing files too.
    """
    return (each for each in walked(pictures) if not isinstance(each, LeftOut))


def walked(pictures: Iterable[Source | ListedFolders]) -> Iterator[Source | LeftOut]:
    """Like `expand`, but also yields the folders that were left out: Pellucid's own, and links in a circle.

    Raises CatalogError for a folder at an address that cannot be listed, and for a table that cannot be read.
    """
    for picture in pictures:
        if isinstance(picture, ListedFolders):
            yield from _listed(picture)
        elif is_written_as_address(picture) or is_address(picture):
            yield from _at_address(picture)
        elif not isinstance(picture, str | Path):
            yield picture
        elif os.path.isdir(picture):
            members = _in_shards(LocalFolders(picture))
            yield from _below(picture) if members is None else members
        elif has_ending(picture) and (members := _in_shards(Path(picture))) is not None:
            yield from members
        elif os.path.splitext(picture)[1].lower() in TABLES and os.path.isfile(picture):
            from pellucid.pictures.table import listed

            yield from listed(Path(picture))
        elif glob.has_magic(str(picture)) and not os.path.lexists(picture):
            yield from _matches(str(picture))
        else:
            yield picture


def _in_shards(where: Place | Folders) -> Iterator[str] | None:
    """The pictures in a shard, in the shards of a pattern, or in those of a folder; None for anything else.

    Shards that the manifest of `pack` lists, and that are not there, come as they are: reading one gives the reason.
    Raises CatalogError.
    """
    from pellucid.pictures.shards import catalog, finding

    listing = isinstance(where, LocalFolders | ListedFolders)
    shards = finding.in_folder(where) if listing else finding.find(where)  # type: ignore[arg-type]
    if shards is None:
        return None
    files = [shards.root / path for path in shards.paths]
    members = (f"{file}/{member}" for file in files for member in catalog.members(file))
    gone = (bad.path for bad in catalog.absent(shards) if bad.path not in shards.paths)
    return chain(members, (str(shards.root / path) for path in chain(shards.beside, gone)))


def listed_once(pictures: Iterable[Source]) -> list[Source | ListedFolders]:
    """The same names, with a listing in the place of each folder at an address: it need not be listed again."""
    return [_opened(each) if is_written_as_address(each) or is_address(each) else each for each in pictures]


def _opened(picture: Source) -> Source | ListedFolders:
    where = _place(picture)
    if not is_address(where) or _is_picture(where) or kind_of(where) != "folder":
        return picture
    return listed(where)


def _at_address(picture: Source) -> Iterator[Source | LeftOut]:
    """The files of a folder, a table or a glob at an address; the address itself for a picture and for nothing."""
    where = _place(picture)
    if not is_address(where):
        yield picture if where is None else where
    elif has_ending(where.path) and (members := _in_shards(where)) is not None:
        yield from members
    elif where.suffix.lower() in TABLES and kind_of(where) == "file":
        from pellucid.pictures.table import listed as paths

        yield from paths(where)
    elif glob.has_magic(where.path) and not is_on_the_web(where) and "::" not in str(where):
        yield from _globbed(where)
    elif not _is_picture(where) and kind_of(where) == "folder":
        yield from _listed(listed(where))
    else:
        yield picture


def _place(picture: Source) -> Place | None:
    """None for an address that cannot be used: reading it as a picture gives the reason."""
    try:
        return place(picture)  # type: ignore[arg-type]
    except CatalogError:
        return None


def _is_picture(address: UPath) -> bool:
    """Whether an address is certainly not a folder, so that nobody need look."""
    return is_on_the_web(address) or address.suffix.lower() in PICTURES


def _listed(listing: ListedFolders) -> Iterator[Source | LeftOut]:
    """All files below an address except the system's, as `_below`."""
    if (members := _in_shards(listing)) is not None:
        yield from members
        return
    top = listing.top
    for entry in walk(listing):
        if entry.kind == "file":
            yield _stamped(str(top / entry.path), listing.stamp(entry.path))
        elif entry.kind == "ours":
            yield LeftOut(str(top / entry.path), entry.reason)


def _globbed(pattern: UPath) -> Iterator[Source | LeftOut]:
    """The files that match a glob at an address; the glob itself if none does."""
    matches = matching(pattern)
    names = [name for name in matches if not is_system(name.rpartition("/")[2])]
    yield from (_stamped(name, matches[name]) for name in names)
    if not names:
        yield str(pattern)


def _stamped(address: str, stamp: Stamp) -> Listed:
    picture = Listed(address)
    picture.stamp = stamp
    return picture


def _below(folder: str | Path) -> Iterator[Source | LeftOut]:
    """All files below a folder except the system's, each folder's in order; the whole list is never held in memory.

    Unusable files are included: reading one as a picture gives the reason.
    """
    top = os.path.join(folder, "")
    for entry in walk(folder):
        if entry.kind == "file":
            yield top + entry.path
        elif entry.kind == "unusable":
            yield top + entry.path.rstrip("/") if entry.path else os.fspath(folder)
        elif entry.kind in ("again", "ours"):
            yield LeftOut(top + entry.path, entry.reason)


def _matches(pattern: str) -> Iterator[Source | LeftOut]:
    """The files that match a glob; the glob itself if none does."""
    pattern = pattern.replace(os.altsep, os.sep) if os.altsep else pattern
    names = pattern.split(os.sep)
    if "**" in names:
        at = names.index("**")
        matches = _matches_below(os.sep.join(names[:at]), names[at:])
    else:
        matches = _matches_here(pattern)
    first = next(matches, None)
    yield pattern if first is None else first
    yield from matches


def _matches_here(pattern: str) -> Iterator[Source | LeftOut]:
    """The matches of a glob without **. Names that the glob does not spell out may be skipped or left out."""
    spelt = set(pattern.split(os.sep))
    reported: set[str] = set()
    for path in sorted(glob.glob(_literal(pattern)) or glob.glob(pattern)):
        names = path.split(os.sep)
        holders = {at: os.sep.join(names[: at + 1]) for at, name in enumerate(names) if name not in spelt}
        if any(is_system(names[at]) for at in holders):
            continue
        folders = (folder for folder in holders.values() if os.path.isdir(folder))
        ours = ((folder, what) for folder in folders if (what := written_by_us(folder)) is not None)
        shards = (path, PACKED)  # the match itself: its pictures are meant
        left_out = next((LeftOut(*each) for each in ours if each != shards), None)
        if left_out is None:
            yield from walked([path])
        elif left_out.path not in reported:
            reported.add(left_out.path)
            yield left_out


def _matches_below(start: str, names: list[str]) -> Iterator[Source | LeftOut]:
    """The files below the folders `start` that match the rest of a glob; ** stands for any number of folders."""
    folders = glob.glob(_literal(start)) or glob.glob(start) if start else [""]
    for folder in sorted(folders):
        for entry in walk(folder or "."):
            path = os.path.join(folder, entry.path)
            if entry.kind in ("again", "ours"):
                yield LeftOut(path, entry.reason)
            elif entry.kind in ("file", "unusable") and _fits(entry.path.split("/"), names):
                yield path


def _fits(path: list[str], names: list[str]) -> bool:
    if not names or not path:
        return not path and all(name == "**" for name in names)
    if names[0] == "**":
        return _fits(path, names[1:]) or _fits(path[1:], names)
    return (path[0] == names[0] or fnmatch(path[0], names[0])) and _fits(path[1:], names[1:])


def _literal(pattern: str) -> str:
    """Escape the names of a glob that exist literally, such as `trip [2020]` in trip [2020]/*.png."""
    escaped: list[str] = []
    for name in pattern.split(os.sep):
        ways = [glob.escape(name), name.replace("[", "[[]"), name] if glob.has_magic(name) else [name]
        tried = (os.sep.join([*escaped, way]) for way in ways)
        there = (way for way, path in zip(ways, tried, strict=True) if next(glob.iglob(path), None) is not None)
        escaped.append(next(there, name) if len(ways) > 1 else name)
    return os.sep.join(escaped)
