"""A table -> a catalog: pictures with labels, sides and groups. No picture is opened. `read` also takes shards.

A path is relative to the table's folder, or absolute, or an address, also of another store than the table's. A folder
with `metadata.csv`, `.jsonl` or `.parquet`, or whose train and test folders have one each, is such a table too: an
image folder of Hugging Face.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import CatalogError
from pellucid.pictures import catalog as catalogs
from pellucid.pictures import cells, merge, sides
from pellucid.pictures.catalog import Catalog, Quarantined, by_path, natural
from pellucid.pictures.cells import Unusable
from pellucid.pictures.columns import Pictures, Writer
from pellucid.pictures.listing import Folders, ListedFolders, folders, kind_of
from pellucid.pictures.places import TABLES, is_address, is_written_as_address, within
from pellucid.pictures.plain import Cells, Meanings
from pellucid.pictures.shards import catalog as of_shards
from pellucid.pictures.shards import finding
from pellucid.pictures.split import SIDES, TEST, VAL
from pellucid.pictures.strings import Texts, TextWriter
from pellucid.pictures.tabular import USUAL, Columns, Row, Table, open_table
from pellucid.pictures.walk import Entry, is_system, walk

if TYPE_CHECKING:
    from pellucid.pictures.places import Place

METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
_EVAL = len(SIDES)  # a side that is test, or validation if another is test


@dataclass(frozen=True)
class TablePart:
    """A table that lists pictures of a catalog. Its paths are relative to the folder `prefix` below the root."""

    table: Table
    prefix: str = ""  # ends in "/"
    side: str | None = None  # from its folder's name


def read(place: Place, columns: Columns = USUAL, leave_out: Path | None = None, known: Collection[str] = ()) -> Catalog:
    """The catalog of what `place` names: a table, shards, a folder with metadata, or a folder of class folders.

    `columns` are a table's. `leave_out` and `known`: as in `catalog.scan`. Raises CatalogError.
    """
    if (shards := finding.find(place)) is not None:
        return of_shards.scan(shards, columns)
    below = None if is_file(place) else catalogs.opened(place)
    if below is not None and _metadata(below, "") is None and (shards := finding.in_folder(below)) is not None:
        return of_shards.scan(shards, columns)
    parts = find(place, columns, below)
    labelled = all(part.table.has(role, columns) for part in parts for role in ("path", "label"))
    if parts and (labelled or columns.chosen or below is None):
        return scan(place, parts, columns, leave_out, below)
    catalog = catalogs.scan(place, leave_out, known, below)
    if parts and len(catalog.classes) < 2:  # then metadata was intended, but something is missing
        parts[0].table.find(columns)
    return catalog


def is_file(place: Place) -> bool:
    """Whether a place is a file, and so a table. Of an address, a name that ends like a table's settles it."""
    if is_address(place):
        return place.suffix.lower() in TABLES or kind_of(place) == "file"
    return place.is_file()


def find(place: Place, columns: Columns = USUAL, below: Folders | None = None) -> list[TablePart]:
    """The tables that `place` stands for: itself, or a folder's metadata. Raises CatalogError.

    `below`: what the folder holds, if it was listed; without it, `place` may be a file.
    """
    if below is None and is_file(place):
        return [TablePart(open_table(place, columns))]
    below = folders(place) if below is None else below
    if (file := _metadata(below, "")) is not None:
        return [TablePart(open_table(place / file, columns))]
    try:
        names = sorted(name for name, kind in below.children("") if kind == "folder" and not is_system(name))
    except OSError:
        return []
    inside = {name: file for name in names if (file := _metadata(below, f"{name}/")) is not None}
    sides_by_folder = sides.read_all(names) or sides.read_all(inside) or {}
    return [
        TablePart(open_table(place / file, columns), f"{name}/", sides_by_folder[name])
        for name, file in inside.items()
        if name in sides_by_folder
    ]


