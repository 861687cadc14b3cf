"""The rate of reading pictures from a bucket: `python benchmarks/places.py FOLDER [--pictures 300] [--rounds 3]`.

The bucket is a moto server on this machine, in a process of its own, which answers at once or after 50 ms. Each way
reads the same pictures in the same run, one way after the other in every round; the best round counts. Prints the table
of docs/why/places.md.

* cat, N threads: fsspec's `cat_file` in a pool of N threads, with the packages' own settings: the peer
* cat, all at once: fsspec's `cat` of a list, which sends its requests together and returns when the last has come
* Pellucid, reading: what predict and train read with; with another number of requests, as a comparison
* Pellucid, decoded: a store built from nothing, at 224x224, with everything that a training needs of it
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fsspec
from tests.addresses import s3
from upath import UPath

from pellucid.pictures import ahead, remote, store
from pellucid.pictures.ahead import Ahead, content
from pellucid.pictures.catalog import Catalog, scan
from pellucid.pictures.decode import Form
from pellucid.steps import result_of

FORM = Form(224, 224, 3, "crop")
LATENCIES = (0.0, 0.05)  # seconds
THREADS = (2, 32)
IN_FLIGHT = (2, 8, 32, 64)


def read(catalog: Catalog, requests: int) -> None:
    ahead.IN_FLIGHT = requests
    with Ahead() as reading:
        paths = [picture.path for picture in catalog.pictures]
        for each in [reading.begun(catalog.picture_at(path), catalog.stamp_listed(path)) for path in paths]:
            content(each)
    ahead.IN_FLIGHT = remote.IN_FLIGHT


def decoded(catalog: Catalog) -> None:
    with tempfile.TemporaryDirectory() as cache:
        result_of(store.build(catalog, FORM, Path(cache))).close()


def cat(paths: list[str], threads: int) -> None:
    system = fsspec.filesystem("s3")  # the same in every round
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(system.cat_file, paths))


def ways(folder: Path, address: UPath) -> dict[str, Callable[[], None]]:
    here, there = scan(folder), scan(address)
    paths = [f"{address.path}/{picture.path}" for picture in there.pictures]
    every: dict[str, Callable[[], None]] = {f"cat, {n} threads": lambda n=n: cat(paths, n) for n in THREADS}
    every["cat, all at once"] = lambda: fsspec.filesystem("s3").cat(paths)
    every |= {f"Pellucid, {n} requests": lambda n=n: read(there, n) for n in IN_FLIGHT}
    return {**every, "Pellucid, decoded": lambda: decoded(there), "the disk, decoded": lambda: decoded(here)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a folder of class folders")
    parser.add_argument("--pictures", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with s3.serving() as server, tempfile.TemporaryDirectory() as copy:
        os.environ.update(s3.as_the_users(server.address))
        system = fsspec.filesystem("s3")
        system.mkdir("bench")
        files = [path for path in sorted(arguments.folder.glob("*/*")) if path.is_file()]
        files = files[:: max(1, len(files) // arguments.pictures)][: arguments.pictures]
        for path in files:
            (Path(copy) / path.parent.name).mkdir(exist_ok=True)
            (Path(copy) / path.parent.name / path.name).write_bytes(path.read_bytes())
        system.put(f"{copy}/", "bench/photos/", recursive=True)
        best: dict[tuple[str, float], float] = {}
        for _ in range(arguments.rounds):
            for latency in LATENCIES:
                server.tell(f"latency {latency}")
                for name, way in ways(Path(copy), UPath("s3://bench/photos")).items():
                    started = time.perf_counter()
                    way()
                    rate = len(files) / (time.perf_counter() - started)
                    best[name, latency] = max(rate, best.get((name, latency), 0.0))
        megabytes = sum(path.stat().st_size for path in files) / 1e6
        print(f"{len(files)} pictures, {megabytes:.1f} MB, pictures/s; load {os.getloadavg()[0]:.0f}\n")
        print("|  | " + " | ".join(f"{latency * 1000:.0f} ms" for latency in LATENCIES) + " |\n|---|---|---|")
        for name in dict.fromkeys(name for name, _ in best):
            print(f"| {name} | " + " | ".join(f"{best[name, latency]:,.0f}" for latency in LATENCIES) + " |")


if __name__ == "__main__":
    main()
