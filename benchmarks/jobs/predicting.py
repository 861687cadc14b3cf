"""Prediction: a folder of pictures from files to a CSV of answers, and one picture from a cold command."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import samples
from contenders import perform
from job import KERAS, NETWORKS, RUNTIMES, TORCH, Case, Headline, Setting
from tables import (
    OURS,
    Run,
    against,
    failure,
    grouped,
    median,
    number,
    peak,
    seconds,
    spread,
    table,
    times,
    title,
)

TITLE = "Predicting"
ABOUT = (
    "The article's network at 300x300, from picture files to a CSV file of probabilities, each a whole command. A "
    "folder: {count:,} pictures divided by the command's whole time, and by that time without the time of one "
    "picture. One picture: the command's whole time, with nothing loaded before except the system's own cache of "
    "files. The runtimes get Pellucid's graph of the network and compute in float32, as Pellucid does."
)
BESIDE = (
    "Other networks, and all in int8, beside the runtimes only, {counts}. In int8, ONNX Runtime's own tool and NNCF "
    "make the runtimes' networks, from {calibrated} pictures; Pellucid computes the article's network in float32, "
    "which is faster here:"
)
FOLDER, ONE = "a folder", "one picture"
INT8 = ", int8"
CALIBRATED = 100  # pictures, for each of the runtimes and for Pellucid
GROUP = 8  # pictures that a runtime takes at once
# network -> side in pixels, pictures in the folder, and the goal for the folder's rate against the best peer
RUN = {"compact": (128, 2000, "1.2"), "efficientnet_lite0": (224, 1000, "1.0"), "resnet18": (224, 500, "1.0")}

ARTICLE = (NETWORKS["article"][0], 2000, "1.2")


def cases(setting: Setting) -> Iterator[Case]:
    few = samples.split(setting.pictures, setting.work / "predicting", {"train": 0.7, "val": 0.3}, count=32)
    ready = []
    for name in setting.of(OURS, *KERAS, *TORCH):
        ready.append((name, _trained(setting, few, name, "article", NETWORKS["article"][0])))
    count = 32 if setting.quick else 2000
    graph = str(Path(dict(ready)[OURS]["model"]) / "graph.onnx") if OURS in dict(ready) else ""
    inputs = {"side": NETWORKS["article"][0], "batch": GROUP, "model": graph}
    ready += [(name, inputs) for name in setting.of(*RUNTIMES) if graph]
    yield from _turns(setting, ready, count, "")
    for network, (side, count, _) in RUN.items():
        if OURS in setting.contenders and setting.of(*RUNTIMES):
            ours = _trained(setting, few, OURS, network, side)
            inputs = {"side": side, "batch": GROUP, "model": str(Path(ours["model"]) / "graph.onnx")}
            several = [(OURS, ours), *((name, inputs) for name in setting.of(*RUNTIMES))]
            yield from _turns(setting, several, 16 if setting.quick else count, f", {network}")
    for network, (side, count, _) in {"article": ARTICLE, **RUN}.items():
        if OURS in setting.contenders and setting.of(*RUNTIMES):
            yield from _in_int8(setting, network, side, 16 if setting.quick else count)


def _in_int8(setting: Setting, network: str, side: int, count: int) -> Iterator[Case]:
    """A folder in int8. What is made once, at the first use, does not count."""
    more = samples.split(setting.pictures, setting.work / "in-int8", {"train": 0.5, "val": 0.5}, count=2 * CALIBRATED)
    ours = {**_trained(setting, more, OURS, network, side, "-int8"), "precision": "int8"}
    seen = samples.flat(setting.pictures, setting.work / "calibrated", CALIBRATED)
    many = samples.flat(setting.pictures, setting.work / f"answered-{network}", count)
    first = {**ours, "pictures": str(next(many.iterdir())), "out": str(setting.work / "first.csv")}
    perform(OURS, "predict", first, setting.environments, setting.limit)
    yield Case(f"{FOLDER}, {network}{INT8}", OURS, "predict", {**ours, "pictures": str(many)})
    for name in setting.of(*RUNTIMES):
        made = str(setting.work / f"{network}-{name}{'.xml' if name == 'openvino' else '.onnx'}")
        inputs = {"model": str(Path(ours["model"]) / "graph.onnx"), "pictures": str(seen), "side": side, "out": made}
        perform(name, "quantise", inputs, setting.environments, setting.limit)
        settings = {"model": made, "pictures": str(many), "side": side, "batch": GROUP}
        yield Case(f"{FOLDER}, {network}{INT8}", name, "predict", settings)


def _trained(setting: Setting, few: Path, name: str, network: str, side: int, suffix: str = "") -> dict[str, Any]:
    """Train a contender's network for an epoch, and return the inputs of its `predict`."""
    model = str(setting.work / f"model-{network}-{name}{suffix}")
    inputs = {"pictures": str(few), "network": network, "side": side, "batch": 16, "epochs": 1, "out": model}
    perform(name, "train", inputs, setting.environments, setting.limit)
    return {"network": network, "side": side, "batch": 8 if setting.quick else 64, "model": model}


