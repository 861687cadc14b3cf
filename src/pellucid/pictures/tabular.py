"""Read a table's file as rows: CSV, JSONL or Parquet, by its content, not by its name."""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pellucid import texts
from pellucid.errors import CatalogError
from pellucid.pictures.places import is_address, is_on_the_web
from pellucid.pictures.reasons import open_reason

if TYPE_CHECKING:
    from pellucid.pictures.places import Place
    from pellucid.pictures.remote import Copy

START = 1 << 16  # bytes that reveal the type of a file
LOOKED_AT = 1000  # lines of JSONL searched for column names: a line may leave some out
ROWS = 1 << 14  # of Parquet at a time
DELIMITERS = ",;\t|"
NAMES = {"path": ("path", "file_name"), "label": ("label",), "split": ("split",), "group": ("group",)}
"""The usual names of the columns; the first one that exists counts."""
PARQUET = "needs an extra: pip install 'pellucid[tables]', or save the table as CSV or JSONL"


@dataclass(frozen=True)
class Columns:
    """The columns of a table by name; None for the usual names of `NAMES`. `several`: a row may have several labels.

    `likely`: (role, name) of names that take precedence over the usual ones, if a table has them.
    """

    path: str | None = None
    label: str | None = None
    split: str | None = None
    group: str | None = None
    several: bool = False
    likely: tuple[tuple[str, str], ...] = ()

    @property
    def chosen(self) -> dict[str, str]:
        """The named columns only."""
        return {role: name for role in NAMES if (name := getattr(self, role)) is not None}

    def names(self, role: str) -> tuple[str, ...]:
        """Possible names of the column for "path", "label", "split" or "group"; the first one that exists counts."""
        named = getattr(self, role)
        likely = (name for other, name in self.likely if other == role)
        return (*likely, *NAMES[role]) if named is None else (named,)


USUAL = Columns()


class Row(NamedTuple):
    """The cells of a row as in the file; None for a missing column or an empty cell."""

    line: int  # in the file, counted from 1; for Parquet, the row
    path: Any
    label: Any
    split: Any
    group: Any
    fault: str | None = None  # why the row cannot be read


