"""Shards -> a catalog. Names and labels are read; no picture is.

Labels: in a tar `key.cls`, a name or a number, or `key.json` with "label", "cls" or "class"; in a Parquet file a column
`label`, text or a number, with the names of Hugging Face's ClassLabel if there are any. A number is a place in the list
`classes.json` or `classes.txt` beside the shards, counted from 0, if there is one, else a name. "split" and "group", in
the JSON or as columns, mean what they mean in a table.
"""

from __future__ import annotations

import json
import os
from array import array
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pellucid.errors import CatalogError
from pellucid.pictures import cells, merge
from pellucid.pictures.catalog import Catalog, Quarantined, by_path, natural
from pellucid.pictures.cells import Unusable
from pellucid.pictures.columns import Writer
from pellucid.pictures.places import is_address
from pellucid.pictures.remote import Unreachable
from pellucid.pictures.shards import parquet, samples
from pellucid.pictures.shards.finding import Shards
from pellucid.pictures.shards.naming import COMPRESSED, REST, TAR, has_ending
from pellucid.pictures.shards.tar import Opened
from pellucid.pictures.split import SIDES, TEST, VAL
from pellucid.pictures.strings import TextWriter
from pellucid.pictures.tabular import Columns
from pellucid.texts import decoded, listed

if TYPE_CHECKING:
    from pellucid.pictures.places import Place

CLASS_LISTS = ("classes.json", "classes.txt")
MANIFEST = "manifest.json"
_EVAL = len(SIDES)  # a side that is test, or validation if another is test
_LABELS = ("label", "labels", *samples.LABELS)


class Entry(NamedTuple):
    """A picture in a shard: the member's name, its cells as in the file, and why it cannot be used, if it cannot."""

    name: str
    label: Any
    split: Any = None
    group: Any = None
    fault: str | None = None


def scan(shards: Shards, columns: Columns) -> Catalog:
    """The catalog of shards.

    Raises CatalogError if no label can be read, or if labels or keys contradict each other.
    """
    reading = _Reading(shards, columns)
    for number in range(len(shards.paths)):
        reading.read(number)
    reading.check()
    pictures = reading.pictures.pictures()
    evaluated = pictures.sides == _EVAL
    pictures.sides[evaluated] = VAL if (pictures.sides == TEST).any() else TEST
    classes = tuple(reading.labels)
    order = sorted(range(len(classes)), key=lambda label: natural(classes[label]))
    classes = tuple(classes[label] for label in order)
    pictures = merge.relabelled(pictures, order)
    pictures, _ = merge.merged(pictures, reading.groups.texts(), classes, columns.several, shards.place)
    beside = [Quarantined(path, _beside(path)) for path in shards.beside]
    quarantine = by_path([*reading.quarantine, *beside, *absent(shards)])
    return Catalog(shards.root, classes, pictures, quarantine, 0, (), columns.several, shards.place)


def members(place: str | Place) -> Iterator[str]:
    """The name of each picture in a shard, labels or not; a name that cannot be read for what is behind a fault."""
    return (entry.name for entry in entries(place, None, Columns()))


def entries(place: str | Place, classes: list[str] | None, columns: Columns) -> Iterator[Entry]:
    """The pictures of a shard in their order. `classes`: the names behind the numbers of the labels.

    Raises CatalogError if a column that was named is missing.
    """
    try:
        path = local(place)
        yield from (_of_tar if has_ending(path, (TAR,)) else _of_parquet)(path, classes, columns)
    except OSError as error:
        yield Entry(REST, None, fault=f"its shard cannot be read: {error.strerror or error}")
    except parquet.Unreadable as error:
        yield Entry(REST, None, fault=f"its shard is {error}")
    except Unreachable as error:
        yield Entry(REST, None, fault=f"its shard {error.reason}")


def _of_tar(path: str, classes: list[str] | None, columns: Columns) -> Iterator[Entry]:
    labels = (columns.label,) if columns.label is not None else _LABELS
    for sample in samples.samples(Opened(path)):
        about = sample.about
        label = next((about[name] for name in labels if name in about), None)
        if label is None and columns.label in (None, *samples.LABELS):
            label = sample.label
        split, group = (
            next((about[name] for name in columns.names(role) if name in about), None) for role in ("split", "group")
        )
        yield Entry(sample.name, _named(label, classes), split, group, sample.fault)