def scan(
    place: Place,
    parts: list[TablePart],
    columns: Columns,
    leave_out: Path | None = None,
    below: Folders | None = None,
) -> Catalog:
    """The catalog of the tables from `find`, with the unlisted files of a folder with metadata.

    `below`: what the folder holds; None for a table alone. Raises CatalogError if a column is missing, or if a table
    cannot be read or contradicts itself.
    """
    root = place if below is not None else place.parent
    shown = str(parts[0].table.file if len(parts) == 1 else place)
    reading = _Reading(root, columns)
    for part in parts:
        reading.read(part)
    pictures = reading.pictures()
    if below is not None and not (pictures.sides >= 0).any():
        pictures.sides[:] = _sides_of_folders(pictures.paths)
    classes = tuple(reading.labels)
    order = sorted(range(len(classes)), key=lambda label: natural(classes[label]))
    classes = tuple(classes[label] for label in order)
    pictures = merge.relabelled(pictures, order)
    pictures, repeated = merge.merged(pictures, reading.groups.texts(), classes, columns.several, shown)
    others = _unlisted(below, parts, pictures.paths, leave_out) if below is not None else []
    unlisted = [
        Quarantined(other.path, other.reason) for other in others if other.kind in ("file", "unusable", "again")
    ]
    ours = [Quarantined(other.path, other.reason) for other in others if other.kind == "ours"]
    return Catalog(
        root,
        classes,
        pictures,
        by_path([*reading.quarantine, *unlisted]),
        sum(other.kind == "system" for other in others),
        by_path(ours),
        columns.several,
        shown,
        repeated,
        below if isinstance(below, ListedFolders) else None,
    )


def listed(file: Place) -> Iterator[str]:
    """The path of each picture in a table, as this process can open it; for a row without one, which row it is.

    Raises CatalogError.
    """
    table = open_table(file, USUAL)
    folder = str(file.parent) if is_address(file) else os.path.dirname(file)
    roles = table.find(USUAL, needed=("path",), do="Call one of them {}.")
    for row in table.rows({"path": roles["path"]}):
        try:
            path = cells.path_of(row.path, _absolute(folder))
            if is_address(file) or is_written_as_address(path):
                yield path if is_written_as_address(path) else str(within(file.parent, path))
            else:
                yield os.path.join(folder, path)
        except Unusable as error:
            yield f"{file}, line {row.line:,}: {error}"


