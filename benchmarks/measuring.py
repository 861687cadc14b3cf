"""Measure one process: its time, the peak memory of it and all that it starts, and its last printed line."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

GLANCE = 0.05  # seconds between two reads of the main process's own peak, which the kernel tracks
EVERY = 20  # reads per look at the shares of all processes, for which the kernel walks over their pages


@dataclass(frozen=True)
class Measured:
    """`answer` is the JSON of the last printed line, if it is JSON; `failed` says what went wrong."""

    seconds: float
    peak_mb: float  # proportional set size of the whole process tree, sampled; at least the main process's own peak
    own_mb: float | None  # the part without a file behind it, sampled; None if the system does not report it
    load: float  # average of the last minute, before it began
    answer: dict[str, Any]
    failed: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value is not None}


def measure(command: list[str], limit: float, environment: dict[str, str] | None = None) -> Measured:
    """Run a command to its end, at most `limit` seconds; memory in MB (10**6 bytes)."""
    load = os.getloadavg()[0]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        process = subprocess.Popen(
            command, stdout=out, stderr=errors, env={**os.environ, **(environment or {})}, start_new_session=True
        )
        memory = Memory(process.pid)
        ended = threading.Event()
        timer = threading.Timer(limit, end, [process.pid, ended])
        timer.start()
        memory.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:  # Ctrl-C goes to this process only
            end(process.pid, ended)
            raise
        seconds = time.perf_counter() - start
        timer.cancel()
        memory.stop()
        process.returncode = os.waitstatus_to_exitcode(status)
        printed, complaint = last_line(out), last_line(errors)
    # ru_maxrss would start at this process's own size, which a child has until it runs its command
    peak = memory.peak or usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    failed = None
    if ended.is_set():
        failed = f"not done after {limit:g} s"
    elif process.returncode != 0:
        failed = complaint[:160] or f"exit status {process.returncode}"
    answer = json.loads(printed) if failed is None and printed.startswith("{") else {}
    return Measured(seconds, peak / 1e6, memory.own / 1e6 if memory.own else None, load, answer, failed)


def end(session: int, ended: threading.Event) -> None:
    ended.set()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(session, signal.SIGKILL)


def last_line(file: Any) -> str:
    file.seek(0)
    lines = [line for line in file.read().decode(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""


class Memory(threading.Thread):
    """Watches a session of processes; `peak` and `own` in bytes, 0 without /proc."""

    def __init__(self, session: int) -> None:
        super().__init__(daemon=True)
        self.session, self.peak, self.own = session, 0, 0
        self._done = threading.Event()

    def run(self) -> None:
        for glance in itertools.count(1):
            if self._done.wait(GLANCE):
                return
            self.peak = max(self.peak, own_peak(self.session))
            if glance % EVERY == 0:
                sizes = [proportional(process) for process in members(self.session)]
                self.peak = max(self.peak, sum(size[0] for size in sizes))
                self.own = max(self.own, sum(size[1] for size in sizes))

    def stop(self) -> None:
        self._done.set()
        self.join()


def own_peak(process: int) -> int:
    """A process's peak memory since it runs its command, in bytes; 0 if it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


def members(session: int) -> list[Path]:
    """The folders in /proc of all processes of a session."""
    processes = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.getsid(int(folder.name)) == session:
                processes.append(folder)
    return processes


def proportional(process: Path) -> tuple[int, int]:
    """A process's share of its mapped memory, and the part of it without a file, in bytes; (0, 0) if it has ended."""
    try:
        rows = (line.split() for line in (process / "smaps_rollup").read_text().splitlines()[1:])
        sizes = {row[0].rstrip(":"): 1024 * int(row[1]) for row in rows}
    except OSError:
        return 0, 0
    return sizes["Pss"], sizes.get("Pss_Anon", 0) + sizes.get("Pss_Shmem", 0)


def machine() -> dict[str, Any]:
    """The machine behind the figures."""
    model, cpuinfo = platform.processor() or platform.machine(), Path("/proc/cpuinfo")
    if cpuinfo.exists():
        model = next((line.split(":")[1].strip() for line in cpuinfo.open() if line.startswith("model name")), model)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": model,
        "cores": cores,
        "memory_gb": round(memory / 1e9),
        "system": platform.system(),
        "python": platform.python_version(),
    }
