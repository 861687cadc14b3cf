"""One at a time: what is the process's and not a thread's, its warnings and its log, is put aside and back."""

from __future__ import annotations

import io
import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr

_alone = threading.Lock()  # two that put the same aside would not put it back


@contextmanager
def unwarned() -> Iterator[None]:
    """No warning is told within it; another thread that wants the same waits."""
    with _alone, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def silent() -> Iterator[None]:
    """Nothing is logged, warned of or printed to standard error within it."""
    with unwarned():
        before = logging.root.manager.disable
        logging.disable(logging.ERROR)
        try:
            with redirect_stderr(io.StringIO()):
                yield
        finally:
            logging.disable(before)
