"""The plain parts of a table as columns: rows that need no look at each cell, without a Python object for a row.

A part of a CSV is plain if it has no quotes and every line has as many cells as the header. A column of Parquet is
plain if it holds texts or whole numbers. Everything else is read row by row, with the same result (tabular.py).
"""

from __future__ import annotations

import codecs
import csv
import io
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import CatalogError
from pellucid.pictures.cells import Unusable
from pellucid.pictures.columns import ragged
from pellucid.pictures.strings import Texts

T = TypeVar("T")
Number = TypeVar("Number", np.int8, np.int32)

BLOCK = 4 << 20  # bytes of a CSV at a time
_NEWLINE, _RETURN, _SLASH, _DOT = b"\n\r/."


@dataclass(frozen=True)
class Cells:
    """n rows as columns.

    * path, label, split, group: n texts; None for a column that the table does not have
    * missing: bool (n,), rows with an empty cell that is not an empty text
    * row: the number of one of them -> all its cells, as the table has them
    """

    path: Texts
    label: Texts | None
    split: Texts | None
    group: Texts | None
    missing: NDArray[np.bool_]
    row: Callable[[int], Any]

    def __len__(self) -> int:
        return len(self.path)

    def usual(self) -> NDArray[np.bool_]:
        """The rows whose path and group mean what they say, (n,): relative, ASCII, without a part to be resolved."""
        usual = _printable(self.path, b"\\:\0") & (self.path.starting() != _SLASH) & ~self.missing
        content = self.path.content
        double = np.flatnonzero((content[1:] == _SLASH) & ((content[:-1] == _SLASH) | (content[:-1] == _DOT))) + 1
        usual[self.path.rows_at(double)] = False
        usual &= self.path.lengths() > 0
        return usual if self.group is None else usual & _printable(self.group, b"\0")


def _printable(texts: Texts, without: bytes) -> NDArray[np.bool_]:
    """Texts of ASCII without spaces around them and without some characters; empty ones too."""
    bad = texts.content >= 127
    for character in without:
        bad |= texts.content == character
    good = np.ones(len(texts), np.bool_)
    good[texts.rows_at(np.flatnonzero(bad))] = False
    some = texts.lengths() > 0
    return good & ~(some & ((texts.starting() <= 32) | (texts.ending() <= 32)))


