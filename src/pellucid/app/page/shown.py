"""What the served page shows: one picture's run through a model, replaced as a whole by the next."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.app.page import training
from pellucid.app.page.altered import Altered, real, told
from pellucid.app.page.job import Jobs
from pellucid.classifier.classifier import Classifier
from pellucid.classifier.predict.pictures import Prepared, Source
from pellucid.errors import TraceError
from pellucid.glassbox.page.document import Document
from pellucid.runs.made_from import remembers
from pellucid.whatif import Change, Setting


@dataclass(frozen=True)
class Shown:
    """One picture's run. A new picture is a new Shown with the next number."""

    run: int
    picture: Source
    called: str
    document: Document
    extra: dict[str, Any]
    """What the served page is told besides, JSON types: "offers", the views that this model has; "what_if"."""
    classifier: Classifier
    """Whose run it is: the model, or what the reader has made of it."""

    @cached_property
    def text(self) -> bytes:
        """The document as the page gets it."""
        content = {**self.document.content, **self.extra, "run": self.run}
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()


class Glass:
    """A model and what is shown of it. One picture is followed at a time; reading needs no lock.

    `classifier` is the model as it was loaded; what is shown may be of a changed one (Shown.classifier).
    """

    def __init__(
        self,
        classifier: Classifier,
        model: Path,
        picture: Source,
        called: str | None = None,
        offers: list[str] | None = None,
    ) -> None:
        """`called`: what the picture is called; by default its path. `offers`: the views; by default all there are."""
        self.classifier, self.model = classifier, model
        self._offers = _offers(model, classifier) if offers is None else offers
        self.jobs = Jobs()
        self._lock = threading.Lock()
        self._resized: tuple[tuple[Setting, ...], Classifier] = ((), classifier)
        self.altered, self.aside = Altered(), Altered()
        """What the reader has changed, and what of it is put back for now."""
        self._aside: Shown | None = None  # what was shown of the latter, where it still is the same picture and class
        self.picture = 0
        """How many pictures have been opened since the first."""
        self.plain = self._follow(0, classifier, picture, str(picture) if called is None else called, None)
        """The picture in the model as it was loaded."""
        self.shown = self._told(self.plain)
        """The same, or what follows from the changes."""

    def show(self, picture: Source | None = None, label: str | None = None, name: str = "your picture") -> None:
        """Another picture, or the same against another class. Raises PictureError, TraceError.

        Changes of the network stay; paint is of one picture.
        """
        with self._lock:
            before = self.plain
            chosen, called = (before.picture, before.called) if picture is None else (picture, name)
            plain = self._follow(self.shown.run + 1, self.classifier, chosen, called, label)
            if picture is None:
                self._take(plain, self.altered, self.aside, self.picture)
            else:
                self._take(plain, self.altered.unpainted, self.aside.unpainted, self.picture + 1)

    def change(self, changes: tuple[Change, ...]) -> None:
        """Show what follows from these changes of the network, in place of those so far.

        Raises TraceError and NetworkError, and then everything is as it was.
        """
        with self._lock:
            self._alter(replace(self.altered, changes=changes))

    def paint(self, pixels: NDArray[np.uint8] | None) -> None:
        """Show what follows from a painted picture, uint8 (H, W, C); None for the picture itself. Raises TraceError."""
        with self._lock:
            self._alter(replace(self.altered, pixels=pixels))

    def flip(self) -> None:
        """Put everything back, or, where it is, make again what was put back. Raises TraceError."""
        with self._lock:
            run, then = self.shown.run + 1, self._aside
            if self.altered:
                self.aside, self.altered, self._aside = self.altered, Altered(), self.shown
                self.shown = self._told(replace(self.plain, run=run))
            elif self.aside and then is not None:
                self.aside, self.altered, self._aside = Altered(), self.aside, None
                self.shown = self._told(replace(then, run=run))
            elif self.aside:
                self._take(replace(self.plain, run=run), self.aside, Altered(), self.picture)

    def foreseen(self, altered: Altered) -> NDArray[np.float64]:
        """The probabilities that would follow, (classes,), and nothing is shown. Raises as `change`."""
        classifier = self._changed(altered)
        image = altered.pixels if altered.pixels is not None else self.original_pixels
        logits = classifier.logits(image[None])
        if not np.isfinite(logits).all():
            raise TraceError("With these changes the scores would not be finite. Try a smaller change.")
        return classifier.probabilities(logits)[0]

    @property
    def original_pixels(self) -> NDArray[np.uint8]:
        """The picture as the network gets it where nobody has painted on it: uint8 (H, W, C)."""
        return _pixels(self.plain)

    def finish(self, seconds: float = 10.0) -> None:
        """Stop what is worked out beside the page, and wait for it, so that nothing runs while Python shuts down."""
        self.jobs.end(seconds)

    def _alter(self, altered: Altered) -> None:
        wanted = real(altered, self.classifier, self.original_pixels)
        if not wanted.same_as(self.altered):
            self._take(replace(self.plain, run=self.shown.run + 1), wanted, Altered(), self.picture)

    def _take(self, plain: Shown, altered: Altered, aside: Altered, picture: int) -> None:
        """Show a picture with these changes, or, where that cannot be, leave everything as it is."""
        shown = plain
        if altered:
            pixels = altered.pixels if altered.pixels is not None else _pixels(plain)
            trace = plain.document.trace
            label = trace.against  # the losses before and after are against the same class
            image = Prepared(pixels, plain.called)
            shown = self._follow(plain.run, self._changed(altered), image, plain.called, label)
        self.plain, self.altered, self.aside, self.picture, self._aside = plain, altered, aside, picture, None
        self.shown = self._told(shown)

    def _changed(self, altered: Altered) -> Classifier:
        """The last network of other sizes is kept for its weights to change: following a new one takes time."""
        settings, resized = self._resized
        if settings != altered.settings:
            resized = self.classifier.changed(altered.settings) if altered.settings else self.classifier
            self._resized = altered.settings, resized
        return resized.changed(altered.weights) if altered.weights else resized

    def _follow(
        self, run: int, classifier: Classifier, picture: Source, called: str, label: str | Sequence[str] | None
    ) -> Shown:
        trace = replace(classifier.explain(picture, label), source=called)
        document = Document(trace, self.model.resolve().name)
        return Shown(run, picture, called, document, {"offers": self._offers}, classifier)

    def _told(self, shown: Shown) -> Shown:
        """With what the page is told of the changes."""
        what_if = told(self.altered, self.aside, self.classifier, self.plain.document.trace, self.picture)
        shown = replace(shown, extra={**shown.extra, "what_if": what_if})
        assert shown.text, "written here, under the lock, and not by each who reads"
        return shown


def _pixels(shown: Shown) -> NDArray[np.uint8]:
    """uint8 (H, W, C)"""
    trace = shown.document.trace
    return trace.values[trace.nodes[0].name][0].transpose(1, 2, 0).astype(np.uint8)


def _offers(model: Path, classifier: Classifier) -> list[str]:
    """What this model's folder has to show besides the walk, by the names of the page's views.

    Mistakes are a confusion of classes, which several labels a picture do not have.
    """
    confused = classifier.thresholds is None and remembers(model)
    offers = ["mistakes", "difference"] if confused else ["difference"]
    return [*offers, "training"] if training.has(model) else offers
