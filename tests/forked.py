"""`pellucid` in a separate process without importing torch: forked from one that has imported it (warm.py).

For tests that need a whole process: signals, kills, two at once, pipes. A test of the interpreter itself, of imports,
or of streams that are closed from the start, runs `python -m pellucid` instead.
"""

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Self

WARM = multiprocessing.get_context("forkserver")
WARM.set_forkserver_preload(["tests.warm"])


class Command:
    """A running command. Used like subprocess.Popen with text pipes; `stderr`: a descriptor instead of a pipe."""

    def __init__(
        self,
        *words: object,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        stderr: int | None = None,
    ) -> None:
        out, write_out = WARM.Pipe(duplex=False)
        err, write_err = WARM.Pipe(duplex=False)
        if stderr is not None:
            write_err.close()
            write_err = Connection(os.dup(stderr), readable=False)
        call = (list(map(str, words)), str(cwd or Path.cwd()), dict(os.environ if env is None else env))
        self._process = WARM.Process(target=_run, args=(*call, write_out, write_err))
        self._process.start()
        write_out.close()
        write_err.close()
        self.stdout, self.stderr = (os.fdopen(os.dup(end.fileno()), encoding="utf-8", newline="") for end in (out, err))
        out.close()
        err.close()
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit status; minus the signal that ended it."""
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def send_signal(self, signal: int) -> None:
        os.kill(self.pid, signal)

    def kill(self) -> None:
        self._process.kill()

    def wait(self, seconds: float | None = None) -> int | None:
        """Raises TimeoutError."""
        self._process.join(seconds)
        if self._process.exitcode is None:
            raise TimeoutError(f"process {self.pid} has not ended within {seconds} s")
        return self._process.exitcode

    def communicate(self) -> tuple[str, str]:
        """All of its standard output and standard error until it ends."""
        with ThreadPoolExecutor(2) as readers:
            out, err = readers.map(lambda stream: stream.read(), (self.stdout, self.stderr))
        self.close()
        return out, err

    def close(self) -> None:
        """Wait for it, and close the pipes."""
        self.wait()
        self.stdout.close()
        self.stderr.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def run(*words: object, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess:
    """Run a command to its end."""
    command = Command(*words, cwd=cwd, env=env)
    out, err = command.communicate()
    assert command.returncode is not None
    return subprocess.CompletedProcess(["pellucid", *words], command.returncode, out, err)


def _run(words: list[str], cwd: str, environment: dict[str, str], out: Connection, err: Connection) -> None:
    """The process's work: it takes its folder, environment and streams, and runs `pellucid`."""
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    by_line = bool(environment.get("PYTHONUNBUFFERED"))
    for number, end in enumerate((out, err), start=1):
        os.dup2(end.fileno(), number)
        end.close()
    sys.stdout, sys.stderr = (
        open(number, "w", 1 if lines else -1, "utf-8", closefd=False)  # noqa: SIM115
        for number, lines in ((1, by_line), (2, True))
    )
    from pellucid.app.cli import main

    sys.argv = ["pellucid", *words]
    sys.exit(main())
