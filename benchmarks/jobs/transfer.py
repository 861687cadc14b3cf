"""The default command on photographs, and two PyTorch scripts that start from the same published weights."""

from collections.abc import Iterator

import samples
from job import TRANSFER, Case, Headline, Setting
from tables import (
    OURS,
    Run,
    answered,
    compared,
    failure,
    grouped,
    median,
    number,
    peak,
    seconds,
    table,
    times,
    title,
)

TITLE = "From known weights"
ABOUT = (
    "`pellucid train photos/` with its defaults, beside two PyTorch scripts with the same published EfficientNet-Lite0 "
    "weights. The first is written as in tutorials (5 epochs, the frozen backbone in each of them). The second "
    "computes each picture's features once, in bfloat16, and fits the head with scikit-learn. All use the same 70% to "
    "train on, 15% to choose by and 15% to test on. The whole command is timed: start, decoding, training, test, "
    "saving."
)
SEEDS = 3
TUTORIAL, ONCE = TRANSFER


def cases(setting: Setting) -> Iterator[Case]:
    shares = {"train": 0.7, "val": 0.15, "test": 0.15}
    for seed in range(1 if setting.quick else SEEDS):
        count = 64 if setting.quick else None
        pictures = samples.split(setting.pictures, setting.work / f"transfer-{seed}", shares, seed, count)
        for name, verb in ((OURS, "default"), (TUTORIAL, "tutorial"), (ONCE, "once")):
            if name in setting.contenders:
                yield Case(f"split {seed}", name, verb, {"pictures": str(pictures)})


def accuracy(run: Run) -> float | None:
    answer = run["answer"]
    return answer["correct"] / answer["test"] if "test" in answer else None


def mean(runs: list[Run], contender: str) -> float | None:
    """The mean accuracy of a contender over all its runs; None if there are none."""
    values = [
        value for run in runs if run["contender"] == contender and "failed" not in run for value in [accuracy(run)]
    ]
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def report(runs: list[Run]) -> str:
    rows = []
    for case in compared(runs):
        groups = grouped(runs, case)
        mine = median(groups.get(OURS, []), seconds)
        for name, group in groups.items():
            if reason := failure(group):
                rows.append([case, title(name), reason, *["-"] * 4])
                continue
            wall, right = median(group, seconds), median(group, accuracy)
            rows.append(
                [
                    case,
                    title(name),
                    f"{right:.1%} of {number(median(group, answered('test')), digits=0)}" if right is not None else "-",
                    number(wall, "s"),
                    times(wall / mine if wall and mine else None),
                    number(median(group, peak), "MB", 0),
                    group[-1]["answer"].get("precision", "-"),
                ]
            )
    headings = ["split", "", "test accuracy", "wall time", "Pellucid against it", "peak memory", "precision"]
    return f"{ABOUT}\n\n{table(headings, rows)}"


def headlines(runs: list[Run]) -> list[Headline]:
    mine, theirs = mean(runs, OURS), mean(runs, ONCE)
    if mine is None or theirs is None:
        return []
    lines = [
        Headline("the default command, test accuracy", "98.5%", f"{mine:.1%}", f"{theirs:.1%} ({title(ONCE)})", "-")
    ]
    walls = {name: median([run for run in runs if run["contender"] == name], seconds) for name in (OURS, *TRANSFER)}
    for name, goal in ((TUTORIAL, "3"), (ONCE, "1")):
        wall, own = walls[name], walls[OURS]
        if wall and own:
            headline = "the default command, files to model"
            lines.append(
                Headline(headline, goal, number(own, "s"), f"{number(wall, 's')} ({title(name)})", times(wall / own))
            )
    return lines
