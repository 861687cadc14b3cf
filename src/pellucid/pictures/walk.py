"""The one walk through folders behind every command. It reads names only and opens no picture.

The operating system's files are skipped. Folders that Pellucid wrote are left out: their thumbnails are copies of
pictures, and a model folder is not a class. Links are followed, but not in circles.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from pellucid.pictures import listing
from pellucid.pictures.listing import Folders

if TYPE_CHECKING:
    from pellucid.pictures.places import Place

_SYSTEM = {
    "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "$recycle.bin", "system volume information",
    "__macosx", "icon\r", "@eadir", "lost+found",
}  # fmt: skip
_STEP = re.compile(r"step-\d+\.safetensors|\..+\.part")  # contents of a training's checkpoint folder

PACKED = "the output of `pellucid pack`: name this folder by itself"

Kind = Literal["file", "folder", "unusable", "again", "ours", "system"]


class Entry(NamedTuple):
    """A name below a folder, and its kind.

    * file: it may hold a picture; its content decides
    * folder: only from `entries`
    * unusable: a broken link, a pipe, a folder that may not be opened
    * again: a link to a folder that is read under another name
    * ours: a folder that Pellucid wrote
    * system: hidden, or of the operating system
    """

    path: str  # relative to the folder, with "/" on every system; a folder's ends in "/"
    kind: Kind
    reason: str = ""  # a phrase; empty for a file, a folder and the system's


def walk(folder: str | Place | Folders, leave_out: Path | None = None) -> Iterator[Entry]:
    """Everything below `folder`: in each folder its own entries by name, then those of its subfolders.

    Each folder is read once, even if links lead to it, and links come last: a folder is read under its own name.
    `leave_out`: the folder that a training is about to write, whatever it now holds. Raises CatalogError for an address
    that cannot be listed.
    """
    below = listing.folders(folder)
    seen: set[tuple[int, int]] = set()
    folders, links = [""], deque[str]()
    while folders or links:
        linked = not folders
        prefix = links.popleft() if linked else folders.pop()
        try:
            identity = below.identity(prefix)
        except OSError as error:
            yield Entry(prefix, "unusable", f"a folder that cannot be opened: {error.strerror}")
            continue
        if identity in seen:
            yield Entry(prefix, "again", "a link to a folder that was read already")
            continue
        if linked and below.leads_back(prefix):
            yield Entry(prefix, "again", "a link to a folder that contains it")
            continue
        if identity is not None:
            seen.add(identity)
        inner: list[str] = []
        for entry in entries(below, prefix, leave_out):
            if entry.kind != "folder":
                yield entry
            elif below.is_link(entry.path):
                links.append(entry.path)
            else:
                inner.append(entry.path)
        folders += reversed(inner)


def entries(below: Folders, prefix: str = "", leave_out: Path | None = None) -> Iterator[Entry]:
    """The entries of one folder, by name."""
    try:
        children = sorted(below.children(prefix))
    except PermissionError:
        yield Entry(prefix, "unusable", "a folder without read permission")
        return
    except OSError as error:
        yield Entry(prefix, "unusable", f"a folder that cannot be opened: {error.strerror}")
        return
    for name, kind in children:
        path = prefix + name
        if is_system(name):
            yield Entry(path, "system")
        elif kind == "file":
            yield Entry(path, "file")
        elif kind != "folder":
            yield Entry(path, "unusable", kind)
        elif leave_out is not None and below.is_same(path, leave_out):
            yield Entry(path + "/", "ours", "the model folder of this training")
        elif what := written_by_us(below, path + "/"):
            yield Entry(path + "/", "ours", what)
        else:
            yield Entry(path + "/", "folder")


def is_system(name: str) -> bool:
    """Whether a file or folder of this name is hidden or the operating system's."""
    return name.startswith(".") or name.lower() in _SYSTEM


def written_by_us(folder: str | Place | Folders, prefix: str = "") -> str | None:
    """What Pellucid wrote into a folder, finished or not; None if the folder is not Pellucid's."""
    below = listing.folders(folder)

    def has(*names: str) -> bool:
        return all(below.has_file(prefix + name) for name in names)

    if has("config.json", "model.safetensors"):
        return "a model folder"
    if has("split.csv", "quarantine.csv") or has("folds/plan.json") or _has_checkpoint(below, prefix):
        return "the folder of a training that has not ended"
    if has("filters.json"):
        return "the output of `pellucid filters`"
    if has("_plan.json", "_pictures.parquet"):
        return "the output of `pellucid predict --ray`"
    if has("packing.json") or has("manifest.json", "classes.json", "quarantine.csv"):
        return PACKED
    return "decoded pictures kept for the next training" if has("store.json", "descriptions.raw") else None


def only_ours(below: Folders, prefix: str = "", leave_out: Path | None = None) -> bool:
    """Whether a folder holds only folders that Pellucid wrote, at least one."""
    some = False
    try:
        for name, kind in below.children(prefix):
            if is_system(name):
                continue
            path = prefix + name
            if kind != "folder" or below.is_link(path):
                return False
            ours = (leave_out is not None and below.is_same(path, leave_out)) or written_by_us(below, path + "/")
            if not ours and not only_ours(below, path + "/", leave_out):
                return False
            some = True
    except OSError:
        return False
    return some


def _has_checkpoint(below: Folders, prefix: str) -> bool:
    """Whether a training has a checkpoint folder, even if it was killed before its first checkpoint."""
    try:
        inside = [child.name for child in below.children(f"{prefix}checkpoint/")]
        if inside:
            return any(map(_STEP.fullmatch, inside))
        return [child.name for child in below.children(prefix)] == ["checkpoint"]
    except OSError:
        return False
