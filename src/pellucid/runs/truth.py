"""The true class of a picture, where something states it: the model's list of pictures, or the picture's folder."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pellucid.classifier import class_names
from pellucid.classifier.classifier import Classifier
from pellucid.classifier.predict.pictures import Source
from pellucid.errors import CatalogError, PictureError, TraceError
from pellucid.pictures.places import place
from pellucid.pictures.reading import digest_of
from pellucid.runs import made_from

Truth = tuple[int, ...] | None
"""A picture's class, or all its labels, by number; None where they are not known."""


@dataclass(frozen=True)
class Truths:
    """What a model's split.csv states about pictures. It is read when the first picture comes."""

    model: Path
    classifier: Classifier

    def of(self, picture: Source, folder: Truth) -> Truth:
        """The truth about a picture, recognised by its bytes wherever it lies. `folder`: what its folder states.

        None too where list and folder disagree.
        """
        listed = self._listed(picture)
        if listed is None or folder is None:
            return folder if listed is None else listed
        return listed if set(listed) == set(folder) else None

    @cached_property
    def _stated(self) -> dict[str, str]:
        return made_from.labels(self.model)

    def _listed(self, picture: Source) -> Truth:
        label = self._stated.get(_digest(picture)) if self._stated else None
        if label is None:
            return None
        try:
            target = class_names.target(label, self.classifier.classes, self.classifier.thresholds is not None)
        except TraceError:  # the list is of other classes
            return None
        return (target,) if isinstance(target, int) else target


def _digest(picture: Source) -> str:
    """The SHA-256 of a picture's file, hexadecimal; "" for an image, which has none, and for a file that is gone."""
    if isinstance(picture, bytes):
        return hashlib.sha256(picture).hexdigest()
    try:
        return digest_of(place(picture)) if isinstance(picture, str | Path) else ""
    except (OSError, CatalogError, PictureError):
        return ""
