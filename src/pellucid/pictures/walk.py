"""The one walk through folders behind every command. It reads names only and opens no picture.

The operating system's files are skipped. Folders that Pellucid wrote are left out: their thumbnails are copies of
pictures, and a model folder is not a class. Links are followed, but not in circles.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

_SYSTEM = {
    "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "$recycle.bin", "system volume information",
    "__macosx", "icon\r", "@eadir", "lost+found",
}  # fmt: skip
_STEP = re.compile(r"step-\d+\.safetensors|\..+\.part")  # contents of a training's checkpoint folder

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


def walk(folder: str | Path, leave_out: Path | None = None) -> Iterator[Entry]:
    """Everything below `folder`: in each folder its own entries by name, then those of its subfolders.

    Each folder is read once, even if links lead to it, and links come last: a folder is read under its own name.
    `leave_out`: the folder that a training is about to write, whatever it now holds.
    """
    top = os.path.join(folder, "")
    seen: set[tuple[int, int]] = set()
    folders, links = [""], deque[str]()
    while folders or links:
        linked = not folders
        prefix = links.popleft() if linked else folders.pop()
        try:
            status = os.stat(top + prefix)
        except OSError as error:
            yield Entry(prefix, "unusable", f"a folder that cannot be opened: {error.strerror}")
            continue
        identity = (status.st_dev, status.st_ino)
        if identity in seen and status.st_ino:  # 0 if the file system does not number files
            yield Entry(prefix, "again", "a link to a folder that was read already")
            continue
        if linked and leads_back(top, prefix):
            yield Entry(prefix, "again", "a link to a folder that contains it")
            continue
        seen.add(identity)
        inner: list[str] = []
        for entry in entries(top, prefix, leave_out):
            if entry.kind != "folder":
                yield entry
            elif os.path.islink(top + entry.path.rstrip("/")):
                links.append(entry.path)
            else:
                inner.append(entry.path)
        folders += reversed(inner)


def entries(top: str | Path, prefix: str = "", leave_out: Path | None = None) -> Iterator[Entry]:
    """The entries of one folder, `prefix` below `top`, by name."""
    try:
        with os.scandir(os.path.join(top, prefix)) as listing:
            children = sorted(listing, key=lambda entry: entry.name)
    except PermissionError:
        yield Entry(prefix, "unusable", "a folder without read permission")
        return
    except OSError as error:
        yield Entry(prefix, "unusable", f"a folder that cannot be opened: {error.strerror}")
        return
    for entry in children:
        path = prefix + entry.name
        if is_system(entry.name):
            yield Entry(path, "system")
        elif (kind := _kind(entry)) == "file":
            yield Entry(path, "file")
        elif kind != "folder":
            yield Entry(path, "unusable", kind)
        elif leave_out is not None and _same(entry.path, leave_out):
            yield Entry(path + "/", "ours", "the model folder of this training")
        elif what := written_by_us(entry.path):
            yield Entry(path + "/", "ours", what)
        else:
            yield Entry(path + "/", "folder")


def is_system(name: str) -> bool:
    """Whether a file or folder of this name is hidden or the operating system's."""
    return name.startswith(".") or name.lower() in _SYSTEM


def written_by_us(folder: str | Path) -> str | None:
    """What Pellucid wrote into a folder, finished or not; None if the folder is not Pellucid's."""

    def has(*names: str) -> bool:
        return all(os.path.isfile(os.path.join(folder, name)) for name in names)

    if has("config.json", "model.safetensors"):
        return "a model folder"
    if has("split.csv", "quarantine.csv") or has(os.path.join("folds", "plan.json")) or _has_checkpoint(folder):
        return "the folder of a training that has not ended"
    if has("filters.json"):
        return "the output of `pellucid filters`"
    if has("_plan.json", "_pictures.parquet"):
        return "the output of `pellucid predict --ray`"
    return "decoded pictures kept for the next training" if has("store.json", "images.raw") else None


def only_ours(folder: str | Path, leave_out: Path | None = None) -> bool:
    """Whether a folder holds only folders that Pellucid wrote, at least one."""
    some = False
    try:
        with os.scandir(folder) as listing:
            for entry in listing:
                if is_system(entry.name):
                    continue
                if not entry.is_dir(follow_symlinks=False):
                    return False
                ours = (leave_out is not None and _same(entry.path, leave_out)) or written_by_us(entry.path)
                if not ours and not only_ours(entry.path, leave_out):
                    return False
                some = True
    except OSError:
        return False
    return some


def leads_back(top: str | Path, path: str) -> bool:
    """Whether a link `path` below `top` leads to `top`, to a folder above it, or to one that holds the link."""
    target = os.path.realpath(os.path.join(top, path))
    holders = (os.path.realpath(top), os.path.realpath(os.path.join(top, os.path.dirname(path.rstrip("/")))))
    return any(os.path.join(holder, "").startswith(os.path.join(target, "")) for holder in holders)


def _has_checkpoint(folder: str | Path) -> bool:
    """Whether a training has a checkpoint folder, even if it was killed before its first checkpoint."""
    try:
        inside = os.listdir(os.path.join(folder, "checkpoint"))
        return any(map(_STEP.fullmatch, inside)) or (not inside and os.listdir(folder) == ["checkpoint"])
    except OSError:
        return False


def _same(path: str, other: Path) -> bool:
    try:
        return os.path.samefile(path, other)
    except OSError:
        return False


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
