"""Work that takes longer than a reader waits: a thread does it beside the page, once it is started."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pellucid.errors import PellucidError
from pellucid.glassbox.page.replies import ENDING

Work = Callable[[], Generator[tuple[int, int], None, Any]]
"""Starts the work: yields (done, total) and returns its result.

It computes with a network of its own or with a copy: the shown run's may be followed meanwhile.
"""


LEFT = 5.0
"""Seconds without a question, after which a job in a line has been left. A page asks twice a second."""

TURN = 0.1  # seconds between two looks at whether a waiting job is to end

IDLE: Mapping[str, Any] = {"state": "idle"}
"""What a page learns about a job that nobody has started."""


@dataclass(frozen=True)
class Progress:
    """The progress of a job. Exactly one of result and error is set once it has ended."""

    done: int = 0
    total: int = 0
    seconds: float = 0.0
    """Since its start."""
    ended: bool = False
    result: Any = None
    error: str | None = None

    def as_json(self) -> dict[str, Any]:
        """ "running" with done, total and seconds; "failed" with the error's sentence; or "done"."""
        if self.error is not None:
            return {"state": "failed", "error": self.error}
        if self.ended:
            return {"state": "done"}
        return {"state": "running", "done": self.done, "total": self.total, "seconds": round(self.seconds, 3)}


class Job:
    """One piece of work in its own thread. Readers get a snapshot."""

    def __init__(self, name: str, work: Work, turn: threading.Lock | None = None) -> None:
        """`turn`: it begins once it has this lock, which those of its line share."""
        self.progress = Progress()
        self.polled = time.monotonic()
        """When somebody last wanted to know its progress."""
        self._work, self._stopped, self._turn = work, threading.Event(), turn
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End it after its current step."""
        self._stopped.set()

    def wait(self, seconds: float) -> None:
        self._thread.join(seconds)

    def _run(self) -> None:
        if self._turn is None:
            return self._compute()
        while not self._turn.acquire(timeout=TURN):
            if self._stopped.is_set():
                self.progress = Progress(ended=True, error=ENDING)
                return None
        try:
            return self._compute()
        finally:
            self._turn.release()

    def _compute(self) -> None:
        begin = time.monotonic()
        try:
            steps = self._work()
            while not self._stopped.is_set():
                done, total = next(steps)
                self.progress = Progress(done, total, time.monotonic() - begin)
            steps.close()
            self.progress = Progress(ended=True, error=ENDING)
        except StopIteration as end:
            self.progress = Progress(ended=True, result=end.value)
        except PellucidError as error:
            self.progress = Progress(ended=True, error=str(error))
        except Exception as error:  # a bug of ours, which must not look as if the work continued
            name = type(error).__name__
            self.progress = Progress(ended=True, error=f"This is a bug in Pellucid ({name}). Please report it.")


class Jobs:
    """The jobs beside a page, by name; each starts once."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._runs: dict[str, int] = {}
        self._lines: dict[str, tuple[threading.Lock, set[str]]] = {}
        self._forgotten: list[Job] = []
        self._latest: dict[str, tuple[Hashable, Any]] = {}
        self._lock, self._one = threading.Lock(), threading.Lock()

    def ask(self, name: str, work: Work, run: int | None = None, line: str = "") -> Progress:
        """The progress of the job with this name; it starts now if it has not yet. `run`: that it is about.

        `line`: the jobs of one line compute one after the other, and those that readers have left end.
        """
        with self._lock:
            left, turn = self._step_out(line, name) if line else ([], None)
            if name not in self._jobs:
                self._jobs[name] = Job(name, work, turn)
                if run is not None:
                    self._runs[name] = run
            self._jobs[name].polled = time.monotonic()
            progress = self._jobs[name].progress
        for job in left:
            job.stop()
        return progress

    def again(self, name: str, work: Work, line: str = "") -> Progress:
        """As `ask`, because a reader wants it: a job that has failed starts anew."""
        before = self.known(name)
        if before is not None and before.error is not None:
            self.drop(name)
        return self.ask(name, work, line=line)

    def _step_out(self, line: str, name: str) -> tuple[list[Job], threading.Lock]:
        """The left jobs of a line, taken out of it, and the lock that gives its turns. This one joins it."""
        turn, names = self._lines.setdefault(line, (threading.Lock(), set()))
        now = time.monotonic()
        waiting = {each: self._jobs[each] for each in names if each in self._jobs and each != name}
        gone = {each: job for each, job in waiting.items() if not job.progress.ended and now - job.polled > LEFT}
        self._drop(gone)
        names.intersection_update(self._jobs)
        names.add(name)
        return list(gone.values()), turn

    def _drop(self, names: Iterable[str]) -> list[Job]:
        """Forget jobs that are being stopped, but not that their threads run."""
        dropped = [self._jobs.pop(name) for name in names]
        self._runs = {name: of for name, of in self._runs.items() if name in self._jobs}
        self._forgotten = [job for job in [*self._forgotten, *dropped] if not job.progress.ended]
        return dropped

    def known(self, name: str) -> Progress | None:
        """The progress of a job, without starting it; None if nobody has."""
        with self._lock:
            job = self._jobs.get(name)
            if job is None:
                return None
            job.polled = time.monotonic()
            return job.progress

    def result(self, name: str, key: Hashable) -> Any:
        """The cached result of `latest` for this key; None without one."""
        known = self._latest.get(name)
        return known[1] if known is not None and known[0] == key else None

    def only(self, run: int) -> None:
        """Stop the jobs about other runs after their current step, and drop their results."""
        with self._lock:
            dropped = self._drop([name for name, of in self._runs.items() if of != run])
        for job in dropped:
            job.stop()

    def drop(self, name: str) -> None:
        """Stop the job with this name, if there is one, after its current step, and drop its result."""
        with self._lock:
            dropped = self._drop([name] if name in self._jobs else [])
        for job in dropped:
            job.stop()

    def latest(self, name: str, key: Hashable, make: Callable[[], Any]) -> Any:
        """The result of `make`, cached until another key is requested. One at a time; its errors are raised."""
        with self._one:
            known = self._latest.get(name)
            if known is None or known[0] != key:
                self._latest[name] = (key, make())
            return self._latest[name][1]

    def end(self, seconds: float) -> None:
        """Stop all jobs and wait for them, because nothing may run during Python's shutdown."""
        with self._lock:
            jobs = [*self._jobs.values(), *self._forgotten]
        until = time.monotonic() + seconds
        for job in jobs:
            job.stop()
        for job in jobs:
            job.wait(max(0.0, until - time.monotonic()))
