"""Silence warnings and logs for a while. They belong to the process, so one thread at a time may do it."""

from __future__ import annotations

import io
import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr

_alone = threading.Lock()  # two threads that silence the same thing would not restore it


@contextmanager
def unwarned() -> Iterator[None]:
    """No warnings within the context; another thread that wants the same waits."""
    with _alone, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def silent() -> Iterator[None]:
    """No logs, warnings or output on standard error within the context."""
    with unwarned():
        before = logging.root.manager.disable
        logging.disable(logging.ERROR)
        try:
            with redirect_stderr(io.StringIO()):
                yield
        finally:
            logging.disable(before)


def first_line(error: Exception) -> str:
    """The type of an error and the first line of its message, without a full stop."""
    first = (str(error).strip().splitlines() or [""])[0].rstrip(".: ")
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
