"""Accuracy for time: `pellucid train --minutes N` against N minutes of Keras's small network with its augmentation."""

from collections.abc import Iterator

import samples
from job import NETWORKS, Case, Headline, Setting
from tables import OURS, Run, compared, failure, grouped, number, seconds, table, title

TITLE = "Accuracy for time"
ABOUT = (
    "Both have the same training and test pictures, 70% and 15%; another 15% choose Pellucid's epoch. Keras "
    "trains the small network of its blog with shear, zoom and mirror, RMSprop and batch 32, and uses its last "
    "weights. Its minutes begin with the command and do not include the test. Pellucid uses its default network and "
    "settings."
)
SEEDS = 3
PEER = "keras-tensorflow"


def cases(setting: Setting) -> Iterator[Case]:
    side, batch = NETWORKS["small"]
    minutes = 0.2 if setting.quick else setting.minutes
    shares = {"train": 0.7, "val": 0.15, "test": 0.15}
    for seed in range(1 if setting.quick else SEEDS):
        count = 64 if setting.quick else None
        pictures = samples.split(setting.pictures, setting.work / f"minutes-{seed}", shares, seed, count)
        settings = {"pictures": str(pictures), "network": "small", "side": side, "batch": batch, "minutes": minutes}
        for name in setting.of(OURS, PEER):
            yield Case(f"split {seed}, {minutes:g} minutes", name, "minutes", settings)


def error(run: Run) -> float | None:
    answer = run["answer"]
    return 1 - answer["correct"] / answer["test"] if "test" in answer else None


def report(runs: list[Run]) -> str:
    rows = []
    for case in compared(runs):
        for name, group in grouped(runs, case).items():
            if reason := failure(group):
                rows.append([case, title(name), reason, "-", "-", "-"])
                continue
            run = next(run for run in group if "failed" not in run)
            wrong = run["answer"]["test"] - run["answer"]["correct"]
            cells = [f"{error(run):.1%}", f"{wrong:,} of {run['answer']['test']:,}"]
            rows.append([case, title(name), *cells, f"{run['answer']['epochs']:,}", number(seconds(run), "s")])
    return f"{ABOUT}\n\n{table(['split', '', 'test error', 'wrong', 'epochs', 'whole command'], rows)}"


def pooled(runs: list[Run], contender: str) -> float | None:
    """Fraction of wrong answers over all splits together."""
    answers = [run["answer"] for run in runs if run["contender"] == contender and "failed" not in run]
    tested = sum(answer["test"] for answer in answers)
    return (tested - sum(answer["correct"] for answer in answers)) / tested if tested else None


def headlines(runs: list[Run]) -> list[Headline]:
    mine, theirs = pooled(runs, OURS), pooled(runs, PEER)
    if mine is None or not theirs:
        return []
    headline = f"test error after {compared(runs)[0].split(', ')[1]}"
    return [
        Headline(headline, "0.7 times", f"{mine:.1%}", f"{theirs:.1%} ({title(PEER)})", f"{mine / theirs:.2f} times")
    ]