class _Reading:
    """Collects the rows of tables into columns."""

    def __init__(self, root: Place, columns: Columns) -> None:
        self.root, self.columns = _absolute(str(root)), columns
        self.labels: dict[str, int] = {}
        self.groups = TextWriter()  # the name of each picture's group, "" for none
        self.quarantine: list[Quarantined] = []
        self._writer = Writer()
        self._of_cell: dict[str, tuple[int, tuple[int, ...]]] = {}  # cell text -> labels
        self._sides: dict[str, int] = {}  # cell text -> side

    def read(self, part: TablePart) -> None:
        self._sides.clear()  # an empty cell means the side of the part
        for some in part.table.parts(part.table.find(self.columns)):
            if isinstance(some, Row):
                self._add(part, some)
            else:
                self._add_all(part, some)

    def _add(self, part: TablePart, row: Row) -> None:
        path = None
        try:
            if row.fault is not None:
                raise Unusable(row.fault)
            path = cells.path_of(row.path, os.path.join(self.root, part.prefix))
            path = path if is_written_as_address(path) or os.path.isabs(path) else part.prefix + path
            group = cells.group_of(row.group)
            label, also = self._labels(part, row, path)
        except Unusable as error:
            named = path or f"{part.prefix}{part.table.file.name}, line {row.line:,}"
            self.quarantine.append(Quarantined(named, str(error)))
            return
        self._writer.add(path, label, self._side(part, row), also=also)
        self.groups.add(group)

    def _add_all(self, part: TablePart, rows: Cells) -> None:
        """As `_add` for each row, in the same order; the usual ones together."""
        usual = rows.usual() & (part.prefix == "")
        labels = Meanings(rows.label, usual, lambda cell: self._labels(part, _row(label=cell), ""))
        sides = Meanings(rows.split, usual, lambda cell: self._side(part, _row(split=cell)))
        usual &= labels.known & sides.known
        columns = labels.of([label for label, _ in labels.values], np.int32), sides.of(sides.values, np.int8)
        also, ends = labels.ragged([also for _, also in labels.values])
        edges = [0, *(np.flatnonzero(usual[1:] != usual[:-1]) + 1).tolist(), len(usual)]
        for start, end in pairwise(edges):
            if start < end and usual[start]:
                self._writer.extend(rows.path, start, end, *columns, also, ends)
                if rows.group is None:
                    self.groups.repeat_empty(end - start)
                else:
                    self.groups.extend(rows.group, start, end)
            else:
                for at in range(start, end):
                    self._add(part, rows.row(at))

    def pictures(self) -> Pictures:
        """All usable rows, in the tables' order, without groups."""
        pictures = self._writer.pictures()
        evaluated = pictures.sides == _EVAL
        pictures.sides[evaluated] = VAL if (pictures.sides == TEST).any() else TEST
        return pictures

    def _labels(self, part: TablePart, row: Row, path: str) -> tuple[int, tuple[int, ...]]:
        cell = row.label
        if isinstance(cell, str) and (known := self._of_cell.get(cell)) is not None:
            return known
        names = cells.labels_of(cell, self.columns.several)
        if names is None or not (names or self.columns.several):
            raise Unusable("the table has no label for it")
        if len(names) > 1 and not self.columns.several:
            raise CatalogError(merge.two_labels(str(part.table.file), path, names[0], names[1]))
        first, *also = [self.labels.setdefault(name, len(self.labels)) for name in names] or [-1]
        if isinstance(cell, str):
            self._of_cell[cell] = first, tuple(also)
        return first, tuple(also)

    def _side(self, part: TablePart, row: Row) -> int:
        cell = row.split
        if isinstance(cell, str) and (known := self._sides.get(cell)) is not None:
            return known
        try:
            name = cells.side_of(cell) or part.side
        except ValueError as error:
            where = f"{part.table.file}, line {row.line:,}"
            raise CatalogError(
                f"{where}: split is {error}; it must be train, val or test, or empty where it may be any."
            ) from error
        side = -1 if name is None else _EVAL if name == "eval" else SIDES.index(name)
        if isinstance(cell, str):
            self._sides[cell] = side
        return side


def _row(label: str | None = None, split: str | None = None) -> Row:
    return Row(0, None, label, split, None)


def _metadata(below: Folders, prefix: str) -> str | None:
    return next((prefix + name for name in METADATA if below.has_file(prefix + name)), None)


def _absolute(folder: str) -> str:
    return folder.rstrip("/") if is_written_as_address(folder) else os.path.abspath(folder)


def _sides_of_folders(paths: Texts) -> NDArray[np.int8]:
    """The side that the first folder of each path means, (N,); all -1 unless these are the sides of a split."""
    sides_by_folder = sides.read_all({path.partition("/")[0] if "/" in path else "" for path in paths}) or {}
    if not sides_by_folder:
        return np.full(len(paths), -1, np.int8)
    return np.fromiter((SIDES.index(sides_by_folder[path.partition("/")[0]]) for path in paths), np.int8, len(paths))


def _unlisted(below: Folders, parts: list[TablePart], listed: Texts, leave_out: Path | None) -> list[Entry]:
    """What is below a folder with metadata but in no table, each with a reason."""
    metadata = {part.prefix + part.table.file.name for part in parts}
    walked = [entry for entry in walk(below, leave_out) if entry.path not in metadata]
    names = Texts.of(chain(listed, (entry.path for entry in walked)))
    order, new = names.order()
    first = np.maximum.accumulate(np.where(new, np.arange(len(order)), 0))
    unknown = order[first] >= len(listed)  # a name's first place is in the table, if the table has it
    rows = np.sort(order[unknown]) - len(listed)
    reason = f"is not listed in {' or '.join(sorted(metadata))}"
    return [walked[row]._replace(reason=reason) if walked[row].kind == "file" else walked[row] for row in rows.tolist()]