@dataclass(frozen=True)
class Table:
    """A table's file: the names of its columns, and how to read it."""

    file: Place
    columns: tuple[str, ...]
    form: str  # "CSV", "JSONL" or "Parquet"
    encoding: str = "utf-8"
    delimiter: str = ","
    skipped: int = 0  # lines before the header
    spaced: bool = False  # a space after each delimiter is not part of a cell, as in "path, label"
    copy: Copy | None = field(default=None, compare=False, repr=False)  # of a file at an address

    @property
    def content(self) -> Path:
        """Where this process reads it: the file, or its copy."""
        return Path(str(self.file)) if self.copy is None else self.copy.path

    def find(
        self,
        columns: Columns,
        needed: Sequence[str] = ("path", "label"),
        do: str = "Name one of them with --{}-column.",
    ) -> dict[str, str]:
        """Role ("path", "label", "split", "group") -> the column's name, for the columns that exist.

        Raises CatalogError if a column that was named, or is `needed`, is missing. The error lists the columns and ends
        with `do`, which takes the role.
        """
        columns_by_role = {}
        for role in NAMES:
            names = [name for want in columns.names(role) if (name := self.column(want)) is not None]
            if names:
                columns_by_role[role] = names[0]
            elif role in columns.chosen or role in needed:
                raise CatalogError(self._missing(role, columns.names(role), do))
        return columns_by_role

    def has(self, role: str, columns: Columns) -> bool:
        """Whether there is a column for "path", "label", "split" or "group"."""
        return any(self.column(name) is not None for name in columns.names(role))

    def rows(self, columns: dict[str, str]) -> Iterator[Row]:
        """The rows, with the columns from `find`. Raises CatalogError if the file cannot be read to its end."""
        names = [columns.get(role) for role in NAMES]
        read = {"CSV": self._csv, "JSONL": self._json, "Parquet": self._parquet}[self.form]
        try:
            yield from read(names)
        except OSError as error:
            raise CatalogError(f"{self.file} cannot be read to its end: {error.strerror or error}.") from error
        except UnicodeDecodeError as error:
            raise CatalogError(f"{self.file} is not {error.encoding} text throughout. Save it as UTF-8.") from error

    def column(self, want: str) -> str | None:
        """The column with this name, or else the one that differs only by case or surrounding spaces."""
        if want in self.columns:
            return want
        return next((name for name in self.columns if name.strip().casefold() == want.strip().casefold()), None)

    def _missing(self, role: str, names: tuple[str, ...], do: str) -> str:
        what = f"no column {' or '.join(map(repr, names))}"
        there = texts.listed([repr(name) for name in self.columns], 20)
        first = " The first line of a CSV names its columns." if self.form == "CSV" else ""
        return f"{self.file} has {what}. Its columns are {there}. {do.format(role)}{first}"

    def _csv(self, names: list[str | None]) -> Iterator[Row]:
        width = len(self.columns)
        path, label, split, group = (width if name is None else self.columns.index(name) for name in names)
        with _text(self.content, self.encoding) as file:
            for _ in range(self.skipped):
                file.readline()
            reader = _reader(file, self.delimiter, self.spaced)
            try:
                next(reader)
                for cells in reader:
                    line = reader.line_num + self.skipped
                    if len(cells) > width and any(cells[width:]):
                        fault = f"{len(cells)} cells, where the header has {width}"
                        yield Row(line, None, None, None, None, fault)
                    elif cells:
                        cells[width:] = [None]  # an absent column has None
                        if len(cells) <= width:
                            cells += [None] * (width + 1 - len(cells))
                        yield Row(line, cells[path], cells[label], cells[split], cells[group])
            except csv.Error as error:
                line = reader.line_num + self.skipped
                raise CatalogError(f"{self.file} cannot be read as CSV: line {line}, {error}.") from error

    def _json(self, names: list[str | None]) -> Iterator[Row]:
        with _text(self.content, self.encoding) as file:
            for line, content in _objects(self.file, file):
                yield Row(line, *(content.get(name) if name is not None else None for name in names))

    def _parquet(self, names: list[str | None]) -> Iterator[Row]:
        import pyarrow

        wanted = [name for name in names if name is not None]
        line = 0
        try:
            for batch in _opened_parquet(self.content, self.file).iter_batches(ROWS, columns=wanted):
                none = [None] * batch.num_rows
                cells = [none if name is None else batch.column(name).to_pylist() for name in names]
                for row in zip(*cells, strict=True):
                    line += 1
                    yield Row(line, *row)
        except pyarrow.ArrowException as error:
            raise CatalogError(f"{self.file} cannot be read to its end: {_first_line(error)}.") from error


def open_table(file: Place, columns: Columns) -> Table:
    """The type of a table's file. Raises CatalogError if it is not a table or cannot be read.

    `columns`: for a CSV, the delimiter is the one with which the header has these columns.
    """
    if not is_address(file):
        return _opened(file, file, columns)
    from pellucid.pictures.remote import copied

    copy = copied(file)
    return replace(_opened(copy.path, file, columns), copy=copy)


