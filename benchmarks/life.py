"""The cost of `pellucid life`: making a training again with a weight's parts, against the training itself.

    .venv/bin/python benchmarks/life.py PICTURES [--only teaching ...] [--pairs 3]

PICTURES is a folder with cats and dogs, for `compact`; the other two learn scikit-learn's digits. Each pair trains, and
then makes the same training again and follows one weight of the first convolution. `training` is the loop alone, with
its validations; `life` is from the first step to the finished life. Reading the pictures is in neither. Both are in
seconds of the processor, on one thread, because these machines are shared. Each number is the median of the pairs, with
the least and the largest ratio.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import torch

import pellucid
from pellucid.app import digits, teaching
from pellucid.life.again import opened
from pellucid.life.story import living
from pellucid.runs.events import Started
from pellucid.steps import result_of

CASES: dict[str, dict[str, Any]] = {
    "teaching": {name: value for name, value in teaching.SETTINGS.items() if name != "replay"},
    "lenet5": {"model": "lenet5", "epochs": 4},
    "compact": {"model": "compact", "epochs": 2, "size": 96},
}
WEIGHT = "conv1.weight[3, 0, 2, 2]"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--pairs", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| network | steps | training | life | life / training | load |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        digits.write(folder / "digits")
        for name in options.only:
            pictures = options.pictures if name == "compact" else folder / "digits"
            pairs = [pair(pictures, folder, name, number) for number in range(options.pairs)]
            ratios = sorted(life / training for training, life, _ in pairs)
            trained, again = (statistics.median(each[at] for each in pairs) for at in (0, 1))
            print(
                f"| `{name}` | {pairs[0][2]:,} | {trained:.2f} s | {again:.2f} s | {statistics.median(ratios):.2f} "
                f"({ratios[0]:.2f} to {ratios[-1]:.2f}) | {os.getloadavg()[0]:.1f} |",
                flush=True,
            )


def pair(pictures: Path, folder: Path, name: str, number: int) -> tuple[float, float, int]:
    """(seconds of the training up to its saved weights, seconds of the life, steps) of a training and its repeat."""
    out, cache = folder / f"{name}{number}", folder / "cache"
    with closing(pellucid.start(pictures, out, cache=cache, device="cpu", **CASES[name])) as run:
        began = 0.0
        for event in run:
            if isinstance(event, Started):
                began = time.process_time()
        training = time.process_time() - began
        pellucid.finish(run)
    steps = json.loads((out / "config.json").read_text())["training"]["steps"]
    again = result_of(opened(out, cache, [WEIGHT]))
    began = time.process_time()
    (life,) = result_of(living(again, [WEIGHT]))
    seconds = time.process_time() - began
    if not life.exact:
        raise SystemExit(f"{name} was not repeated to the last bit: {life.drift}")
    # a training goes on after its best epoch; a life ends there
    return training * life.steps / steps, seconds, life.steps


if __name__ == "__main__":
    main()
