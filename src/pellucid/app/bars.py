"""A bar on standard error, if that is a terminal. A cold prediction imports this module, and rich only for a bar."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

from pellucid.app.format import duration

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

T = TypeVar("T")

UNTIMED = 2.0  # seconds of work before the time left is shown


def counted(items: Iterable[T], total: Callable[[], int | None], what: str, watched: bool) -> Iterator[T]:
    """The same items, with a bar on standard error while they come; no bar if the rows themselves are `watched`."""
    if not sys.stderr.isatty() or (watched and sys.stdout.isatty()):
        yield from items
        return
    with progress_bars() as bars:
        bar = only_bar(bars)
        bars.update(bar, description=what, total=total())
        started = monotonic()
        for done, item in enumerate(items, 1):
            yield item
            spent, whole = monotonic() - started, bars.tasks[0].total
            left = spent / done * (whole - done) if whole is not None and spent > UNTIMED else None
            bars.update(bar, completed=done, left="" if left is None else f"{duration(left)} left")


def progress_bars() -> Progress:
    """A bar on standard error if that is a terminal, else nothing."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True, highlight=False)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}  {task.fields[seen]}  {task.fields[left]}"),
        console=console,
        transient=True,
        # lines for the same terminal go above the bar; lines for a file or a pipe must not
        redirect_stdout=sys.stdout.isatty(),
        disable=not console.is_terminal,
    )


def only_bar(bars: Progress) -> TaskID:
    """The only bar, created on first use."""
    return bars.tasks[0].id if bars.tasks else bars.add_task("", total=None, note="", seen="", left="")
