"""The printed output of `pellucid without`."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from pellucid.app.format import many, printable
from pellucid.app.tables import columns, left_out
from pellucid.debugging.paired import TEST, Paired
from pellucid.debugging.removed import CORRECTION, FilterRemoved, LayerWithout, Without

LISTED = 10  # most filters of a layer; --list and --json have every one


def without(result: Without, every: bool) -> None:
    """A table for each layer: the filters by the accuracy that they cost; `every`: all of them."""
    console = Console(highlight=False, soft_wrap=True)
    what = " (exactly the right labels)" if result.several else ""
    console.print(Text(f"on {many(result.pictures, 'picture')}: {printable(result.name)}{what}"))
    if result.seen:
        console.print(Text(f"the model's training has seen {result.seen:,} of these pictures", style="yellow"))
    for each in result.layers:
        _layer(each, result, every, console)
    console.print(
        f"chance: how probable such a difference is by chance alone ({TEST}, corrected for the number of filters or "
        f"classes: {CORRECTION})",
        style="dim",
        markup=False,
    )
    if not result.complete:
        console.print(f"stopped: {len(result.layers):,} of {many(result.wanted, 'layer')} measured")
    left_out(console, result.unusable, result.notes)


def _layer(layer: LayerWithout, result: Without, every: bool, console: Console) -> None:
    whole = layer.filters[0].right
    low, high = whole.first_interval
    behind = "" if layer.place == layer.layer else f", set to zero after {layer.place}"
    console.print(Text(f"\n{layer.layer}: {many(len(layer.filters), 'filter')}{behind}", style="bold"))
    on = "" if layer.pictures == result.pictures else f", on the first {layer.pictures:,}"
    console.print(Text(f"with every filter {whole.first:.1%}, 95% interval {low:.1%} to {high:.1%}{on}"))
    table = columns("without filter", "accuracy>", "points>", "95% interval>", "chance>", "most in")
    shown = layer.ranked if every else layer.ranked[:LISTED]
    for each in shown:
        table.add_row(*_row(layer, each), style="dim" if layer.within_chance(each.filter) else None)
    console.print(table)
    within = sum(layer.within_chance(each.filter) for each in layer.filters)
    if within:
        count = f"{within:,} of {many(len(layer.filters), 'difference')} may be chance"
        console.print(
            f"{count}; the list is by accuracy, and the place of such a filter in it means little", style="dim"
        )
    if len(shown) < len(layer.filters):
        console.print("--list shows every filter", style="dim")


def _row(layer: LayerWithout, each: FilterRemoved) -> tuple[str, str, str, str, str, Text]:
    low, high = each.right.difference_interval
    chance = layer.chances[each.filter]
    return (
        str(each.filter),
        f"{each.right.second:.1%}",
        _points(each.right.difference),
        f"{_points(low)} to {_points(high)}",
        f"{chance:.2g}",
        Text(_worst(each)),
    )


def _worst(each: FilterRemoved) -> str:
    worst = each.worst
    if worst is None:
        return "–"
    return f"{printable(worst.name)}: {_instead(worst.right)}{' (may be chance)' if worst.within_chance else ''}"


def _instead(right: Paired) -> str:
    return f"{right.second:.1%} instead of {right.first:.1%}"


def _points(share: float) -> str:
    """+1.2, −0.3 for a share's hundredths."""
    return f"{100 * share:+.1f}".replace("-", "−")
