"""Prediction: a folder of pictures from files to a CSV of answers, and one picture from a cold command."""

from collections.abc import Iterator

import samples
from contenders import perform
from job import KERAS, NETWORKS, TORCH, Case, Headline, Setting
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
    "files."
)
FOLDER, ONE = "a folder", "one picture"


def cases(setting: Setting) -> Iterator[Case]:
    side, _ = NETWORKS["article"]
    shares = {"train": 0.7, "val": 0.3}
    few = samples.split(setting.pictures, setting.work / "predicting", shares, count=32)
    many = samples.flat(setting.pictures, setting.work / "answered", 32 if setting.quick else 2000)
    settings = {"network": "article", "side": side, "batch": 8 if setting.quick else 64}
    ready = []
    for name in setting.of(OURS, *KERAS, *TORCH):
        model = str(setting.work / f"model-{name}")
        inputs = {"pictures": str(few), "network": "article", "side": side, "batch": 16, "epochs": 1, "out": model}
        perform(name, "train", inputs, setting.environments, setting.limit)
        ready.append((name, {**settings, "model": model}))
    for name, inputs in ready:
        yield Case(FOLDER, name, "predict", {**inputs, "pictures": str(many)})
    for _ in range(1 if setting.quick else 3):  # short, so it gets more turns
        for name, inputs in ready:
            yield Case(ONE, name, "predict", {**inputs, "pictures": str(next(many.iterdir()))})


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
    return f"{ABOUT.format(count=counted[0] if counted else 0)}\n\n{table(headings, rows)}"


def headlines(runs: list[Run]) -> list[Headline]:
    lines = []
    for case, goal, headline in (
        (FOLDER, "2.5", "predicting a folder of files"),
        (ONE, "5, under 0.7 s", "one picture from a cold command"),
    ):
        groups = grouped(runs, case)
        compared = against(groups, seconds, more=False)
        if compared is not None:
            ratio, peer = compared
            best = f"{number(median(groups[peer], seconds), 's')} ({title(peer)})"
            lines.append(Headline(headline, goal, number(median(groups[OURS], seconds), "s"), best, times(ratio)))
    return lines
