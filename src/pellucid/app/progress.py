"""The display during work: bars on standard error, results on standard output."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import Protocol, TypeVar

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from pellucid.app import folding
from pellucid.app.bars import UNTIMED, only_bar, progress_bars
from pellucid.app.exits import Exit
from pellucid.app.format import balanced, duration, few, many, printable, share
from pellucid.classifier.caveats import knew
from pellucid.errors import TrainingError
from pellucid.pictures.sides import SPOKEN
from pellucid.pictures.store import Decoding
from pellucid.runs.events import DataSummary, Evaluating, Event, FoldBegun, FoldDone, FoldStep, Started
from pellucid.runs.report import Report
from pellucid.steps import Steps
from pellucid.texts import listed
from pellucid.training.data import Comparing
from pellucid.training.features import Extracting
from pellucid.training.history import Epoch
from pellucid.training.loop import NotFinite, Step
from pellucid.training.team.team import ALONE, Lost, Team

T = TypeVar("T")

LISTED = 5  # most lines of a long list
NAMED = 12  # most classes with their counts
LINES = 20  # most epochs named if no bar can be drawn
ALIKE = {
    "mirrored": "mirrored (if the classes mean left and right, use --augment light, which does not mirror)",
    "partly": "different in one part of the picture",
    "unseen": "not compared closely",
}
SHOWN = {"folds": "cross-validated"}
LACKING = {
    "train": "",
    "val": ": no epoch is chosen, and the last weights are kept",
    "test": ": do not quote its figure; add pictures of that class, taken separately",
}


class Watched(Protocol):
    """A run, or an object that passes its events on."""

    @property
    def out(self) -> Path: ...
    @property
    def worth_finishing(self) -> bool: ...
    def __iter__(self) -> Iterator[Event]: ...
    def save_checkpoint(self) -> None: ...
    def finish(self) -> Generator[Evaluating, None, Report]: ...


def watch(run: Watched, team: Team = ALONE) -> int:
    """Train in view of a person. Ctrl-C stops after the step and saves; returns the exit status.

    In a team all processes call this. Ctrl-C in one of them, or the end of its launcher, stops all after the same step,
    and the first one finishes. The others wait for it: a launcher ends all processes when one ends with an error.
    """
    console = Console(soft_wrap=True, highlight=False)
    try:
        stopped = _train(run, console, team)
    except TrainingError as error:
        if run.worth_finishing and team.leads and not isinstance(error, Lost):
            _show_report(evaluated(run.finish(), "evaluating"), console)
        if isinstance(error, NotFinite):  # in all processes
            _wait(team)
        raise
    status = _finish(run, console, stopped) if team.leads else Exit.STOPPED if stopped else Exit.OK
    _wait(team)
    return status


def _wait(team: Team) -> None:
    """Wait for the other processes of a team. The first one has written the model, and needs none of them any more."""
    with suppress(Lost) if team.leads else nullcontext():
        team.wait()


def _finish(run: Watched, console: Console, stopped: bool) -> Exit:
    """Write the model and show how good it is."""
    go_on = f"continue with --out {shlex.quote(printable(run.out))} --resume"
    if stopped and not run.worth_finishing:
        console.print(f"Stopped before there was a model to save; {go_on}.", markup=False)
        return Exit.STOPPED
    report = evaluated(run.finish(), "evaluating")
    _show_report(report, console)
    if report.complete:
        return Exit.OK
    console.print(f"Stopped by Ctrl-C; {go_on}.", markup=False)
    return Exit.STOPPED


def _train(run: Watched, console: Console, team: Team) -> bool:
    """Show the events of a run as they come. Returns whether Ctrl-C ended it, with the state saved."""
    begun, launcher = False, os.getppid()
    with _stop_after_the_step() as stops, progress_bars() as bars:
        bars.update(only_bar(bars), description="listing pictures", refresh=True)
        for event in run:
            _show(event, console, bars)
            begun = begun or isinstance(event, Started)
            if begun and not team.alone:  # a step tells all of the wish, and then all stop
                team.wish.stop = bool(stops) or os.getppid() != launcher
                if team.wish.agreed and isinstance(event, Step):
                    run.save_checkpoint()
                    return True
                continue
            if stops and isinstance(event, Started | Step | Epoch | FoldBegun | FoldDone):
                run.save_checkpoint()
                return True
            if stops or (not team.alone and os.getppid() != launcher):
                raise KeyboardInterrupt
    return False


def evaluated(steps: Generator[Evaluating, None, T], verb: str) -> T:
    """Run a generator to its end under a bar and return what it returns."""
    watched = Steps(steps)
    with progress_bars() as bars:
        for event in watched:
            bars.update(only_bar(bars), description=f"{verb} {event.side}", completed=event.done, total=event.total)
    return watched.result


def prepared(steps: Generator[object, None, T]) -> T:
    """Run a generator of events before a training's first step to its end under a bar, and return what it returns."""
    watched, console = Steps(steps), Console(stderr=True, highlight=False)
    with progress_bars() as bars:
        for event in watched:
            _show(event, console, bars)
    return watched.result


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Announce on a terminal work that takes seconds and has no progress to report."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield
        return
    with console.status(what):
        yield


