"""The printed output of `pellucid readout`."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from pellucid.app.format import many, printable
from pellucid.app.tables import columns, left_out
from pellucid.debugging.known import LayerKnows, Readout


def readout(result: Readout) -> None:
    """What was fitted to what, and a row for each layer."""
    console = Console(highlight=False, soft_wrap=True)
    exactly = " (exactly the right labels)" if result.several else ""
    console.print(Text(f"accuracy on {many(result.pictures, f'{result.side} picture')}{exactly}"))
    if result.chosen_from == "validation":
        chosen = many(result.chosen, "validation picture")
    else:
        chosen = f"{result.chosen:,} further ones"
    console.print(f"fitted to {many(result.fitted, 'training picture')}; {chosen} chose the penalty")
    table = columns("after layer", "reads", "numbers>", "training>", f"{result.side}>", "95% interval>")
    for each in result.layers:
        low, high = each.interval
        figures = (f"{each.source.count:,}", f"{each.train:.1%}", f"{each.accuracy:.1%}", f"{low:.1%} to {high:.1%}")
        table.add_row(Text(printable(each.layer)), _reads(each), *figures)
    console.print(table)
    console.print(f"the network itself: {result.correct / result.pictures:.1%}")
    if not result.several:
        console.print(f"the most frequent class alone: {result.commonest / result.pictures:.1%}")
    if result.remark is not None:
        console.print(Text(printable(result.remark)))
    if not result.complete:
        console.print(f"stopped: {len(result.layers):,} of {many(result.wanted, 'layer')} measured")
    left_out(console, result.unusable, result.notes)


def _reads(each: LayerKnows) -> str:
    shape = "x".join(map(str, each.source.shape))
    if each.source.cells is None:
        return shape
    if len(each.source.shape) == 2:
        return f"means over {each.source.shape[0]} tokens"
    return f"{shape}, in {each.source.cells[0]}x{each.source.cells[1]} cells"
