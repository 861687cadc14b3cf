"""The cost of `pellucid makers`: a training made again with every picture's push on every filter, against its steps.

    .venv/bin/python benchmarks/makers.py PICTURES [--only teaching ...] [--pairs 3]

PICTURES is a folder with cats and dogs, for `compact`; the other two learn scikit-learn's digits. Each network is
trained once. Each pair then makes the same training again twice: its steps alone, which is the training without its
validations, and with the makers of all filters. Reading the pictures is in neither. Times are of the processor, because
these machines are shared; the ratios are of pairs: their median, with the least and the largest.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import pellucid
from pellucid.app import digits, teaching
from pellucid.life import pushes
from pellucid.life.again import Again, opened
from pellucid.life.filters import collect
from pellucid.steps import result_of

CASES: dict[str, dict[str, Any]] = {
    "teaching": {name: value for name, value in teaching.SETTINGS.items() if name != "replay"},
    "lenet5": {"model": "lenet5", "epochs": 6},
    "compact": {"model": "compact", "epochs": 2, "size": 96},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--pairs", type=int, default=3)
    options = parser.parse_args()
    print("| network | filters | pictures | steps | steps alone | with all makers | ratio | sums in memory | load |")
    print("|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        digits.write(folder / "digits")
        for name in options.only:
            pictures = options.pictures if name == "compact" else folder / "digits"
            print(measure(pictures, folder, name, options.pairs), flush=True)


def measure(pictures: Path, folder: Path, name: str, count: int) -> str:
    """A row of the table."""
    out, cache = folder / name, folder / "cache"
    pellucid.train(pictures, out, cache=cache, device="cpu", **CASES[name])
    pairs, filters, again = [], 0, None
    for _ in range(count):
        again = result_of(opened(out, cache))
        began = time.process_time()
        for _ in again.steps():
            pass
        alone = time.process_time() - began
        again = result_of(opened(out, cache))
        began = time.process_time()
        makers = result_of(collect(again))
        pairs.append((alone, time.process_time() - began))
        filters = sum(len(layer.filters) for layer in makers.layers)
        if makers.drift is not None:
            raise SystemExit(f"{name} was not repeated to the last bit: {makers.drift}")
    assert isinstance(again, Again)
    rows, ratios = len(again.task.train), sorted(full / alone for alone, full in pairs)
    alone, full = (statistics.median(each[at] for each in pairs) for at in (0, 1))
    return (
        f"| `{name}` | {filters:,} | {rows:,} | {again.last:,} | {alone:.2f} s | {full:.2f} s | "
        f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}) | "
        f"{2 * pushes.BYTES * filters * rows / 1e6:.1f} MB | {os.getloadavg()[0]:.1f} |"
    )


if __name__ == "__main__":
    main()