class Meanings(Generic[T]):
    """What the different texts of a column mean, each worked out once.

    * values: the meaning of each different text; of one without a meaning that of another, or `none`
    * numbers: int64 (n,), which of them each row has
    * known: bool (n,), whether it has a meaning
    """

    def __init__(self, column: Texts | None, rows: NDArray[np.bool_], meaning: Callable[[str | None], T]) -> None:
        """`rows`: those to look at, bool (n,). `meaning` raises Unusable or CatalogError if a text has none."""
        self.numbers, texts = (np.zeros(len(rows), np.int64), [None]) if column is None else column.numbered()
        self.values: list[T] = []
        good = np.zeros(len(texts), np.bool_)
        places = np.zeros(len(texts), np.int64)
        for number in np.unique(self.numbers[rows]).tolist():
            with suppress(Unusable, CatalogError):
                value = meaning(texts[number])
                good[number], places[number] = True, len(self.values)
                self.values.append(value)
        self.known, self.numbers = good[self.numbers], places[self.numbers]

    def of(self, numbers: Sequence[int], dtype: type[Number]) -> NDArray[Number]:
        """Each row's number, (n,), from one for each value; -1 if there are no values."""
        return np.array(numbers or [-1], dtype)[self.numbers]

    def ragged(self, lists: Sequence[Sequence[int]]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Each row's numbers, from a list for each value, as Pictures.also and also_ends."""
        ends = np.cumsum([0, *map(len, lists or [()])])
        return ragged(np.array([number for some in lists for number in some], np.int32), ends, self.numbers)


# ------------------------------------------------------------------------------------------------------------ CSV


def blocks(stream: BinaryIO) -> Iterator[bytes]:
    """The content of a file in parts of whole lines, without a byte order mark; the last line may have no end."""
    rest = stream.read(len(codecs.BOM_UTF8)).removeprefix(codecs.BOM_UTF8)
    while part := stream.read(BLOCK):
        head, newline, tail = part.rpartition(b"\n")
        if newline:
            yield rest + head + newline
            rest = tail
        else:
            rest += part
    if rest:
        yield rest


def is_plain(delimiter: str, encoding: str) -> bool:
    """Whether a CSV of this kind can have plain parts: its delimiter and line ends are single bytes."""
    return "8" in encoding and delimiter.isascii() and delimiter not in '"\r\n '


def columns(block: bytes, delimiter: str, width: int, places: Sequence[int]) -> list[Texts] | None:
    """The cells in the columns at `places` of whole lines of `width` cells each; None if they are not plain."""
    if b'"' in block or b"\0" in block or block.count(b"\r") != block.count(b"\r\n"):
        return None
    block += b"" if block.endswith(b"\n") else b"\n"
    content = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero((content == ord(delimiter)) | (content == _NEWLINE))
    if len(ends) % width:
        return None
    starts = np.concatenate([[0], ends[:-1] + 1]).reshape(-1, width)
    ends = ends.reshape(-1, width)
    last = ends[:, -1]
    if len(ends) != block.count(b"\n") or (content[last] != _NEWLINE).any() or (last == starts[:, 0]).any():
        return None
    last -= (content[last - 1] == _RETURN) & (last > starts[:, -1])
    if (last == starts[:, 0]).any() or (ends - starts).max() > csv.field_size_limit():
        return None
    return [Texts.at(content, starts[:, place], ends[:, place] - starts[:, place]) for place in places]


class TextLines:
    """The lines of a block and, if a reader needs more of them, those of the next blocks."""

    def __init__(self, block: bytes, more: Iterator[bytes]) -> None:
        self._lines, self._more = deque(_lines(block)), more
        self.count = 0  # lines read

    def __iter__(self) -> TextLines:
        return self

    def __next__(self) -> str:
        if not self._lines:
            self._lines.extend(_lines(next(self._more)))
        self.count += 1
        return self._lines.popleft()

    @property
    def at_end(self) -> bool:
        """Whether all lines of the blocks so far have been read."""
        return not self._lines


def _lines(block: bytes) -> io.StringIO:
    """Bytes that are not UTF-8 become surrogates: in a path they may be right, and in a label they were cp1252."""
    return io.StringIO(block.decode("utf-8", "surrogateescape"), newline="")


# -------------------------------------------------------------------------------------------------------- Parquet


def decoded(column: Any) -> Any:
    """An Arrow array of values: a column of categories holds numbers and a list of values."""
    return column.dictionary_decode() if hasattr(column, "dictionary_decode") else column


def is_number(column: Any) -> bool:
    """Whether an Arrow array holds whole numbers."""
    from pyarrow import types

    return types.is_integer(column.type)


def texts_of(column: Any) -> Texts | None:
    """An Arrow array as texts, empty ones for nulls; None if it holds neither UTF-8 nor whole numbers."""
    import pyarrow
    from pyarrow import types

    if not (is_number(column) or types.is_string(column.type) or types.is_large_string(column.type)):
        return None
    column = column.fill_null(0 if is_number(column) else "").cast(pyarrow.large_string())
    _, places, content = column.buffers()
    ends = np.frombuffer(places, np.int64)[column.offset : column.offset + len(column) + 1]
    every = np.empty(0, np.uint8) if content is None or not content.size else np.frombuffer(content, np.uint8)
    every = every[ends[0] : ends[-1]]
    try:
        every.tobytes().decode()
    except UnicodeDecodeError:
        return None  # its rows are read one by one, up to the one that is not text
    return Texts(every, ends - ends[0])
