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