def _of_parquet(path: str, classes: list[str] | None, columns: Columns) -> Iterator[Entry]:
    reader = parquet.opened(path)
    where = parquet.layout(reader)
    if where is None:
        names = listed(list(reader.schema_arrow.names), 20)
        raise CatalogError(f"{path} has no column of pictures (image: bytes and path). Its columns are {names}.")
    chosen = [_column(path, where, columns, role) for role in ("label", "split", "group")]
    names = (chosen[0] and where.classes(chosen[0])) or classes
    for row in parquet.rows(reader, where, chosen):
        label, split, group = row.cells
        split_names = chosen[1] and where.classes(chosen[1])
        yield Entry(row.name, _named(label, names), _named(split, split_names or None), group)


def _column(path: str, where: parquet.Layout, columns: Columns, role: str) -> str | None:
    named = getattr(columns, role)
    likely = [name for other, name in columns.likely if other == role]
    usual = _LABELS if role == "label" else columns.names(role)
    wanted = [named] if named is not None else [*likely, *usual]
    column = next((name for want in wanted for name in where.names if name.casefold() == want.casefold()), None)
    if column is None and named is not None:
        raise CatalogError(f"{path} has no column {named!r}. Its columns are {listed(list(where.names), 20)}.")
    if column is None and role == "label":
        labelled = [name for name in where.names if where.classes(name) is not None]
        return labelled[0] if len(labelled) == 1 else None
    return column


def _named(cell: Any, classes: list[str] | None) -> Any:
    """A label, or each of a list: a number becomes the class in this place. An Unusable for a number without one."""
    if isinstance(cell, list):
        return [_named(each, classes) for each in cell]
    if classes is None or isinstance(cell, bool) or not isinstance(cell, int):
        return cell
    if cell == -1:  # in Hugging Face's sets: unknown
        return None
    if not 0 <= cell < len(classes):
        return Unusable(f"its label is {cell}, and the classes are 0 to {len(classes) - 1}")
    return classes[cell]


def local(place: str | Place) -> str:
    """The path of a shard on this machine: one at an address is fetched. Raises Unreachable."""
    if not is_address(place):
        return str(place)
    from pellucid.pictures.shards import fetched

    return str(fetched.local(place))