def timed(steps: Generator[tuple[int, int], None, T], what: str) -> T:
    """Run a generator that yields (done, total) to its end, and return its result.

    On a terminal a bar shows the progress, and after a few seconds the time left.
    """
    watched = Steps(steps)
    for _ in _timing(watched, what):
        pass
    return watched.result


def until_stopped(steps: Iterable[tuple[int, int]], what: str) -> bool:
    """As `timed`, but Ctrl-C ends it after the current step. Returns whether it did."""
    with _stop_after_the_step() as stops:
        return any(stops for _ in _timing(steps, what))


def _timing(steps: Iterable[tuple[int, int]], what: str) -> Iterator[None]:
    """Show each (done, total) on a bar."""
    with progress_bars() as bars:
        bar = only_bar(bars)
        bars.update(bar, description=what)
        began: tuple[float, int] | None = None  # the work before the first report is of another kind
        for done, total in steps:
            now = monotonic()
            began = (now, done) if began is None or not done else began
            spent, gone = now - began[0], done - began[1]
            left = f"{duration(spent / gone * (total - done))} left" if gone and spent > UNTIMED else ""
            bars.update(bar, completed=done, total=total, left=left)
            yield


def counted(steps: Generator[int, None, T], total: int, what: str) -> T:
    """Run a generator of progress counts to its end, under a bar, and return its result."""
    watched = Steps(steps)
    with progress_bars() as bars:
        for done in watched:
            bars.update(only_bar(bars), description=what, completed=done, total=total)
    return watched.result


def _show(event: object, console: Console, bars: Progress) -> None:
    match event:
        case FoldBegun() | FoldDone() | FoldStep():
            folding.show(event, console, bars)
        case Decoding(done, total, reused):
            note = f"{reused:,} reused" if reused else ""
            bars.update(only_bar(bars), description="reading pictures", completed=done, total=total, note=note)
            seconds = bars.tasks[0].time_remaining
            bars.update(only_bar(bars), left=f"{duration(seconds)} left" if seconds and done > reused else "")
        case Comparing(done, total):
            what = "looking for twins"
            bars.update(only_bar(bars), description=what, completed=done, total=total, note="", left="")
        case DataSummary():
            bars.remove_task(only_bar(bars))
            _show_summary(event, console)
            bars.update(only_bar(bars), description="choosing the fastest way to train here", refresh=True)
        case Extracting(done, total, reused, images_per_second, seconds_left):
            note = f"{images_per_second:,.0f} images/s" if images_per_second else ""
            note += f"  {reused:,} reused" if reused else ""
            left = f"{duration(seconds_left)} left" if seconds_left else ""
            what = "computing features"
            bars.update(only_bar(bars), description=what, completed=done, total=total, note=note, left=left)
        case Started():
            bars.remove_task(only_bar(bars))
            _show_started(event, console)
        case Step():
            bars.update(
                only_bar(bars),
                description=f"epoch {event.epoch}",
                completed=event.step,
                total=event.steps,
                note=f"loss {event.loss:.3f}  accuracy {event.accuracy:.1%}  {event.images_per_second:,.0f} images/s",
                left=f"{duration(event.seconds_left)} left",
            )
        case Epoch():
            _show_epoch(event, console, bars)


