"""Watch a running training in the browser: `pellucid train --open`.

The server runs on a thread and reads files and the latest news; it never touches the training itself.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid import api
from pellucid.app import progress
from pellucid.app.format import many
from pellucid.app.page import training
from pellucid.app.page.first import first
from pellucid.app.page.shown import Glass
from pellucid.classifier.classifier import Classifier
from pellucid.errors import ArtefactError, PellucidError
from pellucid.glassbox.page import replies
from pellucid.glassbox.page.replies import Query, Refused, Reply
from pellucid.pictures.store import Decoding
from pellucid.runs.events import DataSummary, Evaluating, Event, FoldBegun, Started
from pellucid.runs.folds import CrossValidation
from pellucid.runs.made_from import trained_on
from pellucid.runs.report import Report
from pellucid.runs.run import Run
from pellucid.steps import Steps
from pellucid.training.data import Comparing
from pellucid.training.features import Extracting
from pellucid.training.history import Epoch
from pellucid.training.loop import Step

if TYPE_CHECKING:
    from pellucid.app.page.server import Server
    from pellucid.classifier.predict.pictures import Source

OVER = ("done", "stopped", "failed")
"""States after which the server stops."""
POLL = 0.05  # seconds until a stopping server stops
WATCHED = 5.0  # seconds after a page's last request in which it counts as open
LAST_WORD = 3.0  # seconds for a page to learn how it ended
SENT = 0.2  # seconds for a reply to leave


class Live:
    """Sits between a run and its iterator: the events pass through, and the page learns about them.

    "state" is preparing, training, evaluating, opening, or one of OVER; "message" is a sentence about the current or
    finished work.
    """

    def __init__(self, run: Run | CrossValidation) -> None:
        self.run = run
        self.news: dict[str, Any] = {"state": "preparing", "message": "Reading the folder."}
        self._epochs: list[dict[str, float | None]] = []
        self._last_request = -WATCHED
        self._end_sent = threading.Event()

    # ---- as a run

    @property
    def out(self) -> Path:
        return self.run.out  # without --out it may change when the run begins

    @property
    def worth_finishing(self) -> bool:
        return self.run.worth_finishing

    def __iter__(self) -> Iterator[Event]:
        for event in self.run:
            self._note(event)
            yield event

    def save_checkpoint(self) -> None:
        self._say("evaluating", "Stopped by Ctrl-C. Saving the work so far.")
        self.run.save_checkpoint()

    def finish(self) -> Generator[Evaluating, None, Report]:
        evaluating = Steps(self.run.finish())
        for event in evaluating:
            self._say("evaluating", f"Evaluating on the {event.side} pictures: {event.done:,} of {event.total:,}.")
            yield event
        return evaluating.result

    # ---- as what a server shows

    def get(self, path: str, query: Query) -> Reply:
        """The reply to a request of the page. Raises PellucidError."""
        if path == "/api/training":
            self._last_request = time.monotonic()
            news = self.news
            reply = training.overview(self.out, self._epochs, news)
            if news["state"] in OVER:
                self._end_sent.set()
            return reply
        if path == "/api/training/frame":
            return training.frame(self.out, query)
        if path == "/api/training/picture":
            return training.picture(self.out, query)
        if path == "/api/document":
            return replies.as_json({"version": 1, "training": self.out.resolve().name})
        raise self.refusal

    @property
    def refusal(self) -> Refused:
        """The refusal of requests that need a trained network."""
        return Refused(HTTPStatus.CONFLICT, "The training is still running. Wait until it is done.")

    def end(self, state: str, message: str) -> None:
        """Publish the last news."""
        self._say(state, message)

    def wait_until_told(self) -> None:
        """Give an open page time to learn how it ended, before the server stops."""
        if (
            self.news["state"] in OVER
            and time.monotonic() - self._last_request < WATCHED
            and self._end_sent.wait(LAST_WORD)
        ):
            time.sleep(SENT)

    # ---- the news

    def _say(self, state: str, message: str) -> None:
        self.news = {**self.news, "state": state, "message": message}

    def _note(self, event: Event) -> None:
        match event:
            case Decoding(done, total):
                self._say("preparing", f"Reading pictures: {done:,} of {total:,}.")
            case Comparing(done, total):
                self._say("preparing", f"Looking for twins: {done:,} of {total:,}.")
            case DataSummary():
                message = f"{many(event.train, 'picture')} to train on, in {len(event.classes)} classes."
                self._say("preparing", f"{message} Choosing the fastest way to train here.")
            case Extracting(done, total):
                self._say("preparing", f"Computing features: {done:,} of {total:,} pictures.")
            case Started():
                self.news = {**self.news, "epochs": event.epochs, "steps": event.steps, "step": event.resumed_at or 0}
                self._say("training", "Making the first step.")
            case FoldBegun(fold, folds):
                self._epochs = []  # each fold has its own curves
                self._say("training", f"Fold {fold} of {folds}." if fold else "Final training on all pictures.")
            case Step():
                seen = asdict(event)
                progress = {key: seen[key] for key in ("epoch", "step", "steps", "images_per_second", "seconds_left")}
                self.news = {**self.news, **progress, "state": "training", "message": ""}
            case Epoch():
                known = asdict(event)
                self._epochs = [*self._epochs, {name: known[name] for name in training.EPOCH}]


def train(run: Run | CrossValidation, browser: bool) -> int:
    """Train in view of a person at the terminal and in the browser; then show the model until Ctrl-C.

    Returns the exit status. If stopped by Ctrl-C, or failed, it ends as without a page.
    """
    from pellucid.app.page import server as servers

    live = Live(run)
    with servers.listening(live) as server:
        with _answering(server, live):
            print(f"Watch the training at {server.address}", flush=True)
            if browser:
                servers.browse(server.address)
            status = _watched(live)
            glass = _opened(live) if status == 0 else None
        return servers.serve(server, glass) if glass is not None else status


@contextmanager
def _answering(server: Server, live: Live) -> Iterator[None]:
    """A thread answers the page; at the end the page gets time to learn how it ended."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": POLL}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        live.wait_until_told()
        server.shutdown()
        thread.join()


def _watched(live: Live) -> int:
    """As progress.watch; also tells the page how it ended."""
    try:
        status = progress.watch(live)
    except KeyboardInterrupt:
        live.end("stopped", "The training was stopped by Ctrl-C.")
        raise
    except PellucidError as error:
        live.end("failed", f"The training has failed. {error}")
        raise
    except BaseException as error:
        live.end("failed", f"The training has failed ({type(error).__name__}); see the terminal for details.")
        raise
    if status == 0:
        live.end("opening", "The training is done. Opening the model.")
    else:
        live.end("stopped", "The training was stopped by Ctrl-C. The work so far is saved; continue with --resume.")
    return status


def _opened(live: Live) -> Glass | None:
    """The trained network on one of its pictures; None if none exists any more, which page and terminal then say."""
    try:
        classifier = api.load(live.out, trust=True)
        return Glass(classifier, live.out, _picture(classifier, live.out))
    except PellucidError as error:
        live.end("done", f"The training is done. {error}")
        print(f"The model cannot be opened on one of its pictures: {error}")
        return None


def _picture(classifier: Classifier, model: Path) -> Source:
    """A picture that the network was not trained on, if there is one."""
    try:
        example = first(classifier, model)
    except ArtefactError:
        example = None
    if example is not None:
        return example
    pictures = trained_on(model)
    if not pictures:
        raise ArtefactError(f"They are gone. Name another: pellucid open {model} picture.jpg")
    return pictures[0]
