"""Processes that look at files: for small pictures, threads would wait for Python's lock more than they decode.

Each is a Python of its own that runs `main` below. It reads requests from its standard input and writes answers to its
standard output, so a script needs no `if __name__ == "__main__"`, and the process ends when its parent ends, however
that happens. It writes no file. Its requests and answers are pickles, from and for this program alone.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from pellucid.pictures import decode
from pellucid.pictures.look import Looks, Way, look
from pellucid.runtime.threads import cores

# it imports what its parent imports; `-P` keeps a file of the current folder from taking a module's name
_PROGRAM = (
    "import pickle, sys; sys.path[:] = pickle.load(sys.stdin.buffer); "
    "from pellucid.pictures.processes import main; main()"
)


_MANY = 4000  # small pictures: with fewer, starting the processes takes longer than they save


class Processes:
    """`count` processes; as many threads may call `look` at once. Close it, or they last as long as this process.

    If one dies, or cannot be started, its work is done in this process: the answer is the same. `running`: those that
    were started.
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
                _send(process, (root, way))
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
            answer = pickle.load(process.stdout)
        except (OSError, EOFError, ValueError, pickle.UnpicklingError):
            if self._closed:
                raise
            return _look(self._root, names, self._way)
        self._idle.put(process)
        if isinstance(answer, BaseException):
            raise answer
        return answer

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
    with suppress(EOFError, OSError):  # the parent has ended
        root, way = pickle.load(requests)
        while True:
            names = pickle.load(requests)
            answer: Any
            try:
                answer = _look(root, names, way)
            except Exception as error:
                answer = error
            pickle.dump(answer, answers, protocol=5)
            answers.flush()
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
    pickle.dump(request, process.stdin, protocol=5)
    process.stdin.flush()
