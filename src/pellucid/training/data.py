"""From a folder to rows to train on: scanned, decoded once, searched for twins, split without a leak."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pellucid import files
from pellucid.errors import CatalogError, PictureError, RecipeError
from pellucid.pictures import across, iterative, table, twins
from pellucid.pictures import catalog as catalogs
from pellucid.pictures import split as splits
from pellucid.pictures import store as stores
from pellucid.pictures.ahead import Ahead, content
from pellucid.pictures.catalog import Catalog, Quarantined
from pellucid.pictures.decode import PIXEL_LIMIT, Form, decode
from pellucid.pictures.reading import read
from pellucid.pictures.store import Decoding, Store
from pellucid.pictures.tabular import Columns
from pellucid.steps import Steps
from pellucid.texts import LABELS_BETWEEN
from pellucid.training import targets
from pellucid.training.recipe import Recipe
from pellucid.training.targets import Targets
from pellucid.training.team.team import ALONE, Team

if TYPE_CHECKING:
    from pellucid.pictures.places import Place
    from pellucid.training.folds import FoldPosition

SAMPLE = 48


@dataclass(frozen=True)
class Sample:
    """The look of a sample of the pictures; automatic choices depend on it."""

    side: int  # median of the longer sides, in pixels
    grey: bool  # in every one of them red, green and blue are equal


@dataclass(frozen=True)
class Comparing:
    """Progress of the search for twins: comparisons of one picture with all others, done of `total`."""

    done: int
    total: int


@dataclass(frozen=True)
class Data:
    """All that a training needs to know about its pictures. Rows of `store` are numbered as in `catalog.pictures`."""

    catalog: Catalog
    store: Store
    labels: Targets  # int64 (N,), or bool (N, classes) for several labels
    sides: NDArray[np.int8]  # (N,) index into split.SIDES; -1: left out
    twins: NDArray[np.int64]  # (P, 2) pairs of rows
    kinds: NDArray[np.int8]  # (P,) for pairs in two classes, index into across.KINDS; -1: one class

    def rows(self, side: str) -> NDArray[np.int64]:
        return np.flatnonzero(self.sides == splits.SIDES.index(side))

    @property
    def fingerprint(self) -> str:
        """SHA-256, hexadecimal, over the pictures (path, content, class) and the side of each."""
        return hashlib.sha256(self.store.fingerprint.encode() + self.sides.tobytes()).hexdigest()

    @property
    def quarantine(self) -> tuple[Quarantined, ...]:
        """The catalog's quarantine, and the pictures that the split had to leave out."""
        pictures = self.catalog.pictures
        out = np.flatnonzero(self.sides < 0)
        of_group = splits.overruled(pictures.groups, pictures.sides)[out]
        where = "the folders' split" if self.catalog.table is None else "the table's split"
        reasons = [f"its {'group' if group else 'twin'} is on another side of {where}" for group in of_group]
        left = (Quarantined(pictures[row].path, why) for row, why in zip(out.tolist(), reasons, strict=True))
        return (*self.catalog.quarantine, *left)

    @property
    def groups(self) -> NDArray[np.int64]:
        """(N,) equal numbers for pictures that stay on one side: twins, and members of one group of a table."""
        return splits.together(self.catalog.pictures.groups, self.twins)

    @property
    def named_groups(self) -> int:
        """How many groups of a table have used pictures."""
        groups = self.catalog.pictures.groups[self.sides >= 0]
        return len(np.unique(groups[groups >= 0]))

    @property
    def twins_across_classes(self) -> list[tuple[str, str]]:
        """Copies with two labels: one of the two is probably wrong."""
        pictures = self.catalog.pictures
        return [(pictures[a].path, pictures[b].path) for a, b in self.twins[self.kinds == across.COPY]]

    @property
    def alike_across_classes(self) -> dict[str, int]:
        """The other twins with two labels: how many of each of across.KINDS."""
        return {name: int((self.kinds == kind).sum()) for kind, name in enumerate(across.KINDS) if kind != across.COPY}

    @property
    def lacking(self) -> dict[str, tuple[str, ...]]:
        """The classes without a picture on a side, by the side's name in split.SIDES."""
        classes = self.catalog.classes
        missing = {side: targets.lacking(self.labels[self.rows(side)], len(classes)) for side in splits.SIDES}
        there = {side: labels for side, labels in missing.items() if labels and len(self.rows(side))}
        if self.catalog.several:  # then each label chooses alone, even if validation lacks another: see `choosing`
            there.pop("val", None)
        return {side: tuple(classes[label] for label in labels) for side, labels in there.items()}

    @property
    def swallowed(self) -> tuple[splits.Swallowed, ...]:
        """The classes that have more than half of their pictures in one group of twins."""
        used = self.sides >= 0
        return splits.swallowed(self.labels[used], self.groups[used])

    @property
    def choosing(self) -> NDArray[np.int64]:
        """The rows that may choose an epoch and a temperature: validation, unless a class is missing there.

        With several labels, each label is judged alone, and a missing one gets the common threshold.
        """
        rows = self.rows("val")
        return rows if "val" not in self.lacking else rows[:0]

    @property
    def twin_pictures(self) -> int:
        """How many pictures have a twin."""
        return len(np.unique(self.twins))


