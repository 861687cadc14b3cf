"""One version of one model: checked before anybody is answered by it, and the same for a request from start to end."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pellucid.classifier import store
from pellucid.classifier.predict.backend import GROUP, Logits
from pellucid.classifier.predict.load import lasting
from pellucid.classifier.predict.prediction import Prediction
from pellucid.classifier.predict.predictor import Item, Predictor
from pellucid.errors import ArtefactError
from pellucid.pictures.decode import expect_many
from pellucid.serving.batcher import Batcher
from pellucid.serving.limits import Limits

if TYPE_CHECKING:
    from pellucid.classifier.classifier import Classifier
    from pellucid.classifier.saved import Saved

Quantise = Callable[["Saved | Classifier"], "Saved"]
"""Makes a model one of 8-bit integers; see classifier/predict/load.py. Raises PellucidError."""

ATTEMPTS = 3  # at reading a folder that is being replaced
DIGITS = 12  # of a version
STREAM = 1_000_000  # pictures that a server expects to answer: the backend loads what many are worth


@dataclass(frozen=True, eq=False)
class Loaded:
    """A model folder, read and checked, before it has threads: processes can be forked from here, and share it."""

    name: str
    folder: Path
    version: str
    """The first 12 digits of the SHA-256 of config.json, which states the hashes of all the rest."""
    predictor: Predictor
    logits: Logits
    """On a thread of its own, on several at once."""
    trust: bool
    int8: Quantise | None = None
    """What made it one of 8-bit integers, and makes later versions; None for float32."""


def load(name: str, folder: Path, limits: Limits, trust: bool = False, int8: Quantise | None = None) -> Loaded:
    """Read a model folder and try it on a blank picture. `int8`: see predict/load.py.

    Raises ArtefactError, and what `int8` raises.
    """
    for _ in range(ATTEMPTS):
        version = version_of(folder)
        predictor = lasting(folder, trust, int8)
        if version_of(folder) == version:
            break
    else:
        raise ArtefactError(f"{folder} was replaced {ATTEMPTS} times while it was read. Wait until it stays.")
    predictor = replace(predictor, pixel_limit=min(predictor.pixel_limit, limits.pixels))
    *_, stage = predictor.backend.stages(STREAM, GROUP)
    expect_many()
    loaded = Loaded(name, folder, version, predictor, stage.load(), trust, int8)
    _try(loaded)
    return loaded


def version_of(folder: Path) -> str:
    """Of the model that is in a folder now. Raises ArtefactError."""
    try:
        content = (folder / store.CONFIG).read_bytes()
    except OSError as error:
        store.read_config(folder)  # says what is wrong with the folder
        raise ArtefactError(f"{folder / store.CONFIG} cannot be read: {error.strerror or error}.") from error
    return hashlib.sha256(content).hexdigest()[:DIGITS]


def _try(loaded: Loaded) -> None:
    form = loaded.predictor.form
    outputs = loaded.logits(np.zeros((1, *form.shape), np.uint8))
    if outputs.shape != (1, len(loaded.predictor.classes)) or not np.isfinite(outputs).all():
        raise ArtefactError(
            f"{loaded.folder} cannot be served: for a black picture its network gives {outputs.tolist()}, where a "
            f"finite number for each of {len(loaded.predictor.classes)} classes belongs."
        )


@dataclass(eq=False)
class Served:
    """A loaded model with the threads that answer for it. `users`: requests that it is answering now."""

    loaded: Loaded
    batcher: Batcher[Item, Prediction]
    users: int = 0
    retired: bool = False
    """A newer version has taken its place; it ends with its last user."""
    _classifier: Classifier | None = None
    _opening: threading.Lock = field(default_factory=threading.Lock)

    @property
    def predictor(self) -> Predictor:
        return self.loaded.predictor

    @property
    def name(self) -> str:
        return self.loaded.name

    @property
    def version(self) -> str:
        return self.loaded.version

    def classifier(self) -> Classifier:
        """The same model with its torch module and how it was trained, for explanations; read when first needed.

        Raises ArtefactError where another version lies in the folder by now.
        """
        from pellucid import api

        with self._opening:
            if self._classifier is None:
                classifier = api.load(self.loaded.folder, trust=self.loaded.trust)
                if version_of(self.loaded.folder) != self.version:
                    raise ArtefactError(f"{self.name} is being replaced by another version. Ask again in a moment.")
                self._classifier = replace(classifier, pixel_limit=self.predictor.pixel_limit)
            return self._classifier


def begin(loaded: Loaded, limits: Limits, threads: int, report: Callable[[int], None]) -> Served:
    """Start the threads that answer. `report`: how many pictures went through the network together, each time."""
    work = partial(loaded.predictor.answers, loaded.logits)
    return Served(loaded, Batcher(work, threads, GROUP, limits.wait, report))
