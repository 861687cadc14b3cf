"""One process of all threads beside one process for each core that exchange gradients, and beside a plain DDP loop.

    .venv/bin/python benchmarks/team.py [--only small compact ...] [--turns 3] [--seconds 8] [--pictures DIR]

Every turn runs all contenders on a network once, in a new order. The rates are pictures of the whole batch a second by
the clock, so they are worth something on an idle machine alone: the load is printed beside them. The processor time
of all processes depends less on what else runs; threads that spin while they wait for each other count in
it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import samples
from ours import NETWORKS, PLAIN, WARMING

SIZES = {  # side in pixels, pictures in a step
    "teaching": (8, 16),
    "lenet5": (32, 32),
    "article": (300, 128),
    "small": (150, 32),
    "compact": (128, 32),
    "resnet18": (224, 32),
}
MODELS = {**NETWORKS, "teaching": "conv(6, 3) relu maxpool(2) conv(12, 3) relu flatten dense", "lenet5": "lenet5"}
PEERS = ("article", "small", "compact", "resnet18")  # networks that the plain loop has
HERE = Path(__file__).parent
THREAD, ONE, TWO, PEER = "one thread", "one process, a thread for each core", "a process for each core", "plain DDP"
LEAST = 20  # steps


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--count", type=int, default=256, help="pictures")
    parser.add_argument("--pictures", type=Path)
    chosen = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        if (root := chosen.pictures) is None:
            samples.make(root := work / "samples", chosen.count)
        pictures = samples.split(root, work / "training", {"train": 1.0}, count=chosen.count) / "train"
        print("| network | | pictures/s, each turn | against one process | processor ms a picture | load |")
        print("|---|---|---|---|---|---|")
        for network in chosen.only:
            contenders = [THREAD, ONE, TWO, *([PEER] if network in PEERS else [])]
            answers: dict[str, list[dict[str, float]]] = {name: [] for name in contenders}
            for turn in range(chosen.turns):
                for name in contenders[turn % len(contenders) :] + contenders[: turn % len(contenders)]:
                    load = os.getloadavg()[0]
                    answers[name].append({**run(name, network, pictures, work, chosen.seconds, cores), "load": load})
            for name in contenders:
                rates, ones = ([each["images_per_second"] for each in answers[who]] for who in (name, ONE))
                ratio = median(mine / one for mine, one in zip(rates, ones, strict=True))
                times = median(each["processor_ms"] for each in answers[name])
                each_rate = ", ".join(f"{rate:,.0f}" for rate in rates)
                loads = ", ".join(f"{each['load']:.1f}" for each in answers[name])
                print(f"| {network} | {name} | {each_rate} | {ratio:.2f} | {times:.3g} | {loads} |", flush=True)


def run(name: str, network: str, pictures: Path, work: Path, seconds: float, cores: int) -> dict[str, float]:
    side, batch = SIZES[network]
    about = {"pictures": str(pictures), "network": network, "side": side, "batch": batch, "seconds": seconds}
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
    if name == PEER:
        command = [*launcher, str(cores), str(HERE / "peers" / "torch_ddp.py"), json.dumps(about)]
    else:
        processes = cores if name == TWO else 1
        command = [*launcher, str(processes), __file__, "rate", json.dumps({**about, "work": str(work)})]
    environment = {**os.environ, "OMP_NUM_THREADS": str(cores if name == ONE else 1)}
    result = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    lines = [line for line in result.stdout.splitlines() if line.startswith("{")]
    if not lines:
        raise SystemExit(f"{name}, {network}: {result.stderr[-2000:]}")
    return json.loads(lines[-1])


def rate(pictures: str, network: str, side: int, batch: int, seconds: float, work: str) -> dict[str, Any] | None:
    """As `ours.rate`, in each process of a team; the first process answers."""
    import pellucid
    from pellucid.training.team import joining

    team = joining.described()
    membership = joining.join(team)
    with tempfile.TemporaryDirectory() as folder:
        settings = {"model": MODELS[network], "size": side, "batch": batch, "epochs": 10**6, **PLAIN}
        settings |= {"validation": 0.0, "test": 0.0}
        run = pellucid.start(pictures, f"{folder}/model", cache=f"{work}/cache", team=team, **settings)
        start, worked, answer = 0.0, 0.0, None
        for steps, now in enumerate(moments(run), 1):
            if steps <= WARMING:
                start, worked = now, time.process_time()
            team.wish.stop = team.leads and steps >= WARMING + LEAST and now - start >= seconds
            if team.wish.agreed or (team.alone and team.wish.stop):
                done = (steps - WARMING) * batch
                processor = sum(team.each(time.process_time() - worked))
                answer = {"images_per_second": done / (now - start), "processor_ms": 1000 * processor / done}
                break
        run.close()
    membership.leave()
    return answer if team.leads else None


def moments(run: Any) -> Iterator[float]:
    """The time at the end of each step."""
    for event in run:
        if type(event).__name__ == "Step":
            yield time.perf_counter()


if __name__ == "__main__":
    if sys.argv[1:2] == ["rate"]:
        if (made := rate(**json.loads(sys.argv[2]))) is not None:
            print(json.dumps(made))
    else:
        main()
