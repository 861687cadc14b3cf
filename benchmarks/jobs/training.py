"""Training throughput: steps on decoded pictures in memory, for five networks."""

from collections.abc import Iterator

import samples
from job import KERAS, NETWORKS, TORCH, Case, Headline, Setting
from tables import (
    OURS,
    Run,
    against,
    answered,
    best_peer,
    compared,
    failure,
    grouped,
    median,
    number,
    peak,
    spread,
    table,
    times,
    title,
)

TITLE = "Training steps"
ABOUT = (
    "Pictures a second in training steps with Adam, without augmentation, including everything between two steps. The "
    "pictures are already decoded, in memory for the peers, in its store for Pellucid. Peak memory is that of the "
    "whole process, including decoding and compiling. Only the PyTorch peers train `compact`, `resnet18` and "
    "`efficientnet_lite0`. All of `efficientnet_lite0` is trained, from random weights; the tuned PyTorch computes it "
    "in float32, which is faster there."
)
PICTURES = 512
PYTORCH_ONLY = ("compact", "resnet18", "efficientnet_lite0")
rate = answered("images_per_second")


def cases(setting: Setting) -> Iterator[Case]:
    count = 128 if setting.quick else PICTURES
    pictures = samples.split(setting.pictures, setting.work / "training", {"train": 1.0}, count=count) / "train"
    for network in setting.networks:
        side, batch = NETWORKS[network]
        settings = {
            "pictures": str(pictures),
            "network": network,
            "side": side,
            "batch": 16 if setting.quick else batch,
        }
        peers = TORCH if network in PYTORCH_ONLY else (*KERAS, *TORCH)
        for name in setting.of(OURS, *peers):
            yield Case(network, name, "rate", {**settings, "seconds": 1 if setting.quick else 8}, writes=False)


def report(runs: list[Run]) -> str:
    rows = []
    for network in compared(runs):
        groups = grouped(runs, network)
        mine = median(groups.get(OURS, []), rate)
        side, batch = NETWORKS[network]
        for name, group in groups.items():
            first = f"{network}, {side}x{side}, batch {batch}"
            if reason := failure(group):
                rows.append([first, title(name), reason, *["-"] * 4])
                continue
            reached = median(group, rate)
            rows.append(
                [
                    first,
                    title(name),
                    number(reached),
                    times(mine / reached if mine and reached else None),
                    spread(group, rate),
                    number(median(group, peak), "MB", 0),
                    group[-1]["answer"].get("precision", "-"),
                ]
            )
    headings = ["network", "", "pictures/s", "Pellucid against it", "each run", "peak memory", "precision"]
    return f"{ABOUT}\n\n{table(headings, rows)}"


GOALS = {"article": "3", "small": "2.5", "compact": "1", "resnet18": "1", "efficientnet_lite0": "1"}


def headlines(runs: list[Run]) -> list[Headline]:
    lines = []
    for network in compared(runs):
        groups = grouped(runs, network)
        comparison = against(groups, rate, more=True)
        if comparison is None:
            continue
        ratio, peer = comparison
        best = f"{number(median(groups[peer], rate))} pictures/s ({title(peer)})"
        mine = f"{number(median(groups[OURS], rate))} pictures/s"
        lines.append(Headline(f"training, {network}", GOALS.get(network, "-"), mine, best, times(ratio)))
        least = best_peer(groups, peak, more=False)
        if network == "article" and least is not None:
            memory, theirs = median(groups[OURS], peak), median(groups[peer], peak)
            assert memory
            assert theirs
            others = f"least: {number(least[1], 'MB', 0)}, {title(least[0])}"
            best = f"{number(theirs, 'MB', 0)} ({title(peer)}; {others})"
            lines.append(Headline("its peak memory", "4", number(memory, "MB", 0), best, times(theirs / memory)))
    return lines
