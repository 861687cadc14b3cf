"""The printed output of `pellucid without --picture`."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from pellucid.app import compared_text
from pellucid.app.format import many, printable
from pellucid.app.tables import columns
from pellucid.life.removed import Removal


def removal(result: Removal, every: bool) -> None:
    """The pictures that were left out, the weights, and the comparison; `every`: all answers that change."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(Text(f"{printable(result.model)}, trained again without {many(len(result.pictures), 'picture')}"))
    if result.first:
        same = "; the steps before it are the same, bit for bit" if result.first > 1 else ""
        console.print(f"first used in step {result.first:,} of {result.steps:,}{same}")
    elif not result.steps:
        console.print("the head was fitted again, to the features of the other pictures")
    table = columns("left out", "class", "its probability with>", "without>")
    for each in result.pictures:
        probabilities = ("–" if value is None else f"{value:.1%}" for value in (each.before, each.after))
        table.add_row(Text(printable(each.path)), Text(printable(each.label)), *probabilities)
    console.print(table)
    table = columns("layer", "weights>", "largest change>", "mean change>")
    for layer in result.layers:
        table.add_row(Text(printable(layer.layer)), f"{layer.weights:,}", f"{layer.largest:.3g}", f"{layer.mean:.3g}")
    console.print(table)
    if result.losses is not None:
        before, after = result.losses
        console.print(f"cross-entropy {before:.4f} with, {after:.4f} without")
    if result.comparison is not None:
        compared_text.comparison(result.comparison, every)
    for note in result.notes:
        console.print(Text(printable(note), style="yellow"))
