"""Pictures on a cluster of one machine, beside single processes and beside plain Ray Data.

python benchmarks/ray_predict.py MODEL FOLDER [--turns 3] [--rounds 4]

Each turn runs three contenders, one after the other, on the pictures below FOLDER and on `rounds` times as many. What
starting costs is the same in both, so the difference is what a further picture costs, in seconds of the clock and of
the processors:

* processes: Pellucid in as many processes as there are cores, each alone with its share and one thread, without Ray
* ray: `pellucid predict --ray`
* plain: Ray Data with PyTorch as its tutorials write it: read_binary_files, Pillow, write_parquet; an actor for each
  core with half of it, because reading needs cores too

Prints a line of JSON for each contender, with the medians of the turns. `--pictures N` measures instead the memory of
the process that the user sees, for N names: it lists them, cuts the list into blocks and hands these to Ray.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter, sleep

CONTENDERS = ("processes", "ray", "plain")
CORES = len(os.sched_getaffinity(0))
TICKS = os.sysconf("SC_CLK_TCK")


def names(folder: Path, rounds: int) -> list[str]:
    files = sorted(str(path) for path in folder.rglob("*") if path.is_file())
    return files * rounds


def processors() -> tuple[float, float]:
    """Processor seconds so far of this process and all that it started and that still run; of Ray's workers alone."""
    parents, spent, workers = {}, {}, set()
    for entry in Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split() if entry.name.isdigit() else None
            if entry.name.isdigit() and (entry / "cmdline").read_bytes().startswith(b"ray::"):
                workers.add(int(entry.name))
        except OSError:
            continue
        if fields is not None:
            parents[int(entry.name)] = int(fields[1])
            spent[int(entry.name)] = (int(fields[11]) + int(fields[12])) / TICKS
    ours, before = {os.getpid()}, 0
    while len(ours) > before:
        before = len(ours)
        ours |= {process for process, parent in parents.items() if parent in ours}
    return sum(spent[process] for process in ours), sum(spent[process] for process in ours & workers)


def alone(model: str, pictures: list[str], ready: multiprocessing.Barrier) -> None:  # type: ignore[valid-type]
    from pellucid.scale import carried

    opened = carried.opened(Path(model), 32, False)
    list(opened.answers(pictures[:8]))
    ready.wait()
    assert sum(1 for _ in opened.answers(pictures)) == len(pictures)
    ready.wait()
    sleep(5)  # until its processor time was read


def processes(model: str, folder: Path, rounds: int) -> Iterator[None]:
    context = multiprocessing.get_context("spawn")
    every, ready = names(folder, rounds), context.Barrier(CORES + 1)
    running = [context.Process(target=alone, args=(model, every[at::CORES], ready)) for at in range(CORES)]
    for process in running:
        process.start()
    ready.wait()
    yield
    ready.wait()
    yield


def ray(model: str, folder: Path, rounds: int) -> Iterator[None]:
    from pellucid.scale import cluster
    from pellucid.scale.predicting import Request, predict
    from pellucid.steps import result_of

    with tempfile.TemporaryDirectory() as out, cluster.joined(cluster.LOCAL):
        yield
        request = Request(Path(model), (str(folder),), cluster.LOCAL, Path(out) / "answers")
        every = names(folder, rounds)
        assert result_of(predict(request, ((0, name) for name in every))).pictures == len(every)
        yield


class Torch:
    """The actor of the peer."""

    def __init__(self, model: str) -> None:
        import torch

        import pellucid

        torch.set_num_threads(1)
        classifier = pellucid.load(model)
        self.module, self.size, self.standardise = classifier.module, classifier.form.width, classifier.standardise

    def __call__(self, batch: dict) -> dict:  # type: ignore[type-arg]
        import io

        import numpy as np
        import torch
        from PIL import Image

        files = [Image.open(io.BytesIO(content)).convert("RGB") for content in batch["bytes"]]
        images = np.stack([np.asarray(each.resize((self.size, self.size))) for each in files])
        with torch.inference_mode():
            pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
            answers = self.module(self.standardise(pixels)).softmax(1)
        return {"path": batch["path"], "label": answers.argmax(1).numpy(), "probability": answers.amax(1).numpy()}


def plain(model: str, folder: Path, rounds: int) -> Iterator[None]:
    import ray
    import ray.data

    from pellucid.scale import cluster

    with tempfile.TemporaryDirectory() as out, cluster.joined(cluster.LOCAL):
        yield
        pictures = ray.data.read_binary_files(names(folder, rounds), include_paths=True)
        answers = pictures.map_batches(
            Torch, fn_constructor_args=[model], batch_size=32, concurrency=CORES, num_cpus=0.5
        )
        answers.write_parquet(f"{out}/answers")
        yield


def once(contender: str, model: str, folder: Path, rounds: int) -> None:
    work: Callable[..., Iterator[None]] = {"processes": processes, "ray": ray, "plain": plain}[contender]
    steps = work(model, folder, rounds)
    next(steps)
    began, (spent, by_workers) = perf_counter(), processors()
    next(steps)
    seconds, (spent_now, by_workers_now) = perf_counter() - began, processors()
    figures = {"seconds": seconds, "processor": spent_now - spent, "workers": by_workers_now - by_workers}
    print(json.dumps(figures), file=sys.stderr)
    os._exit(0)


def driver_memory(pictures: int) -> None:
    """Print the peak of this process for a list of `pictures` names, in MB, before and after."""
    import ray as engine

    from pellucid.scale import cluster, listing, work

    with tempfile.TemporaryDirectory() as out, cluster.joined(cluster.LOCAL):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        name = "/data/pictures/folder-{:03d}/holiday-{:09d}.jpg"
        written = listing.write(Path(out) / "list", ((0, name.format(at % 100, at)) for at in range(pictures)))
        blocks = listing.blocks(Path(out) / "list", written, range(written.blocks))
        tables = [engine.put(work.block_table(number, batch)) for number, batch in blocks]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        figures = {"pictures": pictures, "blocks": len(tables), "before": round(before), "peak": round(peak)}
    print(json.dumps(figures))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?")
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--pictures", type=int)
    parser.add_argument("--once", nargs=2, metavar=("CONTENDER", "ROUNDS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.pictures is not None:
        driver_memory(options.pictures)
        return
    if options.once is not None:
        once(options.once[0], options.model, options.folder, int(options.once[1]))
    count = len(names(options.folder, 1))
    turns: dict[str, list[dict[str, float]]] = {name: [] for name in CONTENDERS}
    for _ in range(options.turns):
        for name in CONTENDERS:
            few, many = (run(options, name, rounds) for rounds in (1, options.rounds))
            further = count * (options.rounds - 1)
            turns[name].append({key: 1000 * (many[key] - few[key]) / further for key in few})
    for name, each in turns.items():
        medians = {key: round(statistics.median(turn[key] for turn in each), 3) for key in each[0]}
        print(json.dumps({"contender": name, "a thousand further pictures": medians, "turns": each}))


def run(options: argparse.Namespace, contender: str, rounds: int) -> dict[str, float]:
    command = [sys.executable, __file__, options.model, options.folder, "--once", contender, str(rounds)]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    lines = [line for line in done.stderr.splitlines() if line.startswith("{")]
    if not lines:
        sys.exit(f"{contender} failed:\n{done.stderr}")
    print(contender, rounds, lines[-1], file=sys.stderr, flush=True)
    return json.loads(lines[-1])  # type: ignore[no-any-return]


if __name__ == "__main__":
    main()
