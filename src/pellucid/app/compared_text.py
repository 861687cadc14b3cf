"""The printed output of `pellucid compare` on many pictures."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from pellucid.app.format import many, printable
from pellucid.app.tables import columns, left_out
from pellucid.debugging.comparison import Compared, Comparison
from pellucid.debugging.paired import SOURCE, TEST, Paired

LISTED = 5  # most lines of a long list; --list, --csv and --json have everything


def comparison(result: Comparison, every: bool) -> None:
    """Both accuracies and their difference, the classes, and the pictures whose answers change; `every`: all these."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(Text(f"A: {printable(result.first)}\nB: {printable(result.second)}"))
    console.print(Text(f"on {many(len(result.pictures), 'picture')}: {printable(result.name)}"))
    for classes, model in ((result.only_first, "A"), (result.only_second, "B")):
        if classes:
            names = ", ".join(map(printable, classes))
            console.print(Text(f"compared without the classes that only {model} knows: {names}", style="yellow"))
    if result.labelled is not None:
        _right(result.labelled, console)
    _seen(result, console)
    changed, total = len(result.changed), len(result.pictures)
    console.print(
        Text(f"{changed:,} of {many(total, 'answer')} change; the models agree on {result.agreement:.1%}", style="bold")
    )
    _classes(result, console)
    for first, second, count in result.moved[:LISTED]:
        console.print(Text(f"{count:,} x {_called(result, first)} becomes {_called(result, second)}"))
    console.print(Text(f"largest change of a probability: {_shift(result, result.largest)}"))
    for each in result.changed if every else ():
        console.print(Text(_line(result, each)))
    if changed and not every:
        console.print("--list shows the pictures whose answers change", style="dim")
    left_out(console, result.unusable, result.notes)


def difference(right: Paired) -> str:
    """B − A, its interval and its sources, in one phrase."""
    low, high = right.difference_interval
    interval = f"95% interval {points(low)} to {points(high)} (paired; {SOURCE})"
    return (
        f"B − A: {points(right.difference)} points, {interval}; "
        f"two equally good models differ at least so much with probability {right.chance:.2g} ({TEST})"
    )


def _right(right: Paired, console: Console) -> None:
    table = columns("", "right>", "accuracy>", "95% interval>")
    sides = (
        ("A", right.both + right.only_first, right.first, right.first_interval),
        ("B", right.both + right.only_second, right.second, right.second_interval),
    )
    for name, count, accuracy, (low, high) in sides:
        table.add_row(name, f"{count:,}", f"{accuracy:.1%}", f"{low:.1%} to {high:.1%}")
    console.print(table)
    console.print(Text(difference(right)))
    console.print(
        f"right about: both {right.both:,}, only A {right.only_first:,}, only B {right.only_second:,}, "
        f"neither {right.neither:,}"
    )


def _seen(result: Comparison, console: Console) -> None:
    """Pictures that a model has seen say nothing about how good it is."""
    counts = (("A", result.seen_by_first), ("B", result.seen_by_second))
    if lines := [f"{name} has seen {count:,} of these pictures" for name, count in counts if count]:
        fair = "there is no fair difference" if result.unseen is None else f"without those, {_fair(result.unseen)}"
        console.print(Text(f"{', '.join(lines)}; {fair}", style="yellow"))


def _fair(right: Paired) -> str:
    return f"on {right.pictures:,}: A {right.first:.1%}, B {right.second:.1%}, {difference(right)}"


def _classes(result: Comparison, console: Console) -> None:
    labelled = result.labelled is not None
    table = columns("class", "pictures>", *(("A>", "B>") if labelled else ()), "same answer>")
    for each in result.by_class:
        right = [] if each.first is None or each.second is None else [each.first, each.second]
        cells = [_share(count, each.pictures) for count in (*right, each.agree)]
        table.add_row(Text(printable(each.name)), f"{each.pictures:,}", *cells)
    console.print(table)
    shares = "A and B: the share of a class's pictures that each calls so"
    unlabelled = "pictures: those that A calls so, because their labels are unknown"
    console.print(shares if labelled else unlabelled, style="dim")


def _line(result: Comparison, each: Compared) -> str:
    label = "" if each.labels is None else f", it is {_called(result, each.labels)}"
    answers = f"{_called(result, each.first)} becomes {_called(result, each.second)}"
    return f"{printable(each.picture)}: {answers}{label}; {_probability(result, each)}"


def _shift(result: Comparison, each: Compared) -> str:
    return f"{printable(each.picture)}: {_probability(result, each)}"


def _probability(result: Comparison, each: Compared) -> str:
    first, second = each.first_probabilities[each.of], each.second_probabilities[each.of]
    return f"{printable(result.classes[each.of])} {first:.1%} in A, {second:.1%} in B ({points(each.shift)} points)"


def _called(result: Comparison, classes: tuple[int, ...]) -> str:
    return ", ".join(map(printable, result.names(classes))) or "no label"


def _share(count: int, of: int) -> str:
    return f"{count / of:.1%}" if of else "–"


def points(share: float) -> str:
    """+1.2, −0.3 for a share's hundredths; 0.0 without a sign."""
    text = f"{100 * share:+.1f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")
