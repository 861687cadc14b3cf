"""Make a model folder, or a file exported from one, ready to predict. A cold command gets here without torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

from pellucid.classifier import store
from pellucid.classifier.predict.expand import expand
from pellucid.classifier.predict.pictures import Source
from pellucid.classifier.predict.predictor import MANY, Predictor
from pellucid.classifier.saved import Saved


def predictor(model: str | Path, pictures: Iterable[Source], trust: bool = False) -> Predictor:
    """The predictor that answers soonest for these pictures, without torch unless a program needs it.

    If the number is unknown, a kernel that pays only for many pictures is loaded once they are many. Raises
    ArtefactError.
    """
    path = Path(model)
    if path.suffix.lower() == ".onnx" and path.is_file():
        from pellucid.classifier.predict import exported

        return exported.opened(path)
    read = store.read(path, trust)
    if not isinstance(read, Saved):
        return read.predictor
    several = expand(pictures) if isinstance(pictures, Sequence) else iter(())
    return read.predictor(expected=sum(1 for _ in islice(several, MANY)))


def lasting(model: str | Path, trust: bool = False) -> Predictor:
    """A predictor for picture after picture, as a server needs it: its backend loads at once what pays for many.

    Raises ArtefactError.
    """
    read = store.read(Path(model), trust)
    return read.predictor(expected=MANY) if isinstance(read, Saved) else read.predictor
