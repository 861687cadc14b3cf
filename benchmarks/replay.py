"""The cost of `train --replay`: bytes per frame, total bytes, and its share of the training time.

    .venv/bin/python benchmarks/replay.py [--only article ...]

Steps are timed on random pictures with each network's default settings, and frames are really written. The share is
(frames x seconds per frame) / (steps x seconds per step) of a default training on 1,000 pictures, 700 of them to train
on. Fewer training steps run here, because each takes the same time. Each time is the least of several, because these
machines are shared.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from pellucid.engine import device
from pellucid.network import zoo
from pellucid.network.standardise import Standardise
from pellucid.training import loop, recorder
from pellucid.training import recipe as recipes
from pellucid.training.loop import State, Task
from pellucid.training.optimizer import optimizer
from pellucid.training.recorder import Recorder
from pellucid.training.resolve import resolve_length

# network -> side, channels, classes
CASES = {"article": (300, 3, 2), "lenet5": (32, 1, 10), "compact": (96, 3, 2), "resnet18": (224, 3, 2)}
TRAIN, VALIDATION = 700, 150
STORED = 64  # different pictures; the others repeat them
TIMED = 2.0  # seconds of steps at a time
REPEATS = 6


class Pictures:
    def __init__(self, side: int, channels: int) -> None:
        self.images = np.random.default_rng(0).integers(0, 256, (STORED, side, side, channels), np.uint8)

    def batch(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        return self.images[rows % STORED]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=list(CASES), choices=list(CASES))
    print("| network | steps | frames | kB a frame | MB in all, pictures included | s a step | s a frame | share |")
    print("|---|---|---|---|---|---|---|---|")
    for name in parser.parse_args().only:
        with tempfile.TemporaryDirectory() as folder:
            print(measure(name, Path(folder)), flush=True)


def measure(name: str, folder: Path) -> str:
    side, channels, classes = CASES[name]
    recipe, _ = resolve_length(recipes.make(model=name, replay=True), TRAIN)
    augment = recipe.augment if recipe.augment != "auto" else "light" if channels == 1 else "strong"
    engine = device.choose("cpu")
    torch.manual_seed(0)
    module = engine.place(zoo.find(name).network.module((channels, side, side), classes))
    labels = np.arange(TRAIN + VALIDATION) % classes
    rows = np.arange(TRAIN + VALIDATION)
    scale = Standardise((0.5,) * channels, (0.29,) * channels)
    task = Task(recipe, engine, scale, augment, Pictures(side, channels), labels, rows[:TRAIN], rows[TRAIN:])
    state = State(module, optimizer(recipe, module), steps=(recipe.epochs or 0) * task.steps_per_epoch)
    step_seconds = min(loop.measure_steps(task, state, TIMED) for _ in range(REPEATS))
    made = Recorder(folder, task, state, [str(row) for row in rows], [str(label) for label in range(classes)])
    due = [step for step in range(state.steps + 1) if recorder.is_due(step, state.steps, None)]
    made.note(state)  # allocates memory, and is not timed
    times = []
    for state.step in due[1:]:
        start = time.perf_counter()
        made.note(state)
        times.append(time.perf_counter() - start)
    frame_seconds = min(times)
    size = made.size
    frames = [path.stat().st_size for path in folder.glob("frame-*")]
    assert size.frames == len(due) == len(frames)
    share = size.frames * frame_seconds / (state.steps * step_seconds)
    return (
        f"| {name} at {side}x{side}, {classes} classes | {state.steps:,} | {size.frames} | {np.mean(frames) / 1e3:.0f} "
        f"| {size.bytes / 1e6:.1f} | {step_seconds:.4f} | {frame_seconds:.4f} | {share:.2%} |"
    )


if __name__ == "__main__":
    main()
