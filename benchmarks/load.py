"""Put a server under load for minutes: check answers, statuses and memory, and measure how long answers take.

    python benchmarks/load.py [MODEL] [--minutes 5] [--workers N] [--clients 64] [--pictures DIR]

It measures the unloaded time with one client and the capacity with many. Then requests become due at 60% of the
capacity; one in ten is broken or hostile. Server and clients share the machine. Without MODEL it serves `compact` at
128x128 with untrained weights. Without DIR it makes JPEG files of 446x374 that compress like photographs. The exit
status is 1 if an answer is wrong, missing or 5xx, or if memory grows by more than a twentieth. Times do not affect it.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from clients import Case, Outcome, closed_loop, open_loop
from PIL import Image

import pellucid

SHARE = 0.1  # of the requests are broken or hostile
RATE = 0.6  # of the capacity
GROWTH = 1.05  # of the memory, from the second tenth of the run to the last
PICTURES = 64
HEIGHT, WIDTH = 374, 446


def compact(folder: Path) -> Path:
    """Write a model folder: `compact` at 128x128 with two classes and untrained weights."""
    import torch

    from pellucid.classifier import store
    from pellucid.classifier.classifier import Classifier
    from pellucid.classifier.predict.load import lasting
    from pellucid.network import zoo
    from pellucid.network.standardise import Standardise
    from pellucid.pictures.decode import Form

    torch.manual_seed(1)
    network = zoo.find("compact").network
    module = network.module((3, 128, 128), 2).eval()
    scale = Standardise((0.5,) * 3, (0.25,) * 3)
    store.save(folder, Classifier(network, module, ("cat", "dog"), Form(128, 128, 3, "pad"), scale, 1.0), {})
    lasting(folder).predict(np.zeros((128, 128, 3), np.uint8))  # compares the runtime with PyTorch, as a training does
    return folder


def pictures(folder: Path | None) -> list[bytes]:
    """The files of a folder, or JPEG files of smooth colours with noise, which compress like photographs."""
    if folder is not None:
        paths = [path for path in sorted(folder.rglob("*")) if path.is_file()][:PICTURES]
        return [path.read_bytes() for path in paths]
    made, random = [], np.random.default_rng(3)
    for _ in range(PICTURES):
        coarse = Image.fromarray(random.integers(0, 255, (12, 14, 3), dtype=np.uint8)).resize((WIDTH, HEIGHT))
        image = np.clip(np.asarray(coarse, float) + random.normal(0, 8, (HEIGHT, WIDTH, 3)), 0, 255).astype(np.uint8)
        content = io.BytesIO()
        Image.fromarray(image).save(content, "JPEG", quality=88)
        made.append(content.getvalue())
    return made


@contextmanager
def server(model: Path, workers: int, log: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process that runs `pellucid serve`, and its port."""
    command = [sys.executable, "-m", "pellucid", "serve", f"model={model}", "--port", "0", "--workers", str(workers)]
    with log.open("w") as file, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=file, text=True) as process:
        assert process.stdout is not None
        first_line = process.stdout.readline()
        address = re.search(r"http://127\.0\.0\.1:(\d+)", first_line)
        if address is None:
            raise SystemExit(f"The server did not start: {first_line}{log.read_text()}")
        try:
            yield process, int(address[1])
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0, "the server did not end well"


def memory(process: int) -> float:
    """MB of a process and its children. Shared pages count once (PSS)."""
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    total = 0
    for each in (process, *children):
        shared = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{each}/smaps_rollup").read_text(), re.MULTILINE)
        total += int(shared[1]) if shared else 0
    return total / 1e3


@dataclass(eq=False)
class Watch:
    """The memory of a server in MB, sampled every second."""

    process: int
    samples: list[float] = field(default_factory=list)
    _done: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def watching(self) -> Iterator[None]:
        def look() -> None:
            while not self._done.wait(1):
                self.samples.append(memory(self.process))

        thread = threading.Thread(target=look)
        thread.start()
        try:
            yield
        finally:
            self._done.set()
            thread.join()

    @property
    def first_and_last(self) -> tuple[float, float]:
        """Medians of the second tenth and the last tenth. The first tenth still loads code."""
        tenth = max(1, len(self.samples) // 10)
        return statistics.median(self.samples[tenth : 2 * tenth] or self.samples), statistics.median(
            self.samples[-tenth:]
        )


def percentile(seconds: list[float], share: float) -> float:
    return float(np.percentile(seconds, share * 100)) * 1e3


def report(outcomes: list[Outcome], watch: Watch, unloaded: float, capacity: float) -> dict[str, object]:
    proper = [each for each in outcomes if each.kind == "proper"]
    answered = [each.seconds for each in proper if each.status == 200]
    first, last = watch.first_and_last
    return {
        "requests": len(outcomes),
        "hostile": len(outcomes) - len(proper),
        "statuses": dict(sorted(Counter(each.status for each in proper).items())),
        "hostile_statuses": dict(sorted(Counter(each.status for each in outcomes if each.kind != "proper").items())),
        "wrong": sum(not each.right for each in outcomes),
        "server_errors": sum(each.status >= 500 for each in outcomes),
        "unloaded_median_ms": round(unloaded, 2),
        "capacity_per_s": round(capacity, 1),
        "rate_per_s": round(capacity * RATE, 1),
        "median_ms": round(percentile(answered, 0.5), 2),
        "p99_ms": round(percentile(answered, 0.99), 2),
        "p99_over_unloaded_median": round(percentile(answered, 0.99) / unloaded, 2),
        "memory_first_mb": round(first, 1),
        "memory_last_mb": round(last, 1),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--measure", type=float, default=10, help="seconds for the unloaded time, and for the capacity")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        model = options.model or compact(Path(temporary) / "model")
        contents = pictures(options.pictures)
        answers = pellucid.load(model).predict(contents)
        cases = [Case(each, answer.probabilities or {}) for each, answer in zip(contents, answers, strict=True)]
        log = Path(temporary) / "log"
        with server(model, options.workers, log) as (process, port):
            asyncio.run(closed_loop(port, cases, 8, options.measure / 3))  # loads what the server loads late
            alone = asyncio.run(closed_loop(port, cases, 1, options.measure))
            unloaded = percentile([each.seconds for each in alone], 0.5)
            began = time.monotonic()
            many = asyncio.run(closed_loop(port, cases, 16, options.measure))
            capacity = sum(each.status == 200 for each in many) / (time.monotonic() - began)
            watch = Watch(process.pid)
            with watch.watching():
                loaded = asyncio.run(
                    open_loop(port, cases, options.clients, capacity * RATE, options.minutes * 60, SHARE)
                )
        summary = report([*alone, *many, *loaded], watch, unloaded, capacity)
        summary.update(report(loaded, watch, unloaded, capacity))
        faults = [line for line in log.read_text().splitlines() if '"event": "fault"' in line]
    print(json.dumps(summary, indent=1))
    for line in faults[:3]:
        print(line)
    first, last = watch.first_and_last
    failed = summary["wrong"] or summary["server_errors"] or faults or last > first * GROWTH
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
