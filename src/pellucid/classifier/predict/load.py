"""Make a model folder ready to predict. A cold command gets here without importing torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

from pellucid.classifier import store
from pellucid.classifier.predict.expand import expand
from pellucid.classifier.predict.pictures import Source
from pellucid.classifier.predict.predictor import Predictor
from pellucid.classifier.saved import Saved


def predictor(model: str | Path, pictures: Iterable[Source], trust: bool = False) -> Predictor:
    """The predictor that answers soonest for these pictures: for few, one that does not import torch.

    If the number is unknown, the first few go without torch and the rest with it; the two agree up to rounding. The
    stream imports torch while its first pictures are decoded. A program needs torch at once. Raises ArtefactError.
    """
    read = store.read(Path(model), trust)
    if not isinstance(read, Saved):
        return read.predictor
    few = read.backend().few
    many = isinstance(pictures, Sequence) and next(islice(expand(pictures), few, None), None) is not None
    return read.predictor(many)


def lasting(model: str | Path, trust: bool = False) -> Predictor:
    """What classifies picture after picture, as a server does: its backend loads at once what many are worth.

    Raises ArtefactError.
    """
    read = store.read(Path(model), trust)
    return read.predictor(many=True) if isinstance(read, Saved) else read.predictor
