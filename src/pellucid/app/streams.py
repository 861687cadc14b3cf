"""The standard streams, which may be closed, or in an encoding that cannot express every name."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO


def open_all() -> None:
    """Make writing to a closed standard output or error harmless, as to a file that nobody reads.

    A later file must not get the number of a closed stream: a library's warnings would go into it. A closed standard
    input stays None in Python: nothing can be read there.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            os.set_inheritable(number, True)
    if sys.stderr is None:
        sys.stderr = _Nowhere("")
    if sys.stdout is None:
        sys.stdout = _Nowhere("pellucid: standard output is closed; the output is lost.")
    if type(sys.stderr) is io.TextIOWrapper:  # ours alone, not a test's or a notebook's
        stderr = io.BufferedWriter(_Harmless(sys.stderr.fileno(), "w", closefd=False))
        sys.stderr = io.TextIOWrapper(stderr, sys.stderr.encoding, line_buffering=True, write_through=True)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that this terminal cannot show must not stop work


class _Harmless(io.FileIO):
    """Standard error whose failures, for example on a full disk, are ignored."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


class _Nowhere(io.TextIOWrapper):
    """Takes all output, and says once on standard error that it is lost."""

    def __init__(self, lost: str) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8")
        self._note, self.lost = lost, False

    def write(self, text: str) -> int:
        if self._note and text and not self.lost:
            print(self._note, file=sys.stderr)
        self.lost = self.lost or bool(text)
        return len(text)


@contextmanager
def silent() -> Iterator[None]:
    """Discard what this process prints within the block, also by its compiled libraries on standard error."""
    before, errors = (sys.stdout, sys.stderr), os.dup(2)
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        sys.stdout = sys.stderr = nowhere
        try:
            yield
        finally:
            sys.stdout, sys.stderr = before
            os.dup2(errors, 2)
            os.close(errors)


def is_lost() -> bool:
    """Whether something was written to a standard output that is closed."""
    return isinstance(sys.stdout, _Nowhere) and sys.stdout.lost


def write_json(content: object, stream: TextIO | None = None, indent: int | None = None) -> None:
    """Write one JSON value and a line end, valid in any encoding of the stream; standard output by default.

    In UTF-8, names stay readable, and a byte of a name that is not UTF-8 becomes JSON's own \\udc80, which Python's
    os.fsencode turns back. In any other encoding everything except ASCII is escaped.
    """
    encoding = (getattr(stream or sys.stdout, "encoding", None) or "utf-8").lower().replace("_", "-")
    text = json.dumps(content, indent=indent, ensure_ascii=encoding not in ("utf-8", "utf8"), default=str)
    print(text, file=stream)


def stop_writing() -> None:
    """Discard what is still in the buffer of standard output, which nobody reads any more."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
