"""Peak memory of a whole training on 1,000 and on 100,000 small pictures: they should need about the same.

.venv/bin/python benchmarks/memory.py [--counts 1000 100000]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", type=int, nargs="+", default=[1000, 100_000])
    for count in parser.parse_args().counts:
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder) / "pictures", count)
            print(json.dumps({"pictures": count, **train(Path(folder))}), flush=True)


def write(folder: Path, count: int) -> None:
    """Noise of 16x16 pixels in two classes, no two alike."""
    random = np.random.default_rng(0)
    for number in range(count):
        path = folder / "ab"[number % 2] / str(number % 97) / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(path)


def train(folder: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "pellucid", "train", "pictures", "--out", "model", "--cache", "cache"]
    command += ["--model", "conv(8, 3) relu maxpool(2) flatten dense", "--size", "32", "--epochs", "1", "--batch", "64"]
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0
    return {"seconds": round(time.perf_counter() - start, 1), "peak_mb": round(usage.ru_maxrss / 1024)}


if __name__ == "__main__":
    main()
