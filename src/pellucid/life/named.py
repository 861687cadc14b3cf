"""The training pictures that a user names: by a path, or by a file with the same content."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.errors import CatalogError, PictureError, did_you_mean
from pellucid.life.material import Material
from pellucid.pictures.listing import kind_of
from pellucid.pictures.places import identity, place
from pellucid.pictures.reading import digest_of
from pellucid.pictures.sides import SPOKEN, TRAIN
from pellucid.pictures.split import SIDES

if TYPE_CHECKING:
    from pellucid.pictures.places import Place


def rows(material: Material, names: Sequence[str | Path]) -> list[int]:
    """The rows of training pictures, each once, in the order of `names`.

    A name is a path as in split.csv, or any path to the file or to a copy of it with the same bytes. Raises
    CatalogError for a picture that the model does not list, or was not trained on, and if there is no name.
    """
    if not names:
        raise CatalogError("No picture is named. Name at least one that the model was trained on.")
    return list(dict.fromkeys(_row(material, str(name)) for name in names))


def _row(material: Material, name: str) -> int:
    catalog = material.data.catalog
    at = {path: row for row, path in enumerate(catalog.pictures.paths)}
    where, root = place(name), f"{identity(catalog.root)}/"
    inside = identity(where)
    own = inside.removeprefix(root) if inside.startswith(root) else ""
    row = at.get(name, at.get(own))
    is_file = row is None and kind_of(where) == "file"
    if is_file:
        row = _same(material, where)
    if row is None:
        hint = did_you_mean(own or name, at)
        there = "has no picture with this content" if is_file else "lists no picture of this name"
        raise CatalogError(f"{name}: {material.model} {there}.{hint} Its split.csv has all of them.")
    side = material.data.sides[row]
    if side < 0 or SIDES[side] != TRAIN:
        where = f"is one of its {SPOKEN[SIDES[side]]} pictures" if side >= 0 else "was left out of it"
        raise CatalogError(
            f"{catalog.pictures[row].path} {where}: {material.model} was not trained on it, so there is nothing to "
            "leave out. Name a picture whose side in split.csv is train."
        )
    return row


def _same(material: Material, where: Place) -> int | None:
    """The row of the picture with the same bytes: of the training pictures first."""
    try:
        digest = digest_of(where)
    except PictureError as error:
        raise CatalogError(f"{where}: {error.reason}.") from error
    same = [row for row, own in enumerate(material.data.store.digests) if own == digest]
    trained = [row for row in same if SIDES[material.data.sides[row]] == TRAIN]
    return next(iter([*trained, *same]), None)
