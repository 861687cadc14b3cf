"""The pictures of a comparison or a measurement, and their labels where they are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from pellucid.classifier import caveats, store
from pellucid.classifier.predict.expand import PICTURES as NEVER_FOLDERS
from pellucid.classifier.predict.expand import LeftOut, walked
from pellucid.errors import ArtefactError, CatalogError
from pellucid.pictures import places, table
from pellucid.pictures.catalog import Catalog
from pellucid.pictures.joined import joined
from pellucid.pictures.listing import kind_of
from pellucid.pictures.places import TABLES, is_address
from pellucid.pictures.shards.naming import ENDINGS, is_pattern, shard_of
from pellucid.pictures.sides import LONG, REPORTED
from pellucid.pictures.tabular import USUAL
from pellucid.runs import made_from
from pellucid.texts import LABELS_BETWEEN, composed, listed

if TYPE_CHECKING:
    from pellucid.pictures.places import Place


@dataclass(frozen=True)
class Pictures:
    """Pictures to compare on.

    * name: what the output calls them
    * labelled: (path, label), None where the label is unknown; several labels are separated as in split.csv
    * unusable: (path, reason)
    * own: whether the model kept them for its own figure, so that it has seen none of them
    * notes: sentences about them
    * side: if it kept them: "test" or "validation"
    """

    name: str
    labelled: tuple[tuple[str, str | None], ...]
    unusable: tuple[tuple[str, str], ...] = ()
    own: bool = False
    notes: tuple[str, ...] = ()
    side: str = ""


def chosen(model: Path | None, pictures: Sequence[str | Path], classes: Sequence[str], several: bool) -> Pictures:
    """The named pictures; without names, those that the model kept for its reported figure.

    One labelled folder or table gives the labels, its test side if it has sides. Otherwise a picture's label is the
    name of its folder, if that is one of `classes`. `several`: whether a picture may have several labels.

    Raises CatalogError and ArtefactError if there is no picture or a label is none of `classes`.
    """
    if not pictures:
        return _held_out(model)
    if len(pictures) == 1 and (of_one := _of_place(places.place(pictures[0]), classes, several)) is not None:
        return of_one
    paths, left_out = [], []
    for each in walked(pictures):
        if isinstance(each, LeftOut):
            left_out.append(f"left out: {each.path} ({each.reason})")
        else:
            paths.append(str(each))
    if not paths:
        raise CatalogError(f"There is no picture in {', '.join(map(str, pictures))}.")
    names = {composed(name): name for name in classes}
    folders = [None if several else names.get(composed(PurePath(path).parent.name)) for path in paths]
    name = str(pictures[0]) if len(pictures) == 1 else f"{pictures[0]} and {len(pictures) - 1:,} more"
    return Pictures(name, tuple(zip(paths, folders, strict=True)), notes=tuple(left_out))


def held_out(model: Path, instead: str = made_from.OTHERS) -> Pictures:
    """The pictures that a model kept for its reported figure.

    Raises ArtefactError. `instead`: what the error tells the user to do if the model kept none.
    """
    side, rows = made_from.evaluated_on(model, instead)
    looked = list(rows)
    labelled = tuple((str(path), label) for path, label, reason in looked if reason is None)
    unusable = tuple((str(path), reason) for path, _, reason in looked if reason is not None)
    if not labelled:
        path, reason = unusable[0]
        raise ArtefactError(f"None of the {side} pictures of {model} can be used, such as {path}: {reason}.")
    metrics = model / store.METRICS
    chose = side != "test" and metrics.is_file() and caveats.chosen(store.read_json(metrics))
    notes = ["They chose the epoch and the temperature, so the figures are slightly optimistic."] if chose else []
    caveat = made_from.known_before(model, side)
    notes += [] if caveat is None else [caveat]
    return Pictures(f"{side} pictures of {model}", labelled, unusable, True, tuple(notes), side)


def _held_out(model: Path | None) -> Pictures:
    if model is None:
        raise ArtefactError("An exported file does not list the pictures that it was made from; name some pictures.")
    return held_out(model)


def _of_place(place: Place, classes: Sequence[str], several: bool) -> Pictures | None:
    """The pictures of a labelled folder or table; None for a place without labels. Raises CatalogError."""
    kind = "file" if place.suffix.lower() in NEVER_FOLDERS and is_address(place) else kind_of(place)
    one = kind == "file" and place.suffix.lower() in (*TABLES, *ENDINGS)
    if kind != "folder" and not one and not is_pattern(str(place)):
        return None
    try:
        catalog = table.read(place, replace(USUAL, several=several), known=classes)
    except CatalogError:
        if kind == "folder" or shard_of(f"{place}/") or _lists_paths_alone(place):
            return None
        raise
    known = {composed(name): name for name in classes}
    unknown = [name for name in catalog.classes if name not in known]
    if len(unknown) == len(catalog.classes):
        return None
    if unknown:
        raise CatalogError(
            f"{place} has a class {unknown[0]!r} that neither model knows; they know {listed(list(classes), 10)}."
        )
    return _of_catalog(place, joined(catalog) if several else catalog, known)


def _of_catalog(place: Place, catalog: Catalog, known: dict[str, str]) -> Pictures:
    sides = {picture.side for picture in catalog.pictures}
    side = next((side for side in REPORTED if side in sides), None)
    labelled = []
    for picture in catalog.pictures:
        if picture.side == side:
            own = (known[name] for name in catalog.classes_of(picture).split("\0") if name)
            labelled.append((str(catalog.picture_at(picture.path)), LABELS_BETWEEN.join(own)))
    unusable = tuple((str(catalog.picture_at(each.path)), each.reason) for each in catalog.quarantine)
    notes = tuple(f"left out: {catalog.root / each.path} ({each.reason})" for each in catalog.left_out)
    name = str(place) if side is None else f"{place} ({LONG[side]})"
    return Pictures(name, tuple(labelled), unusable, notes=notes)


def _lists_paths_alone(place: Place) -> bool:
    """Whether a table has paths but no labels."""
    (part,) = table.find(place)
    return not part.table.has("label", USUAL)