def read_catalog(place: Place, recipe: Recipe, leave_out: Path | None = None) -> Catalog:
    """The catalog of a folder of pictures or of a table, with the columns that the recipe names.

    Raises CatalogError, and RecipeError if a column is named but there is no table.
    """
    columns = columns_of(recipe)
    catalog = table.read(place, columns, leave_out)
    if catalog.table is None and columns.chosen:
        role, name = next(iter(columns.chosen.items()))
        raise RecipeError(
            f"{role}_column is {name!r}, and {place} is not a table; its class folders are the labels. Name a "
            f"table, or remove --{role}-column."
        )
    return catalog


def columns_of(recipe: Recipe) -> Columns:
    """The columns of a table that a recipe names."""
    several = recipe.labels == "several"
    return Columns(recipe.path_column, recipe.label_column, recipe.split_column, recipe.group_column, several=several)


def sample(catalog: Catalog, pixel_limit: int = PIXEL_LIMIT) -> Sample:
    """Look at up to 48 pictures, spread evenly over the catalog; 300 pixels and colour if none can be read."""
    count = len(catalog.pictures)
    rows = sorted({int(row) for row in np.linspace(0, count - 1, min(SAMPLE, count))})
    sides, grey = [], True
    with Ahead() as ahead:
        paths = [catalog.pictures[row].path for row in rows]
        for picture in [ahead.begun(catalog.picture_at(path), catalog.stamp_listed(path)) for path in paths]:
            try:
                image = decode(content(picture)[0], pixel_limit)
            except PictureError:
                continue
            sides.append(max(image.shape[:2]))
            grey = grey and bool((image[..., 0] == image[..., 1]).all() and (image[..., 1] == image[..., 2]).all())
    return Sample(int(np.median(sides)), grey) if sides else Sample(300, grey=False)


def prepare(
    catalog: Catalog, form: Form, recipe: Recipe, cache: Path, part: FoldPosition | None = None, team: Team = ALONE
) -> Generator[Decoding | Comparing, None, Data]:
    """Decode what the cache does not have, find twins, split. Raises CatalogError, StorageError, RecipeError.

    `part`: of a cross-validation, whose folds are then the sides. In a team one process of each machine decodes, and
    the first process finds the twins and splits for all.
    """
    store = yield from _store(catalog, form, recipe, cache, team)
    usable = store.catalog
    catalogs.check(usable)
    team.check_same({"The fingerprint of the pictures": store.fingerprint})
    labels = targets.of(usable)
    divided = (yield from _divide(store, labels, recipe, part)) if team.leads else None
    divided = team.same(divided)
    assert divided is not None
    pairs, kinds, sides = divided
    return Data(usable, store, labels, sides, pairs, kinds)


