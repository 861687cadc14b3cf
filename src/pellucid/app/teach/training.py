"""A training on the collected pictures, in a thread of its own; the page reads a snapshot of its news."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pellucid import api
from pellucid.app.format import many
from pellucid.classifier.store import CONFIG
from pellucid.errors import PellucidError
from pellucid.pictures.store import Decoding
from pellucid.runs.events import DataSummary, Evaluating, Event, Started
from pellucid.runs.folds import CrossValidation
from pellucid.runs.run import Run
from pellucid.training.data import Comparing
from pellucid.training.features import Extracting
from pellucid.training.head import Fitting
from pellucid.training.history import Epoch
from pellucid.training.loop import Step

OVER = ("idle", "done", "stopped", "failed")
"""States in which another training may begin."""

Point = tuple[float, float, float | None]
"""x, the loss on the training pictures, and on the validation pictures."""


@dataclass(frozen=True)
class News:
    """How far the training is.

    * state: preparing, training, evaluating, or one of OVER; message: a sentence about it
    * done, total: of the current work, whatever its unit; total 0 if it is unknown
    * left: seconds of the current work that are left; None if they are unknown
    * across: the unit of the curve's x, "epochs", or "iterations" of the search for the last layer; whole: its end
    * held: pictures held back for the test; None until the split is known
    """

    state: str = "idle"
    message: str = ""
    done: int = 0
    total: int = 0
    seconds: float = 0.0
    left: float | None = None
    across: str = "epochs"
    whole: float | None = None
    curve: tuple[Point, ...] = ()
    held: int | None = None
    model: str | None = None

    def as_json(self) -> dict[str, Any]:
        return dict(vars(self))


@dataclass
class Training:
    """One training of a collection's table into a new model folder, from its creation on. `stop` ends it early."""

    table: Path
    out: Path
    cache: Path
    settings: Mapping[str, Any]
    news: News = field(default_factory=lambda: News("preparing", "Reading the pictures."))
    _stopping: threading.Event = field(default_factory=threading.Event)
    _began: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self._was_there = self.out.exists()
        self._thread = threading.Thread(target=self._run, name="training", daemon=True)
        self._thread.start()

    @property
    def is_over(self) -> bool:
        return self.news.state in OVER

    def stop(self) -> None:
        """End it after its current step, with the best weights so far if there are any."""
        self._stopping.set()

    def wait(self, seconds: float) -> None:
        self._thread.join(seconds)

    def _run(self) -> None:
        try:
            self._train()
        except PellucidError as error:
            self._say("failed", str(error))
        except Exception as error:  # a bug of ours, which must not look as if the training continued
            self._say("failed", f"This is a bug in Pellucid ({type(error).__name__}). Please report it.")
        if self.news.model is None:
            self._remove_begun()

    def _train(self) -> None:
        with closing(api.start(self.table, self.out, cache=self.cache, **self.settings)) as run:
            for event in run:
                self._note(event)
                if self._stopping.is_set():
                    break
            if self._stopping.is_set() and not run.worth_finishing:
                self._say("stopped", "Stopped before there was a model. The pictures are as they were.")
                return
            self._finish(run)
        stopped = self._stopping.is_set()
        words = "Stopped. The best weights so far are the model." if stopped else "The training is done."
        self._say("stopped" if stopped else "done", words, model=self.out.name)

    def _finish(self, run: Run | CrossValidation) -> None:
        self._say("evaluating", "Trying it on the pictures that were held back.")
        finishing: Generator[Evaluating, None, Any] = run.finish()
        for event in finishing:
            self._say("evaluating", self.news.message, event.done, event.total)

    def _note(self, event: Event) -> None:
        match event:
            case Decoding(done, total):
                self._say("preparing", "Reading the pictures.", done, total)
            case Comparing():
                self._say("preparing", "Looking for pictures that look nearly the same.")
            case DataSummary():
                learn = f"{many(event.train, 'picture')} to learn from, {event.test:,} held back for the test"
                self._say("preparing", f"{learn}. Opening the network.", held=event.test)
            case Extracting():
                left = event.seconds_left or None
                words = "Computing what the known network sees in each picture."
                self._say("training", words, event.done, event.total, left=left)
            case Fitting():
                point = (event.iteration, event.train_loss, event.validation_loss)
                curve = (*self.news.curve, point)
                self._say("training", "Fitting the last layer.", across="iterations", curve=curve)
            case Started():
                self._say("training", "Making the first step.", whole=event.epochs or None)
            case Step():
                left = event.seconds_left
                self._say("training", f"Epoch {event.epoch}.", event.step, event.steps, left=left)
            case Epoch():
                if event.steps:
                    point = (event.epoch, event.train_loss, event.validation_loss)
                    self.news = replace(self.news, curve=(*self.news.curve, point))

    def _say(
        self, state: str, message: str, done: int = 0, total: int = 0, left: float | None = None, **more: Any
    ) -> None:
        seconds = time.monotonic() - self._began
        self.news = replace(
            self.news, state=state, message=message, done=done, total=total, left=left, seconds=seconds, **more
        )

    def _remove_begun(self) -> None:
        """Remove the folder of a training that left no model, unless somebody else made it."""
        if not self._was_there and not (self.out / CONFIG).exists():
            shutil.rmtree(self.out, ignore_errors=True)
