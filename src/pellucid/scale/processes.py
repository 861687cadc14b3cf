"""`pellucid train --processes N`: start N processes of this machine by PyTorch's elastic launcher, and look after them.

Each process runs the same command (app/member.py). A process that a signal kills ends the others, and all continue from
the last checkpoint. An error of the command ends the training; its one line has been printed by then.
"""

from __future__ import annotations

import logging
import signal
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pellucid.errors import RecipeError
from pellucid.runs.place import CHECKPOINTS, is_complete
from pellucid.runtime.threads import cores

TRIES = 3  # starts in a row without a new checkpoint between them
MOST = 4  # processes for each core
PATIENCE = 7 * 24 * 3600  # seconds to save what there is after Ctrl-C; a second Ctrl-C ends all at once


def train(count: int, words: Sequence[str], out: Path, resume: bool) -> int:
    """Run `pellucid train WORDS --out OUT` in `count` processes; returns the exit status.

    `words` has neither --out nor --resume nor --processes. Raises RecipeError for too many processes, or if they cannot
    start.
    """
    if count > MOST * cores():
        raise RecipeError(
            f"processes is {count}; it must be at most {MOST} for each core, here {MOST * cores()}. Each takes 200 MB "
            "of memory, and seconds to start."
        )
    if count > cores():
        print(f"{count} processes on {cores()} cores: they will wait for each other.", file=sys.stderr)
    command = ["-P", "-m", "pellucid", "train", *words, "--out", str(out)]
    tries, before = 0, None
    while True:
        status, killed = _run(count, [*command, *(["--resume"] if resume else [])])
        if not killed or is_complete(out):
            return 0 if killed else status
        progress = _checkpoints(out)
        tries, before = (1 if progress != before else tries + 1), progress
        if tries >= TRIES:
            print(f"pellucid: {killed} {TRIES} times without a new checkpoint. Is the memory full?", file=sys.stderr)
            return status
        print(f"{killed}; continuing from the last checkpoint", file=sys.stderr)
        resume = True


def _run(count: int, arguments: list[str]) -> tuple[int, str]:
    """One start of all processes, until they end: the exit status, and which one a signal killed, in words."""
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    settings: dict[str, Any] = {"min_nodes": 1, "max_nodes": 1, "nproc_per_node": count, "max_restarts": 0}
    settings |= {"rdzv_backend": "c10d", "rdzv_endpoint": "127.0.0.1:0", "local_addr": "127.0.0.1"}
    settings |= {"run_id": uuid.uuid4().hex, "monitor_interval": 0.1, "shutdown_timeout": PATIENCE}
    known = {name: value for name, value in settings.items() if name in LaunchConfig.__dataclass_fields__}
    caught = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)  # by the launcher
    handlers = {each: signal.getsignal(each) for each in caught}
    logging.disable(logging.CRITICAL)  # the launcher's own reports: the processes have said what is wrong
    try:
        with TemporaryDirectory(prefix="pellucid-") as folder:  # the launcher's own files
            config = LaunchConfig(**known, logs_specs=DefaultLogsSpecs(log_dir=folder))
            elastic_launch(config, sys.executable)(*arguments)
    except ChildFailedError as error:
        failures = sorted(error.failures.items(), key=lambda pair: pair[1].timestamp)
        for rank, failure in failures:
            if failure.exitcode < 0:
                name = signal.Signals(-failure.exitcode).name
                return 128 - failure.exitcode, f"process {rank} was killed by {name}"
        return failures[0][1].exitcode, ""
    except SignalException as stop:
        return 128 + stop.sigval, ""
    except (RuntimeError, OSError) as error:
        raise RecipeError(f"{count} processes cannot be started: {str(error).splitlines()[0]}.") from error
    finally:
        logging.disable(logging.NOTSET)
        for each, handler in handlers.items():
            signal.signal(each, handler)
    return 0, ""


def _checkpoints(out: Path) -> list[str]:
    place = out / CHECKPOINTS
    return sorted(path.name for path in place.iterdir()) if place.is_dir() else []