def _opened(content: Path, file: Place, columns: Columns) -> Table:
    """`content`: where it is read; `file`: its name in messages."""
    try:
        with content.open("rb") as stream:
            start = stream.read(START)
    except OSError as error:
        raise CatalogError(f"{file} cannot be read: {open_reason(error)}.") from error
    if start.startswith(b"PAR1"):
        return Table(file, tuple(_opened_parquet(content, file).schema_arrow.names), "Parquet")
    encoding = texts.encoding(start)
    head = codecs.getincrementaldecoder(encoding)("replace").decode(start).removeprefix("\ufeff")
    if not head.strip():
        raise CatalogError(f"{file} is not a folder, and as a table it is empty. {_ACCEPTED}")
    if "\0" in head:  # as in pictures, archives, spreadsheets
        raise CatalogError(f"{file} is neither a folder nor a table. {_ACCEPTED}")
    if is_on_the_web(file) and head.lstrip().startswith("<"):
        raise CatalogError(
            f"{file} is a web page, and HTTP has no list of a folder's files. Name a table (CSV, JSONL or Parquet) "
            "with the pictures' addresses in its column path, or copy the folder to this machine."
        )
    if head.lstrip().startswith("{"):
        return Table(file, _names(content, file, encoding), "JSONL", encoding)
    if head.lstrip().startswith("["):
        raise CatalogError(f"{file} is one JSON array. Write an object a line, without the brackets (JSONL).")
    skipped, delimiters = 0, DELIMITERS
    if head.startswith("sep=") and len(line := head.splitlines()[0]) == 5:  # Excel's hint
        skipped, delimiters = 1, line[-1]
    tables = (_header(content, file, encoding, each, skipped) for each in delimiters)
    return max(tables, key=lambda one: _fit(one, columns))


_ACCEPTED = (
    "Name a folder that holds one folder of pictures for each class, or a table (CSV, JSONL or Parquet) with the "
    "columns path and label."
)


def _header(content: Path, file: Place, encoding: str, delimiter: str, skipped: int) -> Table:
    """Read the CSV's header with this delimiter."""
    try:
        with _text(content, encoding) as stream:
            for _ in range(skipped):
                stream.readline()
            cells = next(_reader(stream, delimiter, False), [])
    except csv.Error:
        cells = []
    except UnicodeDecodeError as error:
        raise CatalogError(f"{file} is not {error.encoding} text. Save it as UTF-8.") from error
    spaced = delimiter != " " and any(cell.startswith(" ") for cell in cells[1:])
    return Table(file, tuple(cells), "CSV", encoding, delimiter, skipped, spaced)


def _fit(table: Table, columns: Columns) -> tuple[int, int]:
    """How well a delimiter fits: how many roles have a column, then how many columns there are."""
    return sum(table.has(role, columns) for role in NAMES), len(table.columns)


def _reader(file: io.TextIOWrapper, delimiter: str, spaced: bool) -> Any:
    return csv.reader(file, delimiter=delimiter, strict=True, skipinitialspace=spaced)


def _text(file: Path, encoding: str) -> io.TextIOWrapper:
    """Bytes that are not UTF-8 become surrogates: in a path they may be right, and in a label they were cp1252."""
    encoding = "utf-8-sig" if encoding == "utf-8" else encoding
    stream = file.open(encoding=encoding, newline="", errors="surrogateescape" if "8" in encoding else "strict")
    if encoding.endswith(("-le", "-be")) and stream.read(1) != "\ufeff":
        stream.seek(0)
    return stream


def _names(content: Path, file: Place, encoding: str) -> tuple[str, ...]:
    """Every name in the first lines, in order of appearance."""
    columns: dict[str, None] = {}
    with _text(content, encoding) as stream:
        for _, cells in islice(_objects(file, stream), LOOKED_AT):
            columns.update(dict.fromkeys(cells))
    return tuple(columns)


def _objects(file: Place, stream: io.TextIOWrapper) -> Iterator[tuple[int, dict[str, Any]]]:
    for line, text in enumerate(stream, 1):
        if not text.strip():
            continue
        try:
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise CatalogError(f"{file} cannot be read as JSONL: line {line}, {error}.") from error
        if not isinstance(content, dict):
            raise CatalogError(f'{file} cannot be read as JSONL: line {line} is not an object, such as {{"path": …}}.')
        yield line, content


def _opened_parquet(content: Path, file: Place) -> Any:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise CatalogError(f"{file} is a Parquet file, which {PARQUET}.") from error
    try:
        return parquet.ParquetFile(content)
    except (pyarrow.ArrowException, OSError) as error:
        raise CatalogError(f"{file} is not a readable Parquet file: {_first_line(error)}.") from error


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
