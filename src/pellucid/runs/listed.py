"""The pictures that a model's split.csv lists, as a catalog, on the sides where they stood."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.classifier import store as artefact
from pellucid.classifier.classifier import Classifier
from pellucid.errors import ArtefactError
from pellucid.pictures.catalog import Catalog
from pellucid.pictures.columns import Picture, Pictures
from pellucid.texts import LABELS_BETWEEN

if TYPE_CHECKING:
    from pellucid.pictures.places import Place


def catalog(
    model: Path,
    classifier: Classifier,
    root: Place,
    rows: list[dict[str, str]],
    sides: Mapping[str, str] | None = None,
) -> tuple[Catalog, dict[str, str]]:
    """The catalog of all these pictures, existing or not, and the SHA-256 of each path.

    `root`, `rows`: as made_from.every gives them. `sides`: other names for some sides. Raises ArtefactError if a
    picture has a class that the model lacks.
    """
    several = classifier.thresholds is not None
    labels = {name: number for number, name in enumerate(classifier.classes)}
    pictures = []
    for row in rows:
        names = row["class"].split(LABELS_BETWEEN) if several else [row["class"]]
        try:
            first, *also = sorted(labels[name] for name in names if name) or [-1]
        except KeyError as error:
            raise ArtefactError(f"{model / artefact.SPLIT} names the class {error}, which {model} lacks.") from error
        pictures.append(Picture(row["path"], first, (sides or {}).get(row["side"], row["side"]), tuple(also)))
    listed = Catalog(root, classifier.classes, Pictures.of(pictures).ordered(), (), 0, several=several)
    return listed, {row["path"]: row["sha256"] for row in rows}
