"""Accuracy and speed, from picture files to a saved model: Pellucid and the Keras blog's small network.

Writes benchmarks/results.json and the table between the marks in README.md.
"""

import argparse
import csv
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from pellucid.app import digits

HERE = Path(__file__).parent
README = HERE.parent / "README.md"
BEGIN, END = "<!-- benchmarks/accuracy.py -->", "<!-- end -->"

# name -> data set, number of seeds (each has its own split; results on few test pictures vary by chance), flags
CASES: dict[str, tuple[str, int, list[str]]] = {
    "digits, compact, as in the demo": ("digits", 1, ["--from-scratch", "--epochs", "12"]),
    "MNIST, compact": ("mnist", 1, ["--from-scratch"]),
    "cats and dogs, compact": ("cats_dogs", 2, ["--from-scratch"]),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--keras", type=Path, help="Python with Keras and TensorFlow")
    parser.add_argument("--only", nargs="*", default=list(CASES), choices=list(CASES))
    arguments = parser.parse_args()
    results = json.loads((HERE / "results.json").read_text()) if (HERE / "results.json").exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        digits.write(work / "digits")
        for name in arguments.only:
            dataset, seeds, flags = CASES[name]
            pictures = work / "digits" if dataset == "digits" else arguments.data / dataset
            runs = [pellucid(pictures, work / f"{dataset}-{seed}", seed, flags) for seed in range(seeds)]
            results[name] = {"runs": runs, "machine": machine()}
            save(results)
        if arguments.keras:
            splits = sorted(work.glob("cats_dogs-*/split.csv"))
            runs = [keras(arguments.keras, arguments.data / "cats_dogs", split) for split in splits]
            results["cats and dogs, the Keras blog's network in Keras"] = {"runs": runs, "machine": machine()}
            save(results)


def pellucid(pictures: Path, out: Path, seed: int, flags: list[str]) -> dict[str, Any]:
    """Run one whole command, from files to a model folder; no decoded picture is reused."""
    cache = out.parent / f"{out.name}-cache"
    command = [sys.executable, "-m", "pellucid", "train", str(pictures), "--out", str(out), "--cache", str(cache)]
    start = time.perf_counter()
    subprocess.run([*command, *flags, "--seed", str(seed)], check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - start
    metrics = json.loads((out / "metrics.json").read_text())["test"]
    config = json.loads((out / "config.json").read_text())
    training = config["training"]
    seen = training["epochs"] * config["data"]["train"]
    return {
        "train": config["data"]["train"],
        "test": metrics["pictures"],
        "correct": metrics["correct"],
        "accuracy": metrics["accuracy"],
        "interval": metrics["interval"],
        "calibration_error": metrics["calibration"]["error"],
        "seconds": seconds,
        "epochs": training["epochs"],
        "images_per_second": seen / training["seconds"],
        "precision": training["precision"],
    }


def keras(python: Path, pictures: Path, split: Path) -> dict[str, Any]:
    """The same network, split and epochs in Keras itself."""
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
    start = time.perf_counter()
    command = [str(python), str(HERE / "keras_blog.py"), str(pictures), str(split)]
    output = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    result = json.loads(output.splitlines()[-1])
    with split.open() as file:
        train = sum(row["side"] == "train" for row in csv.DictReader(file))
    return {**result, "train": train, "seconds": time.perf_counter() - start, "precision": "float32"}


def machine() -> str:
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        model = next((line.split(":")[1].strip() for line in cpuinfo.open() if line.startswith("model name")), model)
    return f"{model}, {len(os.sched_getaffinity(0))} cores"


def save(results: dict[str, Any]) -> None:
    (HERE / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    head, rest = README.read_text().split(BEGIN)
    README.write_text(f"{head}{BEGIN}\n{table(results)}{END}{rest.split(END)[1]}")


def table(results: dict[str, Any]) -> str:
    """A row per case; means over the seeds, the interval of all test answers together."""
    lines = [
        "| pictures, network | trained on | test accuracy (95% interval) | from files to model | training images/s |",
        "|---|---|---|---|---|",
    ]
    for name, entry in results.items():
        runs = entry["runs"]
        mean = {key: sum(run[key] for run in runs) / len(runs) for key in ("accuracy", "seconds", "images_per_second")}
        low, high = (sum(run["interval"][end] for run in runs) / len(runs) for end in (0, 1))
        tested = f"{runs[0]['test']:,}" + (f", {len(runs)} seeds" if len(runs) > 1 else "")
        lines.append(
            f"| {name} | {runs[0]['train']:,}, {runs[0]['epochs']} epochs | {mean['accuracy']:.1%} of {tested} "
            f"({low:.1%} to {high:.1%}) | {mean['seconds'] / 60:.1f} min "
            f"| {mean['images_per_second']:,.0f} ({runs[0]['precision']}) |"
        )
    machines = sorted({entry["machine"] for entry in results.values()})
    return "\n".join([*lines, "", f"Measured on {'; '.join(machines)}.", ""])


if __name__ == "__main__":
    main()
