"""The display of a cross-validation: the current fold, each fold's result, and their joint result."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from pellucid.app.bars import only_bar
from pellucid.app.format import duration, few, many
from pellucid.pictures.sides import SPOKEN, TRAIN, VAL
from pellucid.runs.events import DataSummary, FoldBegun, FoldDone, FoldStep
from pellucid.training.folds import Folds


def show(event: FoldBegun | FoldDone | FoldStep, console: Console, bars: Progress) -> None:
    match event:
        case FoldBegun():
            sizes = [f"{event.train:,} to train"]
            sizes += [f"{event.validation:,} for choices"] if event.validation else []
            sizes += [f"{event.test:,} to test"] if event.test else []
            console.print(f"{_name(event.fold, event.folds)}: {', '.join(sizes)}")
            for side in (TRAIN, VAL):
                if classes := event.lacking.get(side):
                    console.print(f"  [yellow]{SPOKEN[side]} has no picture of {escape(few(classes))}[/]")
        case FoldDone(fold, folds):
            what = "right" if fold.thresholds is None else "with exactly the right labels"
            right = f"{fold.correct:,} of {fold.pictures:,} {what}, {fold.accuracy:.1%}"
            right += f"; macro F1 {fold.macro_f1:.1%}" if fold.macro_f1 is not None else ""
            console.print(f"{_name(fold.number, folds)}: {right}", style="bold")
        case FoldStep():
            bars.update(
                only_bar(bars),
                description=f"{_name(event.fold, event.folds)}, epoch {event.epoch}",
                completed=event.done,
                total=event.total,
                note=f"loss {event.loss:.3f}  accuracy {event.accuracy:.1%}  {event.images_per_second:,.0f} images/s",
                left=f"{duration(event.seconds_left)} left",
            )


def plan(summary: DataSummary) -> str:
    """Printed instead of the sizes of the sides."""
    return (
        f"{summary.folds} folds: each of the {many(summary.test, 'picture')} is tested once, by a model trained on the "
        "other folds; the saved model comes from a final training on all pictures"
    )


def report(folds: Folds, console: Console) -> None:
    """Printed above the joint figure."""
    each = ", ".join(f"{fold.accuracy:.1%}" for fold in folds.each)
    console.print(f"folds: {each}; standard deviation {folds.spread:.1%}")
    if folds.macro_spread is not None:
        each = ", ".join("–" if fold.macro_f1 is None else f"{fold.macro_f1:.1%}" for fold in folds.each)
        console.print(f"macro F1 of the folds: {each}; standard deviation {folds.macro_spread:.1%}")


def _name(fold: int, folds: int) -> str:
    return f"fold {fold} of {folds}" if fold else "on all pictures"
