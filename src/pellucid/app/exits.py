"""The exit statuses of a command, with their meaning. Imports nothing heavy."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """A process's exit status; `meaning` is the text on the reference page."""

    meaning: str

    def __new__(cls, status: int, meaning: str) -> Exit:
        member = int.__new__(cls, status)
        member._value_ = status
        member.meaning = meaning
        return member

    OK = 0, "success"
    ERROR = 1, "an error; standard error holds one line that says what was wrong"
    USAGE = 2, "a wrong command line"
    UNUSABLE = 3, "some pictures could not be used; the others were"
    STOPPED = 130, "stopped by Ctrl-C; the work so far is saved"
