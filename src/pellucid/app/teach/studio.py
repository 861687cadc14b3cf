"""What the page of `pellucid teach` shows: the collection, its training, and the model that is tried."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid import api
from pellucid.app.page.first import first
from pellucid.app.page.shown import Glass
from pellucid.app.teach import results
from pellucid.app.teach.beginning import beginning
from pellucid.app.teach.training import News, Training
from pellucid.classifier.classifier import Classifier
from pellucid.collecting.advice import advice
from pellucid.collecting.collection import PICTURES, Class, Collection
from pellucid.errors import ArtefactError, CatalogError, PictureError
from pellucid.training.claim import Claim

if TYPE_CHECKING:
    from pellucid.classifier.predict.predictor import Predictor
    from pellucid.pictures.places import Place

FIRST = 2  # classes of a new collection
TRIED = "the picture that you tried"
RUNS = 1_000_000
"""Numbers of runs of each glass box: a window of an earlier model must not read the numbers of the next one."""
DAMAGED = (KeyError, IndexError, TypeError, ValueError, AttributeError)
"""What reading figures of another form raises."""


class Studio:
    """A collection, at most one running training, and the newest model.

    `settings`: of the training, instead of those that are chosen for the pictures. No other process can use `folder`
    until `finish`. Raises CatalogError, ArtefactError, StorageError.
    """

    def __init__(self, folder: Path, cache: Path, settings: Mapping[str, Any] | None = None) -> None:
        new = not (folder / PICTURES).is_dir()
        self.collection, self.cache, self._settings = Collection(folder), cache, settings
        self._claim = Claim(folder)
        self._claim.take()
        if new:
            for _ in range(FIRST):
                self.collection.add_class()
        self._training: Training | None = None
        self._lock = threading.Lock()
        self._tried: tuple[Path, Predictor] | None = None
        self.glass: Glass | None = None
        """The glass box that was opened last."""

    # ---- what there is

    def state(self) -> dict[str, Any]:
        """Everything that the page shows, JSON types."""
        classes, collection = self.collection.classes(), self.collection
        advised = advice(classes)
        model, troubles = self._described(classes)
        return {
            "folder": str(collection.folder.resolve()),
            "pictures": str(collection.pictures.resolve()),
            "removed": str(collection.removed.resolve()),
            "classes": [described(each) for each in classes],
            "missing": advised.missing,
            "warnings": [*advised.warnings, *troubles],
            "training": self.news.as_json(),
            "model": model,
        }

    def _described(self, classes: list[Class]) -> tuple[dict[str, Any] | None, list[str]]:
        """The newest model for the page, and sentences: a model that is damaged must not hide the pictures."""
        model = self.model
        if model is None:
            return None, []
        try:
            return {**results.figures(model), "stale": results.is_stale(model, classes)}, []
        except (ArtefactError, *DAMAGED) as error:
            return None, [f"{model} cannot be read: {error}. Train again."]

    @property
    def news(self) -> News:
        return News() if self._training is None else self._training.news

    @property
    def model(self) -> Path | None:
        """The newest complete model. A running training is none yet."""
        training = self._training
        writing = None if training is None or training.is_over else training.out
        return results.newest(self.collection.folder, writing)

    def begins(self) -> dict[str, Any]:
        """How a training would begin with the pictures that are there: "sentence", and "known" for known weights."""
        begun = beginning(self.collection.write_table(), self.cache, self._settings)
        return {"sentence": begun.sentence, "known": begun.known}

    # ---- the training

    def train(self) -> None:
        """Begin a training. Raises CatalogError if pictures are missing or a training is running."""
        with self._lock:
            if self._training is not None and not self._training.is_over:
                raise CatalogError("A training is running. Wait for its end, or stop it.")
            if missing := advice(self.collection.classes()).missing:
                raise CatalogError(" ".join(missing))
            table = self.collection.write_table()
            begun = beginning(table, self.cache, self._settings)
            self._training = Training(table, results.place(self.collection.folder), self.cache, begun.settings)

    def stop(self) -> None:
        """Stop the running training after its current step, if there is one."""
        if self._training is not None:
            self._training.stop()

    # ---- the model

    def answer(self, picture: bytes) -> dict[str, Any]:
        """The newest model's answer to a picture: "label", and "probabilities" of the classes in the model's order.

        Raises PictureError, ArtefactError.
        """
        model = self._needed()
        with self._lock:
            if self._tried is None or self._tried[0] != model:
                from pellucid.classifier.predict.load import predictor

                self._tried = model, predictor(model, [b""])
            network = self._tried[1]
        answer = network.predict(picture)
        if answer.error is not None or answer.probabilities is None:
            raise PictureError(answer.error or "cannot be read")
        return {
            "model": model.name,
            "label": answer.label,
            "probabilities": [[name, answer.probabilities[name]] for name in network.classes],
        }

    def open(self, picture: bytes | None) -> Glass:
        """The glass box of the newest model on a picture; without one, on a picture that was held back, or any.

        Raises PictureError, ArtefactError, TraceError.
        """
        model = self._needed()
        with self._lock:
            if self.glass is not None and self.glass.model == model:
                if picture:
                    self.glass.show(picture, None, TRIED)
                return self.glass
            before = self.glass
            run = 0 if before is None else before.shown.run + RUNS
            classifier = api.load(model)
            shown, called = (picture, TRIED) if picture else (self._example(classifier, model), None)
            opened = Glass(classifier, model, shown, called, run=run)
            self.glass = opened
        if before is not None:
            before.finish(5.0)  # a job in PyTorch ends with its step
        return opened

    def finish(self, seconds: float = 10.0) -> None:
        """Stop what is running and wait for it, because nothing may run during Python's shutdown."""
        if self._training is not None:
            self._training.stop()
            self._training.wait(seconds)
        if self.glass is not None:
            self.glass.finish(seconds)
        self._claim.release()

    def _needed(self) -> Path:
        model = self.model
        if model is None:
            raise ArtefactError("There is no trained network yet. Train one first.")
        return model

    def _example(self, classifier: Classifier, model: Path) -> Place:
        with suppress(ArtefactError):
            if (path := first(classifier, model)) is not None:
                return path
        for each in self.collection.classes():
            if each.pictures:
                return self.collection.path(each.name, each.pictures[0].name)
        raise ArtefactError("There is no picture to open. Try one first.")


def described(each: Class) -> dict[str, Any]:
    """A class for the page, JSON types."""
    return {
        "name": each.name,
        "recordings": each.recordings,
        "pictures": [{"name": picture.name, "recording": picture.recording} for picture in each.pictures],
    }
