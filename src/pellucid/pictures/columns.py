"""The pictures of a catalog as columns: about 25 bytes each besides the path, and an object only on demand.

A table may list millions of pictures. As objects they take four times the memory (docs/why/tables.md).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from pellucid.pictures.split import SIDES
from pellucid.pictures.strings import BLOCK, Texts, TextWriter


@dataclass(frozen=True, slots=True)
class Picture:
    """A file that should hold a picture."""

    path: str  # relative to the root or absolute, with "/" on every system
    label: int  # index into Catalog.classes; -1 for none, which only Catalog.several allows
    side: str | None  # "train", "val" or "test" if the folders, or a table, say so
    also: tuple[int, ...] = ()  # its further labels, ascending, with Catalog.several
    group: int = -1  # pictures with one number stay on one side of a split; -1: in no group


class Pictures(Sequence[Picture]):
    """N pictures; each becomes a Picture on access.

    * paths: N texts
    * labels: int32 (N,), as Picture.label
    * sides: int8 (N,), index into split.SIDES, or -1
    * groups: int32 (N,), as Picture.group
    * also: int32 (M,), the further labels of all; those of picture n are also[also_ends[n]:also_ends[n + 1]]
    * also_ends: int64 (N + 1,), read-only
    """

    def __init__(
        self,
        paths: Texts,
        labels: NDArray[np.int32],
        sides: NDArray[np.int8],
        groups: NDArray[np.int32],
        also: NDArray[np.int32],
        also_ends: NDArray[np.int64],
    ) -> None:
        self.paths, self.labels, self.sides, self.groups = paths, labels, sides, groups
        self.also, self.also_ends = also, also_ends

    @classmethod
    def of(cls, pictures: Iterable[Picture]) -> Pictures:
        writer = Writer()
        for one in pictures:
            writer.add(one.path, one.label, -1 if one.side is None else SIDES.index(one.side), one.group, one.also)
        return writer.pictures()

    def __len__(self) -> int:
        return len(self.labels)

    @overload
    def __getitem__(self, at: int) -> Picture: ...
    @overload
    def __getitem__(self, at: slice) -> Pictures: ...
    def __getitem__(self, at: int | slice) -> Picture | Pictures:
        if isinstance(at, slice):
            return self.take(np.arange(len(self))[at])
        at = range(len(self))[at]
        side, also = int(self.sides[at]), self._also(*self.also_ends[at : at + 2])
        label, group = int(self.labels[at]), int(self.groups[at])
        return Picture(self.paths[at], label, None if side < 0 else SIDES[side], also, group)

    def __iter__(self) -> Iterator[Picture]:
        names, paths = (*SIDES, None), iter(self.paths)
        for start in range(0, len(self), BLOCK):
            some = slice(start, start + BLOCK)
            labels, groups = self.labels[some].tolist(), self.groups[some].tolist()
            sides = (names[side] for side in self.sides[some].tolist())
            also = (self._also(*ends) for ends in pairwise(self.also_ends[start : start + BLOCK + 1].tolist()))
            yield from map(Picture, islice(paths, len(labels)), labels, sides, also, groups)

    def _also(self, start: int, end: int) -> tuple[int, ...]:
        return tuple(self.also[start:end].tolist()) if end > start else ()

    def __eq__(self, other: object) -> bool:
        """Equal to any sequence of the same pictures."""
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(mine == theirs for mine, theirs in zip(self, other, strict=True))

    __hash__: Any = None

    def __repr__(self) -> str:
        return f"<{len(self):,} pictures>"

    def take(self, rows: NDArray[np.integer]) -> Pictures:
        """The pictures of `rows`, (n,), in that order."""
        columns = self.labels[rows], self.sides[rows], self.groups[rows]
        return Pictures(self.paths.take(rows), *columns, *ragged(self.also, self.also_ends, rows))

    def ordered(self) -> Pictures:
        """By label, then path."""
        by_path, _ = self.paths.order()
        return self.take(by_path[np.argsort(self.labels[by_path], kind="stable")])

    def kinds(self) -> NDArray[np.int64]:
        """Equal numbers for equal labels, (N,)."""
        kinds = self.labels.astype(np.int64)
        numbers: dict[tuple[int, ...], int] = {}
        for row in np.flatnonzero(np.diff(self.also_ends)).tolist():
            labels = int(self.labels[row]), *self._also(*self.also_ends[row : row + 2])
            kinds[row] = -2 - numbers.setdefault(labels, len(numbers))
        return kinds

    def counts(self, classes: int) -> NDArray[np.int64]:
        """How many pictures have each label, (classes,)."""
        first = np.bincount(self.labels[self.labels >= 0], minlength=classes)
        return first + np.bincount(self.also, minlength=classes)


def ragged(
    values: NDArray[np.int32], ends: NDArray[np.int64], rows: NDArray[np.integer]
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Select `rows`, (n,), from rows of unequal lengths: row r is values[ends[r]:ends[r + 1]]. Values and ends."""
    if not len(values):
        return values, no_further(len(rows))
    many = (ends[1:] - ends[:-1])[rows]
    new = np.concatenate([[0], np.cumsum(many)]).astype(np.int64)
    shift = np.repeat(ends[rows] - new[:-1], many)
    return values[np.arange(len(shift)) + shift], new


