"""Labelled pictures for a measurement: decoded once if they fit into memory, with their labels as an array."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pellucid.classifier.classifier import Classifier
from pellucid.classifier.predict.pictures import Prepared
from pellucid.debugging.pictures import Pictures
from pellucid.errors import ArtefactError, CatalogError, none_usable
from pellucid.runs.looking import Looked, looking
from pellucid.runs.made_from import memory, spread
from pellucid.texts import LABELS_BETWEEN, listed

HELD = 400_000_000  # most bytes of decoded pictures in memory; more are decoded again each time


@dataclass(frozen=True, eq=False)
class Labelled:
    """Usable pictures and their classes.

    * truth: bool (n, classes): one True a row, unless pictures may have several labels
    * images: uint8 (n, H, W, C); None if they are too large to hold
    * seen: how many of them the model's training has seen; None if unknown
    * unusable: (path, reason)
    """

    name: str
    side: str
    paths: tuple[str, ...]
    truth: NDArray[np.bool_]
    images: NDArray[np.uint8] | None
    seen: int | None
    unusable: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]

    def batches(self, classifier: Classifier, size: int) -> Iterator[tuple[slice, NDArray[np.uint8]]]:
        """The rows and images of each group of at most `size` pictures. Raises ArtefactError if one is gone."""
        for start in range(0, len(self.paths), size):
            rows = slice(start, min(start + size, len(self.paths)))
            if self.images is not None:
                yield rows, self.images[rows]
                continue
            items = list(classifier.predictor.items(self.paths[rows]))
            gone = next(((name, error) for name, image, error in items if image is None), None)
            if gone is not None:
                raise ArtefactError(f"{gone[0]} could be used a moment ago: {gone[1]}. Start again.")
            yield rows, np.stack([image for _, image, _ in items if image is not None])


def reading(
    classifier: Classifier, model: Path | None, pictures: Pictures
) -> Generator[tuple[int, int], None, Labelled]:
    """Decode labelled pictures. Yields how many are read, and of how many.

    `model`: the folder that knows which pictures the model has seen. They come in an order whose every beginning is
    spread over all of them. Pictures without a label are left out, and a note says so. Raises CatalogError if none has
    a label and can be used.
    """
    known = spread([each for each in pictures.labelled if each[1] is not None])
    notes = list(pictures.notes)
    if not known:
        raise CatalogError(
            f"No picture of {pictures.name} has a known label. Name a folder that holds a folder for each class: "
            f"{listed(classifier.classes, 10)}."
        )
    if len(known) < len(pictures.labelled):
        notes.append(f"{len(pictures.labelled) - len(known):,} pictures without a label are left out.")
    form = classifier.form
    holds = len(known) * form.height * form.width * form.channels <= HELD
    looked: deque[Looked] = deque()
    images, usable, unusable = [], [], list(pictures.unusable)
    for row, source in enumerate(looking(classifier, [path for path, _ in known], looked)):
        yield row, len(known)
        if isinstance(source, Prepared):
            usable.append(row)
            images += [source.image] if holds else []
        else:
            unusable.append((known[row][0], classifier.predictor.item(source)[2] or "cannot be read"))
    if not usable:
        raise CatalogError(none_usable(len(unusable), *unusable[0], f" ({pictures.name})"))
    paths = [known[row][0] for row in usable]
    seen, untold = (0, None) if pictures.own else _seen(model, paths, [looked[row] for row in usable])
    notes += [] if untold is None else [untold]
    return Labelled(
        pictures.name,
        pictures.side,
        tuple(paths),
        truth_of([known[row][1] or "" for row in usable], classifier.classes),
        np.stack(images) if holds else None,
        seen,
        tuple(unusable),
        tuple(notes),
    )


def truth_of(labels: Sequence[str], classes: tuple[str, ...]) -> NDArray[np.bool_]:
    """bool (n, classes) from labels, several of which are separated as in split.csv."""
    truth = np.zeros((len(labels), len(classes)), bool)
    for row, label in enumerate(labels):
        for name in [label] if label in classes else label.split(LABELS_BETWEEN):
            if name in classes:
                truth[row, classes.index(name)] = True
    return truth


def _seen(model: Path | None, paths: list[str], looked: list[Looked]) -> tuple[int | None, str | None]:
    """(how many pictures the model has seen, what is unknown about it)"""
    if model is None:
        return None, None
    known = memory(model)
    coarse = np.stack([each.coarse for each in looked])
    recognised = known.recognise(paths, [each.digest for each in looked], coarse)
    return (len(recognised) if known.digests or known.untold is None else None), known.untold
