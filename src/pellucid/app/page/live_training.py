"""The training by hand beside a page: its one thread, which ends when no page watches it any more.

The thread does everything that touches the session, one task after the other: the requests of the page, and steps
while the training runs. What it has learned stays in memory when it ends, so a page that comes back goes on from there.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar

from pellucid.classifier.classifier import Classifier
from pellucid.errors import PellucidError
from pellucid.glassbox.page.replies import ENDING, Refused
from pellucid.runtime.threads import work_alone

if TYPE_CHECKING:  # opening a page need not wait for the training
    from pellucid.live.session import Session

Result = TypeVar("Result")

PATIENCE = 5.0
"""Seconds without a request of a page, after which the training pauses and the thread ends."""
IDLE = 0.25  # seconds between two looks at whether a page still watches
POINT = 0.2  # seconds between two points of the curves, at least
SHARE = 10  # a point is measured in at most this part of the time
UNWATCHED = "Paused, because no page was watching. Press Run to go on."
STOPPED = "Paused by an error ({}): the computer may be short of memory. Undo, or press Run to try again."


@dataclass(frozen=True)
class Running:
    """`speed`: steps a second; None for as many as the machine makes."""

    speed: float | None
    begun: float
    """By time.monotonic, when the speed was set."""
    steps: int = 0
    """Since then."""

    @property
    def due(self) -> float:
        """The time of the next step."""
        return self.begun if self.speed is None else self.begun + self.steps / self.speed


class LiveTraining:
    """The one training by hand of a served model. Requests may come from any thread.

    `cache`: where decoded pictures are; None for the user's own. The model folder and the classifier never change.
    """

    def __init__(self, model: Path, classifier: Classifier) -> None:
        self.model, self._classifier = model, classifier
        self.cache: Path | None = None
        self._session: Session | None = None
        self._tasks: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock, self._ending = threading.Lock(), False
        self._watched = 0.0
        self._decoded, self._error = (0, 0), ""
        self._running: Running | None = None
        self._next_point = 0.0
        self._changed, self._message = 0, ""

    def start(self) -> dict[str, Any]:
        """Read the model's pictures, if that is not done yet; returns `progress`. Raises Refused when all ends."""
        with self._lock:
            self._awake()
        return self.progress()

    def progress(self) -> dict[str, Any]:
        """ "idle", "preparing" with pictures done and total, "failed" with a sentence, or "ready"."""
        self._watched = time.monotonic()
        if self._session is not None:
            return {"state": "ready"}
        if self._error:
            return {"state": "failed", "error": self._error}
        if self._thread is None:
            return {"state": "idle"}
        done, total = self._decoded
        return {"state": "preparing", "done": done, "total": total}

    def do(self, work: Callable[[Session], Result], changes: bool = True) -> Result:
        """Do this on the training's thread, and wait for it. Raises what it raises, and Refused if there is none yet.

        `changes`: whether the page has something new to draw afterwards.
        """
        session = self._session
        if session is None:
            raise Refused(HTTPStatus.CONFLICT, "The training by hand has not begun. Open “Change and train” first.")
        future: Future[Result] = Future()

        def task() -> None:
            try:
                if changes:
                    self._changed, self._message = self._changed + 1, ""
                future.set_result(work(session))
            except BaseException as error:
                future.set_exception(error)

        with self._lock:
            self._watched = time.monotonic()
            self._awake()
            self._tasks.put(task)
        return future.result()

    def run(self, speed: float | None) -> None:
        """Train until `pause`, a loss that is no number, or the page goes away; or go on at another speed."""

        def begin(_session: Session) -> None:
            self._running = Running(speed, time.monotonic())

        self.do(begin)

    def pause(self) -> None:
        """End the run; what it has done can be undone as a whole."""
        self.do(self._rest)

    def news(self) -> dict[str, Any]:
        """What only this object knows: "revision" grows with each change, "running", "speed", and a "message"."""
        running = self._running
        return {
            "revision": self._changed,
            "running": running is not None,
            "speed": running.speed if running is not None else None,
            "message": self._message,
        }

    def end(self, seconds: float) -> None:
        """Stop after the current step, and wait for it. Nothing can be begun afterwards."""
        with self._lock:
            self._ending, thread = True, self._thread
        if thread is not None:
            thread.join(seconds)

    # ---- the thread

    def _awake(self) -> None:
        """Start the thread if there is none. Called under the lock."""
        if self._ending:
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, ENDING)
        if self._thread is None:
            self._watched, self._error = time.monotonic(), ""
            self._thread = threading.Thread(target=self._work, name="live", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        # one thread is faster for networks of this size, and leaves a core to the browser
        work_alone()
        try:
            if self._session is None:
                self._session = self._prepared()
        except PellucidError as error:
            self._error = str(error)
        except Exception as error:  # a bug of ours, which must not look as if the work continued
            self._error = f"This is a bug in Pellucid ({type(error).__name__}). Please report it."
        while not self._left():
            try:
                wait = IDLE if self._running is None else min(IDLE, max(0.0, self._running.due - time.monotonic()))
                self._tasks.get(timeout=wait)()
            except Empty:
                self._go_on()

    def _left(self) -> bool:
        """Whether the thread ends now: nobody watches, or the server stops."""
        with self._lock:
            alone = time.monotonic() - self._watched > PATIENCE
            if not (self._ending or self._session is None or (alone and self._tasks.empty())):
                return False
            if self._running is not None and self._session is not None:
                self._rest_unwatched(self._session)
            while not self._tasks.empty():  # whoever waits for an answer gets it
                self._tasks.get()()
            self._thread = None
            return True

    def _prepared(self) -> Session | None:
        from pellucid.live.material import gather
        from pellucid.live.session import Session
        from pellucid.pictures.store import default_cache

        steps = gather(self.model, self._classifier, self.cache if self.cache is not None else default_cache())
        while not self._ending:
            try:
                self._decoded = next(steps)
            except StopIteration as end:
                return Session(end.value)
        steps.close()
        return None

    def _go_on(self) -> None:
        """The next step of the run, if one is due."""
        from pellucid.training.loop import NotFinite

        session, running = self._session, self._running
        if session is None or running is None or running.due > time.monotonic():
            return
        self._running = Running(running.speed, running.begun, running.steps + 1)
        self._changed += 1
        try:
            session.step()
            if (now := time.monotonic()) >= self._next_point:
                session.note()
                took = time.monotonic() - now
                self._next_point = now + max(POINT, SHARE * took)
        except NotFinite:  # session.trouble says it
            self._running = None
        except Exception as error:  # as memory that is full: the thread must live on, because requests wait for it
            self._running, self._message = None, STOPPED.format(type(error).__name__)

    def _rest(self, session: Session) -> None:
        self._running = None
        session.close()

    def _rest_unwatched(self, session: Session) -> None:
        self._message = UNWATCHED
        try:
            self._rest(session)
        except Exception as error:  # nobody waits for an answer, and the thread has to end in order
            self._message = STOPPED.format(type(error).__name__)
