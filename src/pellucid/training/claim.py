"""An output folder that one process at a time may write. A file inside names it, and is locked while it lives."""

from __future__ import annotations

import json
import os
import platform
import shlex
import sys
import threading
import time
import weakref
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pellucid import files
from pellucid.errors import ArtefactError, StorageError
from pellucid.pictures.lock import Lock

NAME = ".pellucid.lock"
LONGEST = 200  # letters of a command in a message
TRIES, WAIT = 40, 0.05  # a folder or a lock may disappear during the check; seconds between two tries


@dataclass(frozen=True)
class Holder:
    """The process that writes a folder, from its lock: number, machine, start (local time), command."""

    process: int
    machine: str
    since: str
    command: str

    def __str__(self) -> str:
        where = "" if self.machine == platform.node() else f" on {self.machine}"
        return f"process {self.process}{where}, since {self.since}: {self.command}"


class Claim:
    """The right to write into `folder`, from `take` to `release`, or until the process ends in any way.

    Within one process a later claim of the same thread takes the folder over, and the earlier one is `lost`: an
    interrupted run that is still referenced must not block the next one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lost = False
        self._key = os.path.realpath(folder)
        self._lock = Lock(folder / NAME)
        self._made: list[Path] = []
        self._thread: threading.Thread | None = None
        self._end: weakref.finalize | None = None

    @property
    def held(self) -> bool:
        return self._end is not None and self._end.alive

    def take(self, new: bool = False) -> None:
        """Create the folder if necessary, and claim it.

        Raises FileExistsError if it must be `new` and is not, ArtefactError that names the process that holds it, and
        StorageError if it cannot be written.
        """
        with _GUARD:
            other = _CLAIMS.get(self._key)
            if other is not None and other.held:
                other._give_to(self)
            else:
                self._acquire(new)
            self._thread = threading.current_thread()
            self._end = weakref.finalize(self, _release, self._key, self._lock, self._made)
            _CLAIMS[self._key] = self
            if self._lock.held:
                _describe(self._lock.file)

    def release(self) -> None:
        """Release the folder. If it was created for this claim and is empty, remove it."""
        if self._end is not None:
            self._end()

    def check(self) -> None:
        """Raise ArtefactError if the folder no longer belongs to this claim."""
        if self.lost:
            raise ArtefactError(f"{self.folder} was taken over by a later run of this program.")
        if not self.held:
            raise ArtefactError(f"The run in {self.folder} has ended. Start it again with resume=True to continue.")

    def _acquire(self, new: bool) -> None:
        for _ in range(TRIES):
            try:
                self._made += _make(self.folder, new)
                if self._lock.acquire():
                    return
            except StorageError as error:  # the process that made the folder may be removing it
                if not isinstance(error.__cause__, FileNotFoundError):
                    raise
            if (holder := read(self.folder)) is not None:
                raise ArtefactError(_taken(self.folder, str(holder)))
            time.sleep(WAIT)
        raise ArtefactError(_taken(self.folder, "it does not say which"))

    def _give_to(self, later: Claim) -> None:
        if self._thread is not threading.current_thread() and self._thread is not None and self._thread.is_alive():
            raise ArtefactError(_taken(self.folder, f"thread {self._thread.name} of this program"))
        assert self._end is not None
        self._end.detach()
        self.lost = True
        later._lock, later._made = self._lock, self._made


def read(folder: Path) -> Holder | None:
    """The process that a folder's lock names, alive or not; None if there is none."""
    try:
        content = json.loads((folder / NAME).read_text(encoding="utf-8"))
        return Holder(int(content["process"]), *(str(content[key]) for key in ("machine", "since", "command")))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def inside(folder: Path) -> list[Path]:
    """The contents of a folder except a lock."""
    return [path for path in folder.iterdir() if path.name != NAME]


def _taken(folder: Path, holder: str) -> str:
    return (
        f"Another process is writing to {folder} ({holder}). Wait until it ends, or stop it; or choose another --out."
    )


def _make(folder: Path, new: bool) -> list[Path]:
    """Create the folder; returns the folders that had to be created, the outermost first."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        with files.storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=not new)
    except StorageError as error:
        if new and isinstance(error.__cause__, FileExistsError):
            raise error.__cause__ from None
        raise
    return missing[::-1]


def _describe(file: int) -> None:
    began = time.strftime("%Y-%m-%d %H:%M:%S")
    content = {"process": os.getpid(), "machine": platform.node(), "since": began, "command": _command()}
    with suppress(OSError):  # a full disk: the lock works anyway
        os.ftruncate(file, 0)
        os.lseek(file, 0, os.SEEK_SET)
        os.write(file, json.dumps(content).encode())


def _command() -> str:
    words = sys.orig_argv
    if Path(sys.argv[0]).stem == "pellucid":
        words = ["pellucid", *sys.argv[1:]]
    line = shlex.join(words).encode("utf-8", "backslashreplace").decode().replace("\n", " ")
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}…"


def _release(key: str, lock: Lock, made: list[Path]) -> None:
    _CLAIMS.pop(key, None)
    lock.close()
    for folder in reversed(made):
        with suppress(OSError):  # not empty
            folder.rmdir()


def _forget() -> None:
    """In a forked process, drop the parent's claims. Otherwise the child would hold them after the parent's end."""
    for claim in list(_CLAIMS.values()):
        if claim._end is not None:
            claim._end.detach()
        if claim._lock.held:
            os.close(claim._lock.file)
            claim._lock.file = -1
    _CLAIMS.clear()


_GUARD = threading.Lock()
_CLAIMS: weakref.WeakValueDictionary[str, Claim] = weakref.WeakValueDictionary()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