def _turns(setting: Setting, ready: list[tuple[str, dict[str, Any]]], count: int, suffix: str) -> Iterator[Case]:
    many = samples.flat(setting.pictures, setting.work / f"answered{suffix[2:]}", count)
    for name, inputs in ready:
        yield Case(FOLDER + suffix, name, "predict", {**inputs, "pictures": str(many)})
    for _ in range(1 if setting.quick else 3):  # short runs vary more, so there are more of them
        for name, inputs in ready:
            yield Case(ONE + suffix, name, "predict", {**inputs, "pictures": str(next(many.iterdir()))})


def report(runs: list[Run]) -> str:
    folders, ones = grouped(runs, FOLDER), grouped(runs, ONE)
    counted = [run["answer"]["pictures"] for group in folders.values() for run in group if "failed" not in run]
    mine_folder, mine_one = median(folders.get(OURS, []), seconds), median(ones.get(OURS, []), seconds)
    rows = []
    for name, group in folders.items():
        whole, one = median(group, seconds), median(ones.get(name, []), seconds)
        if whole is None or one is None:
            rows.append([title(name), failure(group) or failure(ones.get(name, [])) or "-", *["-"] * 6])
            continue
        count = counted[0]
        rows.append(
            [
                title(name),
                number(count / whole),
                times(whole / mine_folder if mine_folder else None),
                number((count - 1) / (whole - one)) if whole > one else "-",
                number(median(group, peak), "MB", 0),
                number(one, "s"),
                times(one / mine_one if mine_one else None),
                spread(ones[name], seconds),
            ]
        )
    headings = ["", "pictures/s", "Pellucid against it", "pictures/s after the start", "peak memory"]
    headings += ["one picture", "Pellucid against it", "each run, s"]
    parts = [ABOUT.format(count=counted[0] if counted else 0), table(headings, rows), *_beside(runs)]
    return "\n\n".join(parts)


def _beside(runs: list[Run]) -> list[str]:
    """The table of the networks that only runtimes and Pellucid compute; empty if there are no such runs."""
    rows, counts = [], []
    for network in [*RUN, *(f"{network}{INT8}" for network in ("article", *RUN))]:
        folders, ones = grouped(runs, f"{FOLDER}, {network}"), grouped(runs, f"{ONE}, {network}")
        well = [run["answer"]["pictures"] for group in folders.values() for run in group if "failed" not in run]
        counts += [f"{well[0]:,} pictures for `{network}`"] if well else []
        mine, mine_one = median(folders.get(OURS, []), seconds), median(ones.get(OURS, []), seconds)
        for name, group in folders.items():
            whole, one = median(group, seconds), median(ones.get(name, []), seconds)
            rate = number(well[0] / whole) if well and whole else failure(group) or "-"
            rows.append(
                [
                    *(network, title(name), rate, times(whole / mine if whole and mine else None)),
                    *(number(median(group, peak), "MB", 0), number(one, "s")),
                    times(one / mine_one if one and mine_one else None),
                ]
            )
    headings = ["network", "", "pictures/s", "Pellucid against it", "peak memory", "one picture", "Pellucid against it"]
    return [BESIDE.format(counts=", ".join(counts), calibrated=CALIBRATED), table(headings, rows)] if rows else []


def headlines(runs: list[Run]) -> list[Headline]:
    lines = []
    wanted = [(FOLDER, "1.2", "predicting a folder of files"), (ONE, "1.0", "one picture from a cold command")]
    for network, (_, _, goal) in RUN.items():
        wanted.append((f"{FOLDER}, {network}", goal, f"predicting a folder of files, {network}"))
        wanted.append((f"{ONE}, {network}", "1.0", f"one picture from a cold command, {network}"))
    for network in ("article", *RUN):
        wanted.append((f"{FOLDER}, {network}{INT8}", "1.2", f"predicting a folder of files in int8, {network}"))
    for case, goal, headline in wanted:
        groups = grouped(runs, case)
        compared = against(groups, seconds, more=False)
        if compared is not None:
            ratio, peer = compared
            best = f"{number(median(groups[peer], seconds), 's')} ({title(peer)})"
            lines.append(Headline(headline, goal, number(median(groups[OURS], seconds), "s"), best, times(ratio)))
    return lines
