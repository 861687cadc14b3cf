"""Processes that look at files: for small pictures, threads would wait for Python's lock more than they decode.

Each is a Python of its own that runs `main` below. It reads requests from its standard input and writes answers to its
standard output, so a script needs no `if __name__ == "__main__"`, and the process ends when its parent ends, however
that happens. It writes no file. A request is a line of JSON. An answer is a line of JSON and, behind it, the bytes of
the arrays, whose shapes follow from the request.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from queue import Empty, SimpleQueue
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from pellucid.pictures import decode, twins
from pellucid.pictures.look import RECORD, Looks, Way, look
from pellucid.pictures.ranges import Ranges
from pellucid.runtime.threads import cores

# it imports what its parent imports; `-P` keeps a file of the current folder from taking a module's name
_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.stdin.buffer.readline()); "
    "from pellucid.pictures.processes import main; main()"
)


_MANY = 4000  # small pictures: with fewer, starting the processes takes longer than they save


class Processes:
    """`count` processes; as many threads may call `look` at once. Close it, or they last as long as this process.

    If one dies, fails, or cannot be started, its work is done in this process: the answer is the same. `running`: those
    that were started.
    """

    def __init__(self, count: int, root: str, way: Way) -> None:
        self._root, self._way, self._closed = root, way, False
        self.running: list[subprocess.Popen[bytes]] = []
        self._idle: SimpleQueue[subprocess.Popen[bytes]] = SimpleQueue()
        for _ in range(count):
            with suppress(OSError):
                self.running.append(_started())
        for process in self.running:
            with suppress(OSError):
                _send(process, [path for path in sys.path if isinstance(path, str)])
                _send(process, {"root": root, **asdict(way)})
            self._idle.put(process)

    def look(self, names: Sequence[str]) -> Looks:
        """`look` at files, by their paths below the root. Raises what it raised."""
        try:
            process = self._idle.get_nowait()
        except Empty:  # all have died
            return _look(self._root, names, self._way)
        try:
            _send(process, names)
            assert process.stdout is not None
            answer = _received(process.stdout, len(names), self._way)
        except (OSError, EOFError, ValueError):
            if self._closed:
                raise
            return _look(self._root, names, self._way)
        self._idle.put(process)
        return _look(self._root, names, self._way) if answer is None else answer

    def close(self) -> None:
        """End them at once, whatever they are doing."""
        self._closed = True
        for process in self.running:
            process.kill()
        for process in self.running:
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with suppress(OSError):  # what was not sent yet
                        pipe.close()


def pay(count: int) -> bool:
    """Whether processes decode `count` small pictures of this machine sooner than a thread.

    Not if there is one core, or if this Python cannot be started again, as in a program frozen into one file.
    """
    name = os.path.basename(sys.executable or "").lower()
    again = name.startswith(("python", "pypy")) and not getattr(sys, "frozen", False)
    return count >= _MANY and cores() > 1 and again


def main() -> None:
    """The whole life of one of the processes."""
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # nothing else may write between the answers
    from pellucid.runtime.memory import keep_memory

    keep_memory()
    decode.expect_several()
    with suppress(OSError):  # the parent has ended
        about = json.loads(requests.readline() or "null")
        way = about and Way(decode.Form(**about["form"]), about["pixel_limit"], Ranges.from_json(about["ranges"]))
        while request := requests.readline():
            try:
                answer = _look(about["root"], json.loads(request), way)
            except Exception:
                answer = None  # the parent tries it, and raises the error
            _answer(answers, answer)
    os._exit(0)  # what is left to flush has no reader


def _look(root: str, names: Sequence[str], way: Way) -> Looks:
    return look([os.path.join(root, name) for name in names], way)


def _started() -> subprocess.Popen[bytes]:
    """In a group of its own: Ctrl-C is for the parent, which then ends it."""
    return subprocess.Popen(
        [sys.executable, "-P", "-c", _PROGRAM, "pellucid: decodes pictures"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},  # it has one core
        process_group=0,  # Windows ignores this, and other systems have no such flag
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
    )


def _send(process: subprocess.Popen[bytes], request: object) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(request).encode() + b"\n")
    process.stdin.flush()


def _answer(answers: IO[bytes], looks: Looks | None) -> None:
    reasons = None if looks is None else list(looks.reasons.items())
    answers.write(json.dumps(reasons).encode() + b"\n")
    if looks is not None:
        for array in (looks.records, looks.images, looks.descriptions):
            answers.write(array.tobytes())
    answers.flush()


def _received(answers: IO[bytes], count: int, way: Way) -> Looks | None:
    """What `_answer` sent of `count` files; None if it could not look at them. Raises EOFError if it is not whole."""
    line = answers.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    if (reasons := json.loads(line)) is None:
        return None
    usable = count - len(reasons)
    records = _array(answers, (count,), RECORD)
    images = _array(answers, (usable, *way.form.shape), np.dtype(np.uint8))
    descriptions = _array(answers, (usable, twins.DESCRIPTION), np.dtype(np.uint8))
    return Looks(records, images, descriptions, dict(reasons))


def _array(answers: IO[bytes], shape: tuple[int, ...], kind: np.dtype[Any]) -> NDArray[Any]:
    array = np.empty(shape, kind)
    content = array.view(np.uint8).reshape(-1).data
    if answers.readinto(content) < len(content):  # type: ignore[attr-defined]
        raise EOFError
    return array
