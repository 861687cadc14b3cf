"""The cost of reading a table with many rows: `python benchmarks/listing.py [--rows 2000000]`.

Each way is a new process. Seconds are processor time, because other programs may run too; megabytes are the process's
peak minus its memory after the imports. The pictures do not exist: reading a table opens none. The check whether files
exist is timed separately, on 100,000 existing ones; so are the fingerprint and the division among the sides, once with
the table's groups and once with each picture alone. Prints the table of docs/why/tables.md.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
from pyarrow import parquet

from pellucid.pictures import table as tables
from pellucid.pictures.catalog import Catalog
from pellucid.pictures.columns import Picture, Pictures
from pellucid.pictures.index import Digests, fingerprint, there
from pellucid.pictures.split import split

CLASSES, OF_GROUP = 100, 20  # classes, and pictures per group
FILES = 100_000  # existing files
SIDES = ("train", "train", "train", "val", "test")


def row(number: int, rows: int) -> tuple[str, str, str, str]:
    """Path, label, split and group, not in the catalog's order."""
    place = number * 104_729 % rows
    group = number // OF_GROUP
    path = f"images/part-{place % 1000:03}/picture-{place:07}.jpg"
    return path, f"class {number % CLASSES}", SIDES[group % len(SIDES)], f"patient {group}"


def write(file: Path, rows: int) -> None:
    names = ("path", "label", "split", "group")
    every = (row(number, rows) for number in range(rows))
    if file.suffix == ".parquet":
        parquet.write_table(pyarrow.table(dict(zip(names, zip(*every, strict=True), strict=True))), file)
        return
    with file.open("w", newline="") as stream:
        if file.suffix == ".csv":
            csv.writer(stream).writerows([names, *every])
        else:
            stream.writelines(json.dumps(dict(zip(names, one, strict=True))) + "\n" for one in every)


def objects(file: Path) -> list[Picture]:
    """The rows of a CSV as a list of Picture, in the catalog's order: the alternative to columns."""
    with file.open(newline="") as stream:
        keys = [
            Picture(one["path"], int(one["label"].split()[1]), one["split"], (), int(one["group"].split()[1]))
            for one in csv.DictReader(stream)
        ]
    keys.sort(key=lambda picture: (picture.label, picture.path))
    return keys


def files(folder: Path) -> Iterator[str]:
    for number in range(FILES):
        path = folder / f"{number % 100}" / f"{number}.jpg"
        path.parent.mkdir(exist_ok=True)
        path.touch()
        yield path.relative_to(folder).as_posix()


def divided(file: Path) -> list[Any]:
    """Seconds of the processor for the fingerprint, the division with groups, and that without; and the pictures."""
    pictures = (catalog := tables.read(file)).pictures
    numbers = np.random.default_rng(0)
    digests = Digests(numbers.integers(0, 256, (len(pictures), 32), np.uint8))
    labels, free = pictures.labels.astype(np.int64), np.full(len(pictures), -1)
    seconds, alone = [], np.arange(len(pictures))
    for work in (
        lambda: fingerprint(catalog, digests),
        lambda: split(labels, digests, pictures.groups, free, 0.15, 0.15, 0),
        lambda: split(labels, digests, alone, free, 0.15, 0.15, 0),
    ):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    return [*seconds, pictures]


def memory(which: str) -> float:
    """This process's memory in MB, from Linux: "VmHWM" its peak, "VmRSS" now. `getrusage` counts its parent, too."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith(which)).split()[1]) * 1024 / 1e6


def measured(way: str, file: Path) -> dict[str, Any]:
    """In this process. Peak memory in MB, seconds of the processor."""
    work: Any = {"read": tables.read, "objects": objects, "divided": divided}.get(way)
    if way == "there":
        paths = list(files(file))
        catalog = Catalog(file, ("a",), Pictures.of(Picture(path, 0, None) for path in paths), (), 0)
        work = lambda _: there(catalog)  # noqa: E731
    before, start = memory("VmRSS"), time.process_time()
    result = work(file)
    seconds = time.process_time() - start
    return {
        "seconds": seconds,
        "mb": memory("VmHWM") - before,
        "kept": memory("VmRSS") - before,
        "count": len(result[0].pictures if way == "there" else getattr(result, "pictures", result)),
        "each": result[:3] if way == "divided" else [],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--measure", nargs=2, metavar=("WAY", "FILE"), help="one way, in this process")
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measured(options.measure[0], Path(options.measure[1]))))
        return
    print(
        f"| {options.rows:,} rows | file, MB | seconds | peak, MB | kept, MB | kept, bytes a row |\n"
        "|---|---|---|---|---|---|"
    )
    with tempfile.TemporaryDirectory() as folder:
        for name, way in (("t.csv", "read"), ("t.jsonl", "read"), ("t.parquet", "read"), ("t.csv", "objects")):
            file = Path(folder) / name
            if not file.exists():
                write(file, options.rows)
            figures = measure(way, file)
            assert figures["count"] == options.rows
            what = (
                {".csv": "CSV", ".jsonl": "JSONL", ".parquet": "Parquet"}[file.suffix]
                if way == "read"
                else "the CSV, a Python object a row"
            )
            size, each = os.path.getsize(file) / 1e6, figures["kept"] * 1e6 / options.rows
            took = f"{figures['seconds']:.1f} | {figures['mb']:,.0f} | {figures['kept']:,.0f} | {each:,.0f}"
            print(f"| {what} | {size:,.0f} | {took} |", flush=True)
        figures = measure("divided", Path(folder) / "t.csv")
        whole, groups, alone = figures["each"]
        print(f"\nFingerprint {whole:.1f} s. Divided in groups {groups:.1f} s, each picture alone {alone:.1f} s.")
        print(f"Peak of reading the CSV, fingerprint and both divisions: {figures['mb']:,.0f} MB.")
        figures = measure("there", Path(folder))
        print(f"\nLooking whether a file is there: {figures['seconds'] / FILES * 1e6:.1f} microseconds each.")


def measure(way: str, file: Path) -> dict[str, Any]:
    command = [sys.executable, __file__, "--measure", way, str(file)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


if __name__ == "__main__":
    main()
