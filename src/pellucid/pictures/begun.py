"""What a stopped run had decoded of pictures at addresses: the next run takes it over instead of fetching it again.

While a store of such pictures is built, a file `begun.jsonl` in it names the pictures that are in the raw files so far,
with the CRC of their bytes. If the run is stopped or killed, the part that is intact becomes a store of fewer pictures,
at once or at the beginning of the next run, which builds on it. It replaces a store of still fewer pictures only.
"""

from __future__ import annotations

import base64
import json
import os
import re
import zlib
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid import files
from pellucid.pictures.index import Index
from pellucid.pictures.look import RECORD, Looks
from pellucid.pictures.ranges import Ranges
from pellucid.pictures.strings import Texts

JOURNAL = "begun.jsonl"


class Journal:
    """The file, written as the store grows.

    `part`: the unfinished store, whose place will be `folder`. `lengths`: bytes of a picture in descriptions.raw and in
    images.raw.
    `wanted`: whether to write it at all.
    """

    def __init__(
        self, part: Path, folder: Path, identity: dict[str, Any], lengths: tuple[int, int], ranges: Ranges, wanted: bool
    ) -> None:
        self._part, self._folder, self._identity, self._lengths = part, folder, identity, lengths
        self._file = (part / JOURNAL).open("w", encoding="utf-8", errors="surrogateescape") if wanted else None
        self._write({"identity": identity, "ranges": ranges.as_json()})

    def add(self, index: Index, numbers: NDArray[np.int64], looks: Looks) -> None:
        """Note that the files with these numbers are in the index, and their rows in the raw files."""
        if self._file is not None:
            rows = numbers.tolist()
            self._write(
                {
                    "paths": [index.paths[number] for number in rows],
                    "reasons": [index.reasons.get(number) for number in rows],
                    "records": base64.b64encode(index.records[numbers].tobytes()).decode(),
                    "check": [zlib.crc32(each.tobytes()) for each in (looks.descriptions, looks.images)],
                }
            )

    def _write(self, line: dict[str, Any]) -> None:
        if self._file is not None:
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: BaseException | TracebackType | None) -> None:
        if self._file is None:
            return
        self._file.close()
        if kind is None:  # the store is complete
            (self._part / JOURNAL).unlink()
        else:
            _put_in_place(self._part, self._folder, self._identity, self._lengths)


def recover(folder: Path, names: re.Pattern[str], identity: dict[str, Any], lengths: tuple[int, int]) -> None:
    """Turn the remains of killed runs into a store at `folder`, unless one of as many pictures is there.

    The caller holds its lock.

    `names`: as in `clearing.remove_leftovers`. `lengths`: as of Journal.
    """
    for name in os.listdir(folder.parent):
        if name.endswith(".part") and (match := names.fullmatch(name)) and match[1] == folder.name:
            _put_in_place(folder.with_name(name), folder, identity, lengths)


def _put_in_place(part: Path, folder: Path, identity: dict[str, Any], lengths: tuple[int, int]) -> None:
    with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
        whole = _complete(part, identity, lengths)
        old = Index.load(folder, identity)
        if old is None or len(old.paths) < whole:
            files.put_folder(part, folder)


def _complete(part: Path, identity: dict[str, Any], lengths: tuple[int, int]) -> int:
    """Make a store of the intact part of an unfinished one; returns how many files it knows.

    Raises ValueError if nothing is intact, and OSError.
    """
    raws = [part / "descriptions.raw", part / "images.raw"]
    paths: list[str] = []
    reasons: dict[int, str] = {}
    records: list[NDArray[np.void]] = []
    rows = 0
    with ExitStack() as stack:
        lines = stack.enter_context((part / JOURNAL).open(encoding="utf-8", errors="surrogateescape"))
        images = [stack.enter_context(raw.open("rb")) for raw in raws]
        header = json.loads(next(lines, ""))
        if header["identity"] != json.loads(json.dumps(identity)):
            raise ValueError("decoded in another way")
        for line in lines:
            entry = _parsed(line)
            if entry is None:
                break
            some = np.frombuffer(base64.b64decode(entry["records"]), RECORD)
            stored = int((some["row"] >= 0).sum())
            content = [file.read(stored * length) for file, length in zip(images, lengths, strict=True)]
            if [zlib.crc32(each) for each in content] != entry["check"]:
                break
            why = {len(paths) + at: reason for at, reason in enumerate(entry["reasons"]) if reason is not None}
            reasons.update(why)
            paths += entry["paths"]
            records.append(some)
            rows += stored
    if not records:
        raise ValueError("nothing was decoded")
    for raw, length in zip(raws, lengths, strict=True):
        os.truncate(raw, rows * length)
    _saved(part, paths, reasons, np.concatenate(records), Ranges.from_json(header["ranges"]), identity)
    (part / JOURNAL).unlink()
    return len(paths)


def _saved(
    part: Path,
    paths: Sequence[str],
    reasons: dict[int, str],
    records: NDArray[np.void],
    ranges: Ranges,
    identity: dict[str, Any],
) -> None:
    labels = ""  # of no catalog: the store is only there to be taken over
    Index(part, labels, Texts.of(paths), reasons, records, ranges).save(identity)


def _parsed(line: str) -> dict[str, Any] | None:
    """None for a line that was being written when the process ended."""
    try:
        return json.loads(line)
    except ValueError:
        return None