def _show_summary(summary: DataSummary, console: Console) -> None:
    named = list(zip(summary.classes, summary.pictures, strict=True))
    counts = listed([f"{printable(name)} {count:,}" for name, count in named], NAMED)
    directory = escape(printable(summary.directory))
    total = summary.test if summary.folds else summary.train + summary.validation + summary.test
    console.print(f"[bold]{total:,} pictures[/] in {directory}: {escape(counts)}")
    if summary.quarantine:
        console.print(f"[yellow]{len(summary.quarantine):,} in quarantine[/] (not used, left in place):")
        _list([f"{printable(bad.path)}: {bad.reason}" for bad in summary.quarantine], "quarantine.csv", console)
    if summary.ignored:
        console.print(f"skipped: {many(summary.ignored, 'hidden or system file')}")
    for folder in summary.left_out:
        console.print(f"left out: {printable(folder.path)} ({folder.reason})", markup=False)
    for names in summary.classes_alike:
        shown = ", ".join(repr(printable(name)) for name in names)
        console.print(f"[yellow]class names that differ only by case or spaces:[/] {escape(shown)}; one class or two?")
    if summary.repeated:
        console.print(f"duplicate rows in the table: {summary.repeated:,}; each picture is used once")
    if summary.groups:
        console.print(f"{many(summary.groups, 'group')}, each on one side of the split")
    if summary.twin_pairs:
        pairs = many(summary.twin_pairs, "pair")
        console.print(
            f"{summary.twin_pictures:,} pictures have a near-duplicate ({pairs}); twins stay on the same side"
        )
    if across := summary.twins_across_classes:
        pairs = many(len(across), "pair")
        console.print(f"[yellow]near-duplicates in two classes, {pairs}[/]; one of the two labels is probably wrong:")
        _list([f"{printable(first)} ~ {printable(second)}" for first, second in across], "twins.csv", console)
    if alike := [f"{count:,} {ALIKE[kind]}" for kind, count in summary.alike_across_classes.items() if count]:
        console.print(f"similar pictures in two classes, without a sign of a wrong label: {', '.join(alike)}")
    if summary.folds:
        console.print(folding.plan(summary))
    sides = [f"{summary.train:,} to train"]
    sides += [f"{summary.validation:,} for choices (validation)"] if summary.validation else []
    sides += [f"{summary.test:,} for the final figure (test)"] if summary.test else []
    if not summary.folds:
        console.print(f"split: {', '.join(sides)}")
    for name, alike, of in summary.swallowed[:LISTED]:
        console.print(
            f"[yellow]class {escape(printable(name))}: {alike:,} of its {of:,} pictures are nearly identical[/] "
            "(a fixed camera?); they stay on one side and count as one"
        )
    if len(summary.swallowed) > LISTED:
        console.print(f"  … and {len(summary.swallowed) - LISTED:,} more classes")
    for side, classes in summary.lacking.items():
        console.print(f"[yellow]{SPOKEN[side]} has no picture of {escape(few(classes))}[/]{LACKING[side]}")
    if not summary.validation and not summary.test:
        console.print(
            "[yellow]no pictures are left to test on[/]: this training will not measure how good the model is"
        )


def _list(lines: list[str], file: str, console: Console) -> None:
    for line in lines[:LISTED]:
        console.print(f"  {line}", markup=False)
    if len(lines) > LISTED:
        console.print(f"  … and {len(lines) - LISTED:,} more; {file} in the model folder lists all")


def _show_started(started: Started, console: Console) -> None:
    recipe = started.recipe
    console.print(
        f"network: {escape(recipe.model)}, {started.parameters:,} parameters, pictures at {recipe.size}x{recipe.size} "
        f"({recipe.fit})\ntraining: {_how(started)}"
    )
    for reason in started.reasons:
        console.print(f"  {reason}", style="dim", markup=False)
    if started.resumed_at is not None:
        console.print(f"resumed at step {started.resumed_at:,} of {started.steps:,}")


