"""The names around shards: endings, the path of a member, and patterns such as train-{000000..000012}.tar."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator
from pathlib import Path

TAR, PARQUET = ".tar", ".parquet"
ENDINGS = (TAR, PARQUET)
COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst")
UNFINISHED = "packing.json"  # lists the whole shards while `pack` is at work
REST = "(rest)"  # the name of what cannot be read behind a fault in a shard
_HOLDER = re.compile(rf"(?:{'|'.join(map(re.escape, ENDINGS))})(?=/)", re.IGNORECASE)
_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")
_MOST = 1_000_000  # names that braces may stand for


def member_of(path: str) -> tuple[str, str] | None:
    """(shard, member) of the path of a picture in a shard; None if no part of the path is a file that may be one."""
    path = path.replace(os.sep, "/")
    for match in _HOLDER.finditer(path):
        shard, member = path[: match.end()], path[match.end() + 1 :]
        if member and os.path.isfile(shard):
            return shard, member
    return None


def shard_of(path: str) -> str:
    """The part of a catalog's path that names a shard; "" for a picture that is in none. Names decide alone."""
    match = _HOLDER.search(path)
    return path[: match.end()] if match else ""


def has_ending(path: str | Path, endings: tuple[str, ...] = ENDINGS) -> bool:
    """Whether a file is named like a shard."""
    return str(path).lower().endswith(endings)


def is_pattern(path: str | Path) -> bool:
    """Whether a path that does not exist stands for shards: it has braces or a glob, and a shard's ending."""
    text = str(path)
    return has_ending(text) and (glob.has_magic(text) or _BRACES.search(text) is not None)


def braces(text: str) -> Iterator[str]:
    """The texts that {a,b} and {000..012} stand for, as in a shell. Raises ValueError if they are over a million."""
    match = _BRACES.search(text)
    if match is None:
        yield text
        return
    before, after = text[: match.start()], text[match.end() :]
    if bounds := _RANGE.fullmatch(match[1]):
        first, last = int(bounds[1]), int(bounds[2])
        if abs(last - first) >= _MOST:
            raise ValueError(f"{text} stands for {abs(last - first) + 1:,} files, over the limit of {_MOST:,}")
        width = len(bounds[1]) if bounds[1].startswith("0") or len(bounds[1]) == len(bounds[2]) else 0
        step = 1 if last >= first else -1
        choices = [f"{number:0{width}d}" for number in range(first, last + step, step)]
    else:
        choices = match[1].split(",")
    for choice in choices:
        yield from braces(before + choice + after)
