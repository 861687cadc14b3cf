"""Growth: time and memory of a whole training on 1,000, 10,000 and 100,000 pictures."""

from collections.abc import Iterator

import samples
from job import NETWORKS, Case, Headline, Setting
from tables import OURS, Run, answered, compared, failure, grouped, median, number, peak, seconds, table, title

TITLE = "Growth"
ABOUT = (
    "One epoch of a one-layer network at 64x64 on crops of the pictures, 80x80 JPEG files, one in five to validate. "
    "Pellucid also looks for near-duplicates, and leaves those on both sides "
    "out of the training. Own memory is memory that no file backs."
)
COUNTS = (1_000, 10_000, 100_000)
PEERS = ("keras-tensorflow", "torch-plain", "torch-tuned")


def cases(setting: Setting) -> Iterator[Case]:
    side, batch = NETWORKS["tiny"]
    for count in (100, 200) if setting.quick else COUNTS:
        pictures = samples.crops(setting.pictures, setting.work / f"growth-{count}", count, side=80)
        settings = {"pictures": str(pictures), "network": "tiny", "side": side, "batch": batch, "epochs": 1}
        for name in setting.of(OURS, *PEERS):
            yield Case(f"{count:,}", name, "train", settings)


def own(run: Run) -> float | None:
    return run.get("own_mb")


def report(runs: list[Run]) -> str:
    rows = []
    for count in compared(runs):
        for name, group in grouped(runs, count).items():
            if reason := failure(group):
                rows.append([count, title(name), reason, "-", "-", "-"])
                continue
            figures = [number(median(group, of), "MB", 0) for of in (peak, own)]
            trained = number(median(group, answered("train")), digits=0)
            rows.append([count, title(name), trained, number(median(group, seconds), "s"), *figures])
    return f"{ABOUT}\n\n{table(['pictures', '', 'trained on', 'wall time', 'peak memory', 'own memory'], rows)}"


def headlines(runs: list[Run]) -> list[Headline]:
    counts = compared(runs)
    sizes = [(count, median(grouped(runs, count).get(OURS, []), peak)) for count in counts]
    known = [(count, size) for count, size in sizes if size is not None]
    if len(known) < 2:
        return []
    (few, least), (many, most) = known[0], known[-1]
    mine = f"{number(least, 'MB', 0)} to {number(most, 'MB', 0)}"
    return [Headline(f"memory from {few} to {many} pictures", "within 10%", mine, "-", f"{most / least - 1:+.0%}")]
