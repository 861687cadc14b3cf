"""Make a model folder or an exported file ready to predict, without importing torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.classifier import store
from pellucid.classifier.predict import one
from pellucid.classifier.predict.expand import expand
from pellucid.classifier.predict.pictures import Source
from pellucid.classifier.predict.predictor import MANY, Predictor
from pellucid.pictures.listing import ListedFolders

if TYPE_CHECKING:
    from pellucid.classifier.classifier import Classifier
    from pellucid.classifier.saved import Saved


def predictor(
    model: str | Path,
    pictures: Iterable[Source | ListedFolders],
    trust: bool = False,
    int8: Callable[[Saved | Classifier], Saved] | None = None,
) -> Predictor:
    """The predictor that answers soonest for these pictures. Only a program imports torch here.

    `model`: a model folder or an exported file. If the number of pictures is unknown, a kernel that pays only for
    many pictures is loaded after many have come. `int8`: makes the model one of 8-bit integers, and raises ExportError
    if this is refused; see runs/quantise.py. Raises ArtefactError.
    """
    path = Path(model)
    if path.is_file():
        from pellucid.classifier.predict import exported, exported_readers

        if path.suffix.lower() in exported_readers.READERS:
            return exported.opened(path, trust, int8 is not None).predictor
    several = expand(pictures) if isinstance(pictures, Sequence) else iter(())
    expected = sum(1 for _ in islice(several, MANY))
    if expected == 1 and int8 is None and (soon := one.opened(path)) is not None:
        return soon
    from pellucid.classifier.saved import Saved

    read = store.read(path, trust)
    if int8 is not None:
        read = int8(read)
    return read.predictor(expected) if isinstance(read, Saved) else read.predictor


def lasting(
    model: str | Path, trust: bool = False, int8: Callable[[Saved | Classifier], Saved] | None = None
) -> Predictor:
    """A predictor for an endless stream, such as a server's. Kernels that pay only for many pictures load at once.

    `int8`: see `predictor`. Raises ArtefactError, and what `int8` raises.
    """
    from pellucid.classifier.saved import Saved

    read = store.read(Path(model), trust)
    if int8 is not None:
        read = int8(read)
    return read.predictor(expected=MANY) if isinstance(read, Saved) else read.predictor
