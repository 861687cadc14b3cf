"""A model as bytes, for a machine that cannot read its folder. The receiver checks every byte before it opens them."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.classifier import store
from pellucid.classifier.predict import alone, exported_readers, feature_table, int8, load
from pellucid.classifier.predict.alone import Answering
from pellucid.classifier.predict.graph import GRAPH
from pellucid.errors import ArtefactError, PellucidError, RecipeError
from pellucid.runs import quantise

if TYPE_CHECKING:
    from pellucid.classifier.classifier import Classifier
    from pellucid.classifier.predict.predictor import Predictor

NEEDED = (store.CONFIG, store.WEIGHTS)
USEFUL = (store.PROGRAM, GRAPH, int8.FILE)


@dataclass(frozen=True)
class Carried:
    """A model folder or an exported file.

    * name: what the user called it
    * main: the name of the exported file; empty for a model folder
    * files: the content of each file by its name
    * sha256: of each file, by its name, where it was packed
    """

    name: str
    main: str
    files: dict[str, bytes]
    sha256: dict[str, str]

    @property
    def digest(self) -> str:
        """The SHA-256 of what decides the answers."""
        decisive = sorted((name, each) for name, each in self.sha256.items() if name not in (GRAPH, int8.FILE))
        return hashlib.sha256(repr(decisive).encode()).hexdigest()

    @contextmanager
    def unpacked(self) -> Iterator[Path]:
        """The model on this machine's disk for a while. Raises ArtefactError if a byte is not as it was packed."""
        for name, content in self.files.items():
            if hashlib.sha256(content).hexdigest() != self.sha256[name]:
                raise ArtefactError(f"{name} of {self.name} was damaged on its way to this machine. Run again.")
        with tempfile.TemporaryDirectory(prefix="pellucid-") as folder:
            try:
                for name, content in self.files.items():
                    (Path(folder) / name).write_bytes(content)
                yield Path(folder) / self.main
            except PellucidError as error:  # the message should name what the user knows
                raise type(error)(str(error).replace(str(Path(folder) / self.main), self.name)) from error


@dataclass(frozen=True)
class Opened:
    """A model that is ready: what answers, and the classifier if features are computed."""

    predictor: Predictor
    answers: Answering
    classifier: Classifier | None


def packed(model: Path, trust: bool = False) -> Carried:
    """Read a model folder or an exported file. Raises ArtefactError if it cannot be read."""
    if model.is_file() and model.suffix.lower() in exported_readers.READERS:
        names, folder, main = [model.name], model.parent, model.name
        names += [name for name in (model.with_suffix(".bin").name,) if model.suffix.lower() == ".xml"]
    else:
        config = store.read_config(model)
        if config.get("program") is not None and not trust:
            raise ArtefactError(store.untrusted(str(model), config))
        useful = [name for name in USEFUL if (model / name).is_file() and (name != store.PROGRAM or trust)]
        names, folder, main = [*NEEDED, *useful], model, ""
    try:
        files = {name: (folder / name).read_bytes() for name in names}
    except OSError as error:
        raise ArtefactError(f"{model} cannot be read: {error.filename}: {error.strerror or error}.") from error
    return Carried(str(model), main, files, {name: hashlib.sha256(each).hexdigest() for name, each in files.items()})


def opened(model: Path, batch: int, features: bool, trust: bool = False, precision: str = "float32") -> Opened:
    """Make a model ready for a process of one thread. Raises ArtefactError, ExportError, NetworkError, RecipeError.

    Nothing is read from `model` afterwards.
    """
    if features:
        if model.is_file():
            raise RecipeError(f"{model} is an exported file, which has no features. Name the model folder instead.")
        classifier = feature_table.opened(model, trust)
        return Opened(classifier.predictor, alone.describing(classifier, batch), classifier)
    predictor = load.predictor(model, iter(()), trust, quantise.for_predictions(precision))
    return Opened(predictor, alone.answering(predictor, batch), None)