def _store(catalog: Catalog, form: Form, recipe: Recipe, cache: Path, team: Team) -> Generator[Decoding, None, Store]:
    """The decoded pictures. In a team the first process of each machine decodes, and the others then open its store."""
    if team.local_rank:
        team.wait()
    store = yield from stores.build(catalog, form, cache, pixel_limit=int(recipe.megapixels * 1e6))
    if not team.local_rank:
        team.wait()
    return store


def _divide(
    store: Store, labels: Targets, recipe: Recipe, part: FoldPosition | None
) -> Generator[Comparing, None, tuple[NDArray[np.int64], NDArray[np.int8], NDArray[np.int8]]]:
    """The twins, their kinds, and the side of each picture; see Data."""
    usable = store.catalog
    pairs = yield from _compare(store)
    groups = splits.together(usable.pictures.groups, pairs)
    if part is None:
        dealt, known_sides = iterative.split if usable.several else splits.split, usable.pictures.sides
        sides = dealt(labels, store.digests, groups, known_sides, recipe.validation, recipe.test, recipe.seed)
    else:
        sides = part.sides(store, labels, groups, recipe)
    _check_train(usable, labels[sides == splits.TRAIN])
    return pairs, _kinds(store, labels, pairs, int(recipe.megapixels * 1e6)), sides


def _compare(store: Store) -> Generator[Comparing, None, NDArray[np.int64]]:
    search = Steps(twins.search(store.descriptions))
    for done, total in search:
        yield Comparing(done, total)
    return search.result


def _kinds(store: Store, labels: Targets, pairs: NDArray[np.int64], pixel_limit: int) -> NDArray[np.int8]:
    """See Data.kinds."""

    def image(row: int) -> NDArray[np.uint8] | None:
        try:
            return decode(read(store.catalog.picture_at(store.catalog.pictures[row].path)), pixel_limit)
        except PictureError:
            return None

    kinds = np.full(len(pairs), -1, np.int8)
    two = targets.differ(labels, pairs)
    kinds[two] = across.kinds(store.descriptions, pairs[two], image)
    return kinds


def _check_train(catalog: Catalog, labels: Targets) -> None:
    """Check that each class has training pictures. `labels` are those of the training pictures."""
    counts = targets.counts(labels, len(catalog.classes))
    twins_of = "twins" if (catalog.pictures.groups < 0).all() else "twins, or of a group,"
    for name, count in zip(catalog.classes, counts, strict=True):
        if not count:
            raise CatalogError(
                f"Class {name} of {catalog.place} has 0 pictures to train on: all usable ones are in val or "
                f"test, or are {twins_of} of pictures there. Put some into train."
            )


def write_lists(data: Data, folder: Path) -> None:
    """Write quarantine.csv, twins.csv and split.csv: the pictures left out, the twins, and the side of each picture."""
    pictures, catalog = data.catalog.pictures, data.catalog
    _write(folder / "quarantine.csv", ["path", "reason"], ([q.path, q.reason] for q in data.quarantine))
    _write(
        folder / "twins.csv",
        ["path", "twin", "same_class", "across"],
        (
            [pictures[a].path, pictures[b].path, int(kind < 0), across.KINDS[kind] if kind >= 0 else ""]
            for (a, b), kind in zip(data.twins, data.kinds, strict=True)
        ),
    )
    _write(
        folder / "split.csv",
        ["path", "class", "side", "sha256"],
        (
            [picture.path, catalog.classes_of(picture).replace("\0", LABELS_BETWEEN), splits.SIDES[side], digest]
            for picture, side, digest in zip(pictures, data.sides, data.store.digests, strict=True)
            if side >= 0
        ),
    )


def _write(path: Path, header: list[str], rows: Iterable[list[object]]) -> None:
    # line by line: for millions of pictures, the whole text would take more memory than everything else
    lines = map(csv.writer(_Passing(), lineterminator="\n").writerow, chain([header], rows))
    # surrogateescape: a file name that is not UTF-8 keeps its bytes
    files.write(path, (line.encode("utf-8", "surrogateescape") for line in lines))


class _Passing:
    """A file whose write method returns the text."""

    def write(self, text: str) -> str:
        return text
