"""The run that the served page shows: one picture through a model, replaced as a whole by the next."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.app.page import training
from pellucid.app.page.altered import Altered, real, summary
from pellucid.app.page.job import Jobs
from pellucid.app.page.live_training import LiveTraining
from pellucid.classifier.classifier import Classifier
from pellucid.classifier.predict.pictures import Prepared, Source
from pellucid.debugging.beside import Other
from pellucid.errors import TraceError
from pellucid.glassbox.page.document import Document
from pellucid.hub.reference import name_of
from pellucid.live.limits import trains
from pellucid.runs.made_from import remembers
from pellucid.runs.truth import Truth, Truths
from pellucid.whatif import Change, Setting

MOST_RUNS, MOST_PICTURES = 200, 4  # that can be shown again
MOST_BYTES = 16_000_000  # of uploads and painted pixels that are kept for this, besides the shown picture


@dataclass(frozen=True)
class Shown:
    """One picture's run. A new picture is a new Shown with the next number."""

    run: int
    picture: Source
    called: str
    document: Document
    extra: dict[str, Any]
    """Further data for the served page, JSON types: "offers", the views that this model has; "what_if"."""
    classifier: Classifier
    """The classifier of the run: the model, or the reader's changed one."""

    @cached_property
    def text(self) -> bytes:
        """The document in the page's form."""
        content = {**self.document.content, **self.extra, "run": self.run}
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """The network's input before standardising, with paint: uint8 (H, W, C)."""
        trace = self.document.trace
        return trace.values[trace.nodes[0].name][0].transpose(1, 2, 0).astype(np.uint8)


@dataclass(frozen=True)
class Past:
    """What it takes to show an earlier run again."""

    picture: Source
    called: str
    label: str | Sequence[str]
    altered: Altered
    aside: Altered
    number: int
    """Of the picture, among those opened."""