class _Reading:
    """Collects the pictures of shards into columns."""

    def __init__(self, shards: Shards, columns: Columns) -> None:
        self.labels: dict[str, int] = {}
        self.pictures, self.groups = Writer(), TextWriter()
        self.quarantine: list[Quarantined] = []
        self._shards, self._columns = shards, columns
        self._classes: dict[str, list[str] | None] = {}  # folder -> its list of classes
        self._keys, self._holders = array("q"), array("i")  # the hash of each key, with its folder; and its shard
        self._bare = 0  # pictures without a label

    def read(self, number: int) -> None:
        """Add the pictures of the shard of this number."""
        path = self._shards.paths[number]
        folder = os.path.dirname(path)
        if folder not in self._classes:
            self._classes[folder] = class_list(self._shards.root, folder)
        for entry in entries(self._shards.root / path, self._classes[folder], self._columns):
            member = f"{path}/{entry.name}" if entry.name != REST else path
            if has_ending(path, (TAR,)):
                self._keys.append(hash((folder, samples.key_of(entry.name)[0])))
                self._holders.append(number)
            try:
                self._add(path, member, entry)
            except Unusable as error:
                self.quarantine.append(Quarantined(member, str(error)))

    def check(self) -> None:
        """Raises CatalogError if no picture has a label, or if two shards hold one key."""
        if self._bare and not len(self.pictures):
            place, several = self._shards.place, len(self._shards.paths) > 1
            if has_ending(self._shards.paths[0], (TAR,)):
                raise CatalogError(
                    f"{place} has no labels: no key in {'these tars' if several else 'this tar'} has a .cls, or a "
                    ".json with label. Add 0001.cls beside each 0001.jpg; if folders in it are the classes, unpack it."
                )
            file = local(self._shards.root / self._shards.paths[0])
            names = listed(list(parquet.opened(file).schema_arrow.names), 20)
            raise CatalogError(
                f"{place} has no column 'label' with labels. Its columns are {names}. Name one with --label-column."
            )
        keys, holders = np.array(self._keys), np.array(self._holders)
        order = np.lexsort((holders, keys))
        same = (keys[order][1:] == keys[order][:-1]) & (holders[order][1:] != holders[order][:-1])
        if same.any():
            at = int(np.flatnonzero(same)[0])
            one, other = holders[order][at : at + 2].tolist()
            self._refuse(int(keys[order][at]), one, other, int(same.sum()))

    def _refuse(self, key: int, one: int, other: int, count: int) -> None:
        first, second = self._shards.paths[one], self._shards.paths[other]
        names = (samples.key_of(name)[0] for name in members(self._shards.root / first))
        name = next((name for name in names if hash((os.path.dirname(first), name)) == key), "one key")
        more = f" and {count - 1:,} more keys" if count > 1 else ""
        raise CatalogError(
            f"{first} and {second} in {self._shards.root} both hold the key {name!r}{more}: one of them may be a copy. "
            "Remove the copy, or put shards that number their pictures alike into folders of their own."
        )

    def _add(self, path: str, member: str, entry: Entry) -> None:
        """Raises Unusable."""
        if entry.fault is not None:
            raise Unusable(entry.fault)
        several = self._columns.several
        cells_of = entry.label if isinstance(entry.label, list) else [entry.label]
        if (wrong := next((each for each in cells_of if isinstance(each, Unusable)), None)) is not None:
            raise wrong
        names = cells.labels_of(entry.label, several)
        if names is None or not (names or several):
            self._bare += 1
            raise Unusable("its shard has no label for it")
        if len(names) > 1 and not several:
            raise CatalogError(merge.two_labels(self._shards.place, member, names[0], names[1]))
        group = cells.group_of(entry.group)
        first, *also = [self.labels.setdefault(name, len(self.labels)) for name in names] or [-1]
        try:
            self.pictures.add(member, first, self._side(path, member, entry.split), also=tuple(also))
        except UnicodeEncodeError as error:
            raise Unusable("its name is not text") from error
        self.groups.add(group)

    def _side(self, path: str, member: str, cell: Any) -> int:
        try:
            name = cells.side_of(cell) or self._shards.side_of.get(path)
        except ValueError as error:
            raise CatalogError(
                f"{member}: split is {error}; it must be train, val or test, or empty where it may be any."
            ) from error
        return -1 if name is None else _EVAL if name == "eval" else SIDES.index(name)


def class_list(root: Place, folder: str) -> list[str] | None:
    """The names behind the numbers of labels: from a file beside the shards, or in the root. Raises CatalogError."""
    for place in (root / folder, root) if folder else (root,):
        for name in CLASS_LISTS:
            file = place / name
            try:
                text = decoded(file.read_bytes())
                names = json.loads(text) if file.suffix == ".json" else text.splitlines()
            except (FileNotFoundError, NotADirectoryError):
                continue
            except UnicodeDecodeError as error:
                raise CatalogError(f"{file} is not UTF-8 text. Save it as UTF-8.") from error
            except (OSError, ValueError) as error:
                raise CatalogError(f"{file} cannot be read as a list of classes: {error}.") from error
            if not isinstance(names, list) or not all(isinstance(each, str) and each.strip() for each in names):
                raise CatalogError(f"{file} is no list of classes: it must hold one name for each number from 0.")
            return [each.strip() for each in names]
    return None


def _beside(path: str) -> str:
    packed = has_ending(path, COMPRESSED)
    return "a compressed tar: unpack it to a plain .tar" if packed else "lies beside the shards, in none of them"


def absent(shards: Shards) -> Iterator[Quarantined]:
    """The shards that a manifest beside them lists, and that are missing or of another size."""
    for folder in dict.fromkeys(os.path.dirname(path) for path in shards.paths if shards.whole):
        try:
            stated = json.loads((shards.root / (f"{folder}/{MANIFEST}" if folder else MANIFEST)).read_bytes())["shards"]
            sizes = {str(shard["name"]): int(shard["bytes"]) for shard in stated}
        except (OSError, ValueError, TypeError, KeyError):
            continue  # another program's
        for name, size in sizes.items():
            path = f"{folder}/{name}" if folder else name
            if path not in shards.paths:
                yield Quarantined(path, f"is listed in {MANIFEST} and is not there: copy it here")
            elif not is_address(shards.root) and (there := (shards.root / path).stat().st_size) != size:
                yield Quarantined(path, f"has {there:,} bytes, and {size:,} in {MANIFEST}: copy it again")
