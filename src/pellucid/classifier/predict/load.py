"""Make a model folder or an exported file ready to predict, without importing torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path

from pellucid.classifier import store
from pellucid.classifier.predict import one
from pellucid.classifier.predict.expand import expand
from pellucid.classifier.predict.pictures import Source
from pellucid.classifier.predict.predictor import MANY, Predictor


def predictor(model: str | Path, pictures: Iterable[Source], trust: bool = False) -> Predictor:
    """The predictor that answers soonest for these pictures. Only a saved program imports torch here.

    `model`: a model folder or an exported ONNX file. If the number of pictures is unknown, a kernel that pays only for
    many pictures is loaded after many have come. Raises ArtefactError.
    """
    path = Path(model)
    if path.suffix.lower() == ".onnx" and path.is_file():
        from pellucid.classifier.predict import exported

        return exported.opened(path)
    several = expand(pictures) if isinstance(pictures, Sequence) else iter(())
    expected = sum(1 for _ in islice(several, MANY))
    if expected == 1 and (soon := one.opened(path)) is not None:
        return soon
    from pellucid.classifier.saved import Saved

    read = store.read(path, trust)
    return read.predictor(expected) if isinstance(read, Saved) else read.predictor


def lasting(model: str | Path, trust: bool = False) -> Predictor:
    """A predictor for an endless stream, such as a server's. Kernels that pay only for many pictures load at once.

    Raises ArtefactError.
    """
    from pellucid.classifier.saved import Saved

    read = store.read(Path(model), trust)
    return read.predictor(expected=MANY) if isinstance(read, Saved) else read.predictor
