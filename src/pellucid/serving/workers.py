"""Several processes that answer at one address and share the weights.

The models are loaded once, then the process forks: the weights lie in memory that none of the processes writes to, so
they are there once. Python's own memory and what each computes are each process's own.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable
from types import FrameType

from pellucid.errors import RecipeError
from pellucid.serving import logs
from pellucid.serving.running import INTERRUPTED, Service, answer

SOON = 1.0  # seconds: a process that ends sooner than this after its start would only end again
CRASHED = 70  # exit status of a process with a fault


def run(service: Service, listener: socket.socket, workers: int, announce: Callable[[], None]) -> int:
    """Answer with so many processes until SIGTERM or Ctrl-C; SIGHUP reloads the models. Returns the exit status.

    `announce` is called when signals are heard; a second Ctrl-C ends all processes at once. A process that ends by
    itself is replaced. Raises RecipeError where the system cannot fork.
    """
    gc.collect()
    gc.freeze()  # a collection looks at what is new: it neither copies the memory that is shared nor holds up requests
    if workers == 1:
        answer(service, listener, announce)
        return 0
    if not hasattr(os, "fork"):
        raise RecipeError(f"--workers is {workers}; this system cannot fork, so it must be 1.")
    return _Crew(service, listener).lead(workers, announce)


class _Crew:
    """The processes, and the one that leads them: it answers nothing, and passes signals on."""

    def __init__(self, service: Service, listener: socket.socket) -> None:
        self._service, self._listener = service, listener
        self._ending = self._interrupted = self._killed = False
        self._alive = os.pipe()
        """Held open by the leader alone: a worker that reads its end has lost it."""
        self._numbers: dict[int, tuple[int, float]] = {}
        """A process -> which worker it is, and when it began."""

    def lead(self, workers: int, announce: Callable[[], None]) -> int:
        signal.signal(signal.SIGINT, self._interrupt)
        signal.signal(signal.SIGTERM, self._end)
        signal.signal(signal.SIGHUP, self._pass_on)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        # each signal writes here at once; os.wait could miss one that comes just before the process sleeps
        heard, hears = os.pipe()
        os.set_blocking(hears, False)
        signal.set_wakeup_fd(hears, warn_on_full_buffer=False)
        for worker in range(workers):
            self._start(worker)
        announce()
        status = 0
        while self._numbers:
            process, ended = os.waitpid(-1, os.WNOHANG)
            if not process:
                select.select([heard], [], [])
                os.read(heard, 4096)
                continue
            worker, began = self._numbers.pop(process, (0, 0.0))
            if self._ending:
                continue
            code = os.waitstatus_to_exitcode(ended)
            logs.line("worker ended", "error", worker=worker, process=process, status=code)
            if time.monotonic() - began < SOON:
                status, self._ending = 1, True
                self._tell(signal.SIGTERM)
            else:
                self._start(worker)
        return status or (INTERRUPTED if self._killed else 0)

    def _start(self, worker: int) -> None:
        signals = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)  # the child must not inherit one half of our state
        process = os.fork()
        if process == 0:
            self._work(worker, signals)
        self._numbers[process] = worker, time.monotonic()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
        if self._ending:  # the signal came while the child was made
            os.kill(process, signal.SIGTERM)

    def _work(self, worker: int, signals: set[signal.Signals]) -> None:
        """In the child; never returns."""
        status = CRASHED
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for number in signals:
                signal.signal(number, signal.SIG_DFL if number != signal.SIGHUP else signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)
            self._service.metrics.work_as(worker)
            self._end_with_leader()
            answer(self._service, self._listener)
            status = 0
        except BaseException as error:
            logs.line("fault", "error", worker=worker, error=repr(error))
        finally:
            os._exit(status)

    def _end_with_leader(self) -> None:
        """A leader that is killed cannot end its workers, which would keep the port."""
        read, write = self._alive
        os.close(write)

        def wait() -> None:
            os.read(read, 1)
            os.kill(os.getpid(), signal.SIGTERM)

        threading.Thread(target=wait, name="leader", daemon=True).start()

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        self._ending = True
        self._tell(signal.SIGTERM)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        """A terminal sends Ctrl-C to the workers too. So the first must not count twice there: see Server."""
        if self._interrupted:
            self._killed = True
            self._tell(signal.SIGKILL)
        self._interrupted = True
        self._end(number, frame)

    def _pass_on(self, number: int, _frame: FrameType | None) -> None:
        self._tell(number)

    def _tell(self, number: int) -> None:
        for process in list(self._numbers):
            try:
                os.kill(process, number)
            except ProcessLookupError:
                continue
