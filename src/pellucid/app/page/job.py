"""Work that takes longer than a reader waits: a thread does it beside the page, once it is started."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from pellucid.errors import PellucidError
from pellucid.glassbox.page.replies import ENDING

Work = Callable[[], Generator[tuple[int, int], None, Any]]
"""Starts the work: yields (done, total) and returns its result.

It computes with a network of its own or with a copy: the shown run's may be followed meanwhile.
"""


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

    def __init__(self, name: str, work: Work) -> None:
        self.progress = Progress()
        self._work, self._stopped = work, threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End it after its current step."""
        self._stopped.set()

    def wait(self, seconds: float) -> None:
        self._thread.join(seconds)

    def _run(self) -> None:
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
        self._forgotten: list[Job] = []
        self._latest: dict[str, tuple[Hashable, Any]] = {}
        self._lock, self._one = threading.Lock(), threading.Lock()

    def ask(self, name: str, work: Work, run: int | None = None) -> Progress:
        """The progress of the job with this name; it starts now if it has not yet. `run`: that it is about."""
        with self._lock:
            if name not in self._jobs:
                self._jobs[name] = Job(name, work)
                if run is not None:
                    self._runs[name] = run
            return self._jobs[name].progress

    def known(self, name: str) -> Progress | None:
        """The progress of a job, without starting it; None if nobody has."""
        with self._lock:
            job = self._jobs.get(name)
            return None if job is None else job.progress

    def result(self, name: str, key: Hashable) -> Any:
        """The cached result of `latest` for this key; None without one."""
        known = self._latest.get(name)
        return known[1] if known is not None and known[0] == key else None

    def only(self, run: int) -> None:
        """Stop the jobs about other runs after their current step, and drop their results."""
        with self._lock:
            others = [name for name, of in self._runs.items() if of != run]
        self.drop(*others)

    def drop(self, *names: str) -> None:
        """Stop the jobs with these names after their current step, and drop their results."""
        with self._lock:
            dropped = [self._jobs.pop(name) for name in names if name in self._jobs]
            for name in names:
                self._runs.pop(name, None)
            self._forgotten = [job for job in [*self._forgotten, *dropped] if not job.progress.ended]
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
