"""The verb `predict`, and what stands for which pictures. A cold command gets here without importing torch."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from pellucid.classifier import store as artefact
from pellucid.classifier.predictor import Prediction, Prepared, Source
from pellucid.classifier.saved import Saved


def predict(model: str | Path, pictures: Source | Iterable[Source], batch: int = 32) -> Iterator[Prediction]:
    """Classify pictures with the model in a folder: paths, folders, globs, bytes or arrays; in order, as you iterate.

    A folder stands for all visible files in it and below, each folder's by name. A picture that cannot be used, or a
    path or glob that nothing is found under, is a Prediction with an error. See Classifier.stream, and `predictor`.
    """
    several = [pictures] if isinstance(pictures, str | Path | bytes | np.ndarray | Prepared) else pictures
    return predictor(model, several).stream(expand(several), batch)


def predictor(model: str | Path, pictures: Iterable[Source]) -> Saved:
    """What classifies these pictures soonest: without importing torch where they are few.

    Where nobody can tell how many there are, the first few go without torch, and the rest with it; the two agree but
    for rounding. Torch is imported by the stream, while its first pictures are decoded. Raises ArtefactError.
    """
    saved = artefact.read(Path(model))
    many = isinstance(pictures, Sequence) and next(islice(expand(pictures), saved.few, None), None) is not None
    return replace(saved, many=many)


def expand(pictures: Iterable[Source]) -> Iterator[Source]:
    """Folders and globs become the files they stand for; everything else passes as it is, also what is not there."""
    for picture in pictures:
        if not isinstance(picture, str | Path):
            yield picture
        elif os.path.isdir(picture):
            yield from _files_below(picture)
        elif glob.has_magic(str(picture)) and not os.path.lexists(picture):
            found = sorted(glob.glob(str(picture), recursive=True))
            # ** names the files in a folder as well as the folder
            files_only = [path for path in found if not ("**" in str(picture) and os.path.isdir(path))]
            yield from expand(files_only) if files_only else [picture]
        else:
            yield picture


def _files_below(folder: str | Path) -> Iterator[str]:
    """All visible files below a folder, each folder's in order, so that the list need not be held to be sorted.

    A folder that may not be opened comes last, as it is: reading it as a picture says why.
    """
    closed: list[str] = []
    for parent, folders, names in os.walk(folder, onerror=lambda error: closed.append(os.fspath(error.filename))):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (os.path.join(parent, name) for name in sorted(names) if not name.startswith("."))
    yield from closed