def no_further(count: int) -> NDArray[np.int64]:
    """`also_ends` of `count` pictures without further labels: zeros that take no memory."""
    return np.broadcast_to(np.int64(0), count + 1)


class Writer:
    """Collects pictures, one by one or many."""

    def __init__(self) -> None:
        self._paths = TextWriter()
        self._labels, self._sides, self._groups = array("i"), array("b"), array("i")
        self._also, self._also_rows = array("i"), array("q")  # further labels, and for each of them its picture

    def __len__(self) -> int:
        return len(self._labels)

    def add(self, path: str, label: int, side: int = -1, group: int = -1, also: Sequence[int] = ()) -> None:
        """`side`: index into split.SIDES, or -1. Raises UnicodeEncodeError as TextWriter does."""
        self._paths.add(path)
        self._labels.append(label)
        self._sides.append(side)
        self._groups.append(group)
        if also:
            self._also.extend(also)
            self._also_rows.extend([len(self._labels) - 1] * len(also))

    def extend(
        self,
        paths: Texts,
        start: int,
        end: int,
        labels: NDArray[np.int32],
        sides: NDArray[np.int8],
        also: NDArray[np.int32],
        also_ends: NDArray[np.int64],
    ) -> None:
        """Add pictures `start` to `end` - 1 of n, in no group. The columns are those of Pictures, of all n."""
        self._paths.extend(paths, start, end)
        self._labels.frombytes(labels[start:end].tobytes())
        self._sides.frombytes(sides[start:end].tobytes())
        self._groups.frombytes(np.full(end - start, -1, np.int32).tobytes())
        if len(also):
            self._also.frombytes(also[also_ends[start] : also_ends[end]].tobytes())
            rows = np.arange(len(self) - (end - start), len(self))
            self._also_rows.frombytes(np.repeat(rows, np.diff(also_ends[start : end + 1])).tobytes())

    def pictures(self) -> Pictures:
        """All pictures; the writer is empty afterwards."""
        paths, also_rows = self._paths.texts(), np.frombuffer(self._also_rows, np.int64)
        columns = (np.frombuffer(column, np.int32) for column in (self._labels, self._groups, self._also))
        (labels, groups, also), sides = columns, np.frombuffer(self._sides, np.int8)
        self.__init__()
        ends = np.searchsorted(also_rows, np.arange(len(labels) + 1)) if len(also) else no_further(len(labels))
        return Pictures(paths, labels, sides, groups, also, ends)