def _how(started: Started) -> str:
    recipe = started.recipe
    if recipe.pretrained is not None and not started.steps:
        return "the head alone, on a frozen backbone"
    before = "the head on a frozen backbone, then the whole network: " if recipe.pretrained is not None else ""
    length = f"{many(started.epochs, 'epoch')}, {many(started.steps, 'step')} of {recipe.batch}"
    return f"{before}{length}, {recipe.optimizer}, augmentation {recipe.augment}"


def _show_epoch(epoch: Epoch, console: Console, bars: Progress) -> None:
    best = " (best so far)" if epoch.best and epoch.validation_accuracy is not None else ""
    seen = f"validation {epoch.validation_accuracy:.1%}" if epoch.validation_accuracy is not None else ""
    if epoch.epoch == 0:
        seen = f"; {seen}, loss {epoch.validation_loss:.3f}" if seen else ""
        console.print(f"head: training loss {epoch.train_loss:.3f}, accuracy {epoch.train_accuracy:.1%}{seen}")
        return
    bars.update(only_bar(bars), seen=seen)  # the first event of a run that is resumed at an epoch's last step
    bar = bars.tasks[0]
    if bars.console.is_terminal:
        return
    total = bar.total or epoch.steps
    every = max(1, round(total / epoch.steps * epoch.epoch / LINES))
    if epoch.epoch % every == 0 or epoch.steps >= total:
        line = f"epoch {epoch.epoch}: training loss {epoch.train_loss:.3f}, accuracy {epoch.train_accuracy:.1%}"
        if epoch.validation_accuracy is not None:
            line += f"; validation loss {epoch.validation_loss:.3f}, accuracy {epoch.validation_accuracy:.1%}{best}"
        console.print(line)


def _weights_source(report: Report) -> str:
    return f"weights of epoch {report.best_epoch}" if report.best_epoch else "kept: the head on the frozen backbone"


def _show_report(report: Report, console: Console) -> None:
    reported = report.metrics[report.reported]
    if report.folds is not None:
        folding.report(report.folds, console)
    if "validation" in report.metrics and report.reported != "validation":
        validation = report.metrics["validation"]
        lacks = f"not used for any choice: there is no picture of {few(validation.lacking)}"
        what = "epoch, temperature and thresholds" if validation.several else "epoch and temperature"
        how = f"{what} were chosen on these" if report.chosen else lacks
        console.print(f"validation: {share(validation)}; {how}", markup=False)
    note = {
        "test": "not used for any choice: this is the figure to quote",
        "folds": "each picture predicted by a model that had not seen it: this is the figure to quote",
        "validation": "no test pictures; "
        + ("epoch and temperature were chosen on these, so the figure is slightly optimistic" if report.chosen else ""),
        "train": "on the training pictures themselves: not a measure of how good the model is",
    }[report.reported]
    if reported.lacking:
        note = f"no figure to quote: none of these pictures shows {few(reported.lacking)}"
    elif report.knew:
        note = f"no figure to quote: {knew(report.knew, report.knew_by, 'the starting model')}"
    colour = "bold green" if report.quotable else "bold yellow"
    console.print(f"[{colour}]{SHOWN.get(report.reported, report.reported)}: {share(reported)}[/]; {escape(note)}")
    console.print(balanced(reported), markup=False)
    scaled = f", after temperature scaling {reported.calibration.error:.3f}" if report.chosen else ""
    console.print(
        f"calibration error {reported.calibration_before.error:.3f}{scaled}; {_weights_source(report)}; "
        f"trained for {duration(report.seconds)}"
    )
    if report.early is not None:
        console.print(report.early, markup=False)
    if report.replay is not None:
        size = f"{many(report.replay.frames, 'frame')}, {report.replay.bytes / 1e6:.1f} MB"
        console.print(f"replay: {size} in {printable(report.folder / 'replay')}", markup=False)
    console.print(f"model folder: {printable(report.folder)} (start with its README.md)", markup=False)


@contextmanager
def _stop_after_the_step() -> Iterator[list[int]]:
    """Collect Ctrl-C instead of interrupting a step; a second one interrupts at once."""
    stops: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if stops:
            raise KeyboardInterrupt
        stops.append(number)
        print("\nstopping after this step; press Ctrl-C again to stop immediately", file=sys.stderr)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield stops
    finally:
        signal.signal(signal.SIGINT, before)
