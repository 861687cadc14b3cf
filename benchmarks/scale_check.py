"""Check the simulation of scale.py: let it predict whole runs on this machine from measured parts, and time the runs.

    python benchmarks/scale_check.py PICTURES [--kills 5] [--epochs 40]

Two predictions. A step of two processes: two independent processes of one thread train half batches at the same time,
and each step of theirs is a worker's part. A run that is killed: the steps, the start and the checkpoints of a run that
is not killed, and the moments of the kills. Both compare with what `pellucid train --processes 2` then takes.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scale import Team, simulate

SETTINGS = ("--model", "compact", "--size", "96", "--augment", "none", "--validation", "0", "--test", "0")
BATCH = 64
EVERY = 15.0  # seconds between two checkpoints, as in training/checkpoint.py
PARAMETERS = 0.40e6  # of compact


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=40)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        run(chosen.pictures, work, "warm", 1, 1, BATCH)  # decodes and compiles
        alone = steps(chosen.pictures, work, "alone", chosen.epochs // 4)
        print(f"load {os.getloadavg()[0]:.1f}; without an exchange, half a batch each: {mean_ms(alone)} ms a step")
        seconds, whole = run(chosen.pictures, work, "whole", 2, chosen.epochs, BATCH)
        measured = durations(whole)
        team = Team(2, alone, 4 * PARAMETERS, bandwidth(), latency=100e-6)
        predicted = simulate(team, len(measured), np.random.default_rng(0))
        each = predicted.seconds / len(measured) * 1000
        print(f"a step of two processes: predicted {each:.1f} ms, measured {mean_ms(measured)} ms")
        start = seconds - float(measured.sum())
        print(f"a run of {len(measured):,} steps: {seconds:.1f} s, of which {start:.1f} s before and after the steps")
        killed_seconds, moments = killed(chosen.pictures, work, chosen.epochs, chosen.kills, seconds)
        one = Team(1, measured, restart=start, every=EVERY)
        outcome = simulate(one, len(measured), np.random.default_rng(0), [moment - start for moment in moments])
        whole_run, lost = start + outcome.seconds, outcome.lost
        print(f"{len(moments)} kills: predicted {whole_run:.1f} s ({lost:.1f} s lost), measured {killed_seconds:.1f} s")


def command(pictures: Path, work: Path, out: str, processes: int, epochs: int, batch: int) -> list[str]:
    words = [sys.executable, "-m", "pellucid", "train", pictures, *SETTINGS, "--batch", batch, "--epochs", epochs]
    return [str(word) for word in (*words, "--processes", processes, "--out", work / out, "--cache", work / "cache")]


def run(pictures: Path, work: Path, out: str, processes: int, epochs: int, batch: int) -> tuple[float, Path]:
    """Seconds of a whole command, and its model folder."""
    began = time.perf_counter()
    subprocess.run(command(pictures, work, out, processes, epochs, batch), check=True, capture_output=True)
    return time.perf_counter() - began, work / out


def steps(pictures: Path, work: Path, out: str, epochs: int) -> NDArray[np.float64]:
    """The steps of two processes of one thread that train half batches at the same time, in seconds."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    commands = [command(pictures, work, f"{out}-{number}", 1, epochs, BATCH // 2) for number in range(2)]
    running = [subprocess.Popen(each, env=environment, stdout=subprocess.DEVNULL) for each in commands]
    for each in running:
        if each.wait():
            raise SystemExit(f"{each.args} ended with {each.returncode}")
    return np.concatenate([durations(work / f"{out}-{number}") for number in range(2)])


def durations(model: Path) -> NDArray[np.float64]:
    """Seconds of each step, equal within an epoch; the first epoch, which compiles, does not count."""
    with (model / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    ends = [0, *(int(row["steps"]) for row in rows)]
    counts = np.diff(ends)
    return np.repeat([float(row["seconds"]) for row in rows] / counts, counts)[counts[0] :]


def killed(pictures: Path, work: Path, epochs: int, kills: int, seconds: float) -> tuple[float, list[float]]:
    """Seconds of a run in which a process is killed `kills` times, and the moments."""
    chance = random.Random(1)
    began, moments = time.perf_counter(), []
    launcher = subprocess.Popen(
        command(pictures, work, "killed", 2, epochs, BATCH), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while launcher.poll() is None:
        time.sleep(chance.uniform(0.5, 1) * seconds / max(1, kills) + 5)
        if len(moments) < kills and launcher.poll() is None and (there := workers(launcher.pid)):
            os.kill(chance.choice(there), signal.SIGKILL)
            moments.append(time.perf_counter() - began)
    launcher.wait()
    return time.perf_counter() - began, moments


def workers(process: int) -> list[int]:
    """The processes that a launcher started."""
    tasks = Path(f"/proc/{process}/task")
    children = [child for task in tasks.iterdir() for child in (task / "children").read_text().split()]
    return [int(each) for each in children if b"pellucid" in Path(f"/proc/{each}/cmdline").read_bytes()]


def mean_ms(durations: NDArray[np.float64]) -> str:
    return f"{durations.mean() * 1000:.1f}"


def bandwidth() -> float:
    """Bytes a second that one process copies to another, by a pipe of this machine."""
    block, count = b"x" * (1 << 20), 200
    writer = subprocess.Popen(
        [sys.executable, "-c", f"import sys\nfor _ in range({count}): sys.stdout.buffer.write(b'x' * (1 << 20))"],
        stdout=subprocess.PIPE,
    )
    assert writer.stdout is not None
    writer.stdout.read(len(block))
    began = time.perf_counter()
    rest = writer.stdout.read()
    return len(rest) / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
