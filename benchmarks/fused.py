"""Training steps with conv + relu + maxpool fused, against PyTorch's own modules: images/s, their ratio, peak memory.

.venv/bin/python benchmarks/fused.py [--rounds 7]

The two ways take turns in one process, so other programs slow both, and each figure is a median. The peak is that of a
process that does only three such steps.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from pellucid.engine import device
from pellucid.engine.device import Engine
from pellucid.network import zoo
from pellucid.network.standardise import Standardise
from pellucid.training import loop
from pellucid.training import recipe as recipes
from pellucid.training.loop import State, Task
from pellucid.training.optimizer import optimizer

SMALL = (
    "conv(32, 3) relu maxpool(2) conv(32, 3) relu maxpool(2) conv(64, 3) relu maxpool(2) "
    "flatten dense(64) relu dropout(0.5) dense"
)
NETWORKS = {"article": ("article", 300, 128), "small": (SMALL, 150, 32)}  # text, side, batch


class Noise:
    """The same pictures for every row."""

    def __init__(self, count: int, side: int) -> None:
        self.pixels = np.random.default_rng(0).integers(0, 256, (count, side, side, 3), np.uint8)

    def batch(self, rows: np.ndarray) -> np.ndarray:
        return self.pixels[: len(rows)].copy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--peak", nargs=3, metavar=("NETWORK", "PRECISION", "WAY"), help="print one peak in MB")
    arguments = parser.parse_args()
    if arguments.peak:
        name, precision, way = arguments.peak
        step = begin(name, replace(device.choose("cpu", precision), fused=way == "fused"))
        for _ in range(3):
            step()
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
        return
    cases = [(name, precision) for name in NETWORKS for precision in ("float32", "bfloat16")]
    # first, because a new process inherits its parent's count
    peaks = [[peak(*case, way) for way in ("plain", "fused")] for case in cases]
    print(f"{torch.get_num_threads()} threads, medians of {arguments.rounds}\n")
    print("| network | precision | plain, images/s | fused | ratio | plain, peak MB | fused |")
    print("|---|---|---|---|---|---|---|")
    for (name, precision), (plain_peak, fused_peak) in zip(cases, peaks, strict=True):
        batch = NETWORKS[name][2]
        plain, fast = race(name, device.choose("cpu", precision), arguments.rounds)
        rates = f"{batch / plain:,.0f} | {batch / fast:,.0f} | {plain / fast:.2f}"
        print(f"| {name} | {precision} | {rates} | {plain_peak:,} | {fused_peak:,} |", flush=True)


def race(name: str, engine: Engine, rounds: int) -> tuple[float, float]:
    """Seconds per step, plain and fused: medians after an uncounted first round."""
    ways = [begin(name, replace(engine, fused=fused)) for fused in (False, True)]
    times = [[timed(step) for step in ways] for _ in range(rounds + 1)][1:]
    plain, fast = (statistics.median(column) for column in zip(*times, strict=True))
    return plain, fast


def begin(name: str, engine: Engine) -> Callable[[], object]:
    """A training step of the network, ready to be called."""
    written, side, batch = NETWORKS[name]
    recipe = recipes.make(epochs=1, batch=batch, augment="none", optimizer="adam")
    module = engine.place(zoo.find(written).network.module((3, side, side), 2))
    rows = np.arange(batch)
    scale = Standardise((0.5,) * 3, (0.25,) * 3)
    task = Task(recipe, engine, scale, "none", Noise(batch, side), rows % 2, rows, rows[:0])
    state = State(module, optimizer(recipe, module), steps=1)
    return lambda: loop.train_step(task, state, rows, 1e-3)


def timed(step: Callable[[], object]) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def peak(name: str, precision: str, way: str) -> int:
    command = [sys.executable, __file__, "--peak", name, precision, way]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


if __name__ == "__main__":
    main()