class Glass:
    """A model and the run that is shown. One picture is traced at a time; reading needs no lock.

    `classifier` is the model as it was loaded; the shown run may be of a changed one (Shown.classifier).
    """

    def __init__(
        self,
        classifier: Classifier,
        model: Path,
        picture: Source,
        called: str | None = None,
        offers: list[str] | None = None,
        run: int = 0,
        label: str | None = None,
        view: str = "",
        beside: Other | None = None,
        lives: str = "",
    ) -> None:
        """`called`: what the picture is called; by default its path. `offers`: the views; by default all there are.

        `run`: the number of the first run. `label`: the class that its loss is measured against; by default the
        predicted one. `view`: the one that the page opens with; by default the network. `beside`: a second model.
        `lives`: of its weights, as app/lives.py writes them, for the lesson on them.
        """
        self.classifier, self.model, self.beside = classifier, model, beside
        self._offers = _offers(model, classifier) if offers is None else offers
        self._opens: dict[str, Any] = {**({"opens": view} if view else {}), **({"lives": True} if lives else {})}
        self.lives = lives
        # a reader at a distance, whose views are limited, must not learn which pictures the model was made from
        self._truths = Truths(model, classifier) if offers is None else None
        self.jobs, self.live = Jobs(), LiveTraining(model, classifier)
        self._lock = threading.Lock()
        self._resized: tuple[tuple[Setting, ...], Classifier] = ((), classifier)
        self.altered, self.aside = Altered(), Altered()
        """The reader's changes, and those put back for now."""
        self._aside: Shown | None = None  # the run with the changes put aside, if picture and class are still the same
        self.picture = 0
        """How many pictures have been opened since the first."""
        self.plain = self._follow(run, classifier, picture, str(picture) if called is None else called, label)
        """The picture in the model as it was loaded."""
        self.shown = self._with_changes(self.plain)
        """The same, or the run with the changes."""
        self._past: OrderedDict[int, Past] = OrderedDict()
        self._remember()

    def show(self, picture: Source | None = None, label: str | None = None, name: str = "your picture") -> None:
        """Show another picture, or the same against another class. Raises PictureError, TraceError.

        Changes to the network stay; paint belongs to one picture.
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
        """Show the run with these changes to the network, instead of the earlier ones.

        Raises TraceError and NetworkError; then nothing changes.
        """
        with self._lock:
            self._alter(replace(self.altered, changes=changes))

    def paint(self, pixels: NDArray[np.uint8] | None) -> None:
        """Show the run with a painted picture, uint8 (H, W, C); None for the picture itself. Raises TraceError."""
        with self._lock:
            self._alter(replace(self.altered, pixels=pixels))

    def flip(self) -> None:
        """Put all changes back, or apply them again if they are back. Raises TraceError."""
        with self._lock:
            run, then = self.shown.run + 1, self._aside
            if self.altered:
                self.aside, self.altered, self._aside = self.altered, Altered(), self.shown
                self.shown = self._with_changes(replace(self.plain, run=run))
                self._remember()
            elif self.aside and then is not None:
                self.aside, self.altered, self._aside = Altered(), self.aside, None
                self.shown = self._with_changes(replace(then, run=run))
                self._remember()
            elif self.aside:
                self._take(replace(self.plain, run=run), self.aside, Altered(), self.picture)

    def back(self, run: int) -> bool:
        """Show an earlier run again, as the next one; False if it is no longer remembered. Raises PictureError."""
        with self._lock:
            past = self._past.get(run)
            if past is None:
                return False
            plain = self._follow(self.shown.run + 1, self.classifier, past.picture, past.called, past.label)
            self._take(plain, past.altered, past.aside, self.picture + 1)
        return True

    def foreseen(self, altered: Altered) -> NDArray[np.float64]:
        """The probabilities with these changes, (classes,), without showing them. Raises as `change`."""
        classifier = self._changed(altered)
        image = altered.pixels if altered.pixels is not None else self.original_pixels
        logits = classifier.logits(image[None])
        if not np.isfinite(logits).all():
            raise TraceError("With these changes the scores would not be finite. Try a smaller change.")
        return classifier.probabilities(logits)[0]

    @property
    def original_pixels(self) -> NDArray[np.uint8]:
        """The network's input without paint: uint8 (H, W, C)."""
        return self.plain.pixels

    @property
    def trusted(self) -> bool:
        """Whether the folder holds a program: then it was trusted when it was opened."""
        return self.classifier.program is not None

    def finish(self, seconds: float = 10.0) -> None:
        """Stop all jobs beside the page and wait for them, because nothing may run during Python's shutdown."""
        self.live.end(seconds)
        self.jobs.end(seconds)

    def _alter(self, altered: Altered) -> None:
        wanted = real(altered, self.classifier, self.original_pixels)
        if not wanted.same_as(self.altered):
            self._take(replace(self.plain, run=self.shown.run + 1), wanted, Altered(), self.picture)

    def _take(self, plain: Shown, altered: Altered, aside: Altered, picture: int) -> None:
        """Show a picture with these changes; if that fails, change nothing."""
        shown = plain
        if altered:
            pixels = altered.pixels if altered.pixels is not None else plain.pixels
            trace = plain.document.trace
            label = trace.against  # the losses before and after are against the same class
            image = Prepared(pixels, plain.called)
            known = trace.truth if altered.pixels is None else None  # what is painted is another picture
            network = self._changed(altered)
            shown = self._follow(plain.run, network, image, plain.called, label, known, trace.size)
        self.plain, self.altered, self.aside, self.picture, self._aside = plain, altered, aside, picture, None
        self.shown = self._with_changes(shown)
        self._remember()

    def _remember(self) -> None:
        """Keep what a window with the shown run may want back: the last runs of the last pictures, if small enough.

        Work about earlier runs ends: it would keep all their numbers in memory.
        """
        self.jobs.only(self.shown.run)
        plain, label = self.plain, self.plain.document.trace.against
        self._past[self.shown.run] = Past(plain.picture, plain.called, label, self.altered, self.aside, self.picture)
        while (
            len(self._past) > MOST_RUNS
            or next(iter(self._past.values())).number <= self.picture - MOST_PICTURES
            or (len(self._past) > 1 and _size(self._past.values(), plain.picture) > MOST_BYTES)
        ):
            self._past.popitem(last=False)

    def _changed(self, altered: Altered) -> Classifier:
        """Keep the last network of other sizes and change only its weights: tracing a new one takes time."""
        settings, resized = self._resized
        if settings != altered.settings:
            resized = self.classifier.changed(altered.settings) if altered.settings else self.classifier
            self._resized = altered.settings, resized
        return resized.changed(altered.weights) if altered.weights else resized

    def _follow(
        self,
        run: int,
        classifier: Classifier,
        picture: Source,
        called: str,
        label: str | Sequence[str] | None,
        known: Truth = None,
        size: tuple[int, int] | None = None,
    ) -> Shown:
        """`known`, `size`: the truth about a picture that is no file any more, and its file's height and width."""
        trace = classifier.explain(picture, label)
        if known is None:
            known = trace.truth if self._truths is None else self._truths.of(picture, trace.truth)
        trace = replace(trace, source=called, truth=known, size=trace.size or size)
        document = Document(trace, name_of(self.model))
        return Shown(run, picture, called, document, {"offers": self._offers, **self._opens}, classifier)

    def _with_changes(self, shown: Shown) -> Shown:
        """With the page's data about the changes."""
        what_if = summary(self.altered, self.aside, self.classifier, self.plain.document.trace, self.picture)
        shown = replace(shown, extra={**shown.extra, "what_if": what_if})
        assert shown.text, "written here, under the lock, and not by each who reads"
        return shown


def _size(pasts: Iterable[Past], besides: Source) -> int:
    """Bytes in memory of what these runs hold; what several of them share counts once."""
    held: dict[int, int] = {}
    for past in pasts:
        for each in (past.picture, past.altered.pixels, past.aside.pixels):
            size = len(each) if isinstance(each, bytes) else each.nbytes if isinstance(each, np.ndarray) else 0
            held[id(each)] = 0 if each is besides else size
    return sum(held.values())


def _offers(model: Path, classifier: Classifier) -> list[str]:
    """The views, by the page's names, that this model's folder offers besides the walk."""
    offers = ["difference", "compare"]
    if remembers(model):
        offers = ["mistakes", *offers, "readout", *(["life", "makers"] if classifier.network is not None else [])]
    offers += ["training"] if training.has(model) else []
    return [*offers, "live"] if trains(model, classifier) else offers
