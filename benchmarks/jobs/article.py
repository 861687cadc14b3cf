"""The article's job: a folder of JPEG files to its network, trained 5 epochs at 300x300, batch 128, 30% to validate."""

from collections.abc import Iterator

import samples
from job import KERAS, NETWORKS, TORCH, Case, Headline, Setting
from tables import (
    OURS,
    Run,
    against,
    answered,
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

TITLE = "From a folder of pictures to the article's network"
ABOUT = (
    "5 epochs of {train:,} pictures at 300x300, batch 128, validated after each epoch. The whole command is timed: "
    "start, decoding, training, saving. Accuracy is that of the last epoch on the same validation pictures; it varies "
    "from run to run, because each run draws its own first weights."
)
CASE = "article"


def cases(setting: Setting) -> Iterator[Case]:
    count = 64 if setting.quick else None
    pictures = samples.split(setting.pictures, setting.work / "article", {"train": 0.7, "val": 0.3}, count=count)
    side, batch = NETWORKS["article"]
    settings = {"pictures": str(pictures), "network": "article", "side": side, "batch": batch}
    for name in setting.of(OURS, *KERAS, *TORCH):
        yield Case(CASE, name, "train", {**settings, "epochs": 1 if setting.quick else 5})


def report(runs: list[Run]) -> str:
    groups = grouped(runs, CASE)
    mine = median(groups.get(OURS, []), seconds)
    rows = []
    for name, group in groups.items():
        if reason := failure(group):
            rows.append([title(name), reason, *["-"] * 5])
            continue
        wall = median(group, seconds)
        accuracy = median(group, answered("accuracy"))
        rows.append(
            [
                title(name),
                number(wall, "s"),
                times(wall / mine if wall and mine else None),
                spread(group, seconds),
                number(median(group, peak), "MB", 0),
                f"{accuracy:.1%}" if accuracy is not None else "-",
                group[-1]["answer"].get("precision", "-"),
            ]
        )
    train = max((run["answer"].get("train", 0) for run in runs), default=0)
    headings = ["", "wall time", "Pellucid against it", "each run, s", "peak memory", "accuracy", "precision"]
    return f"{ABOUT.format(train=train)}\n\n{table(headings, rows)}"


def headlines(runs: list[Run]) -> list[Headline]:
    groups = grouped(runs, CASE)
    compared = against(groups, seconds, more=False)
    if compared is None:
        return []
    ratio, peer = compared
    mine, theirs = median(groups[OURS], seconds), median(groups[peer], seconds)
    best = f"{number(theirs, 's')} ({title(peer)})"
    return [Headline("the article's job, files to trained model", "3", number(mine, "s"), best, times(ratio))]
