"""The printed output of `pellucid makers`."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from pellucid.app.format import many, printable
from pellucid.app.tables import columns
from pellucid.life.makers import FilterMakers, LayerMakers, Maker, Makers, Span

LISTED = 10  # most filters of a layer among several
TOWARD, AWAY = 3, 2  # pictures of a line
LONG = 10  # pictures each way of one filter


def makers(result: Makers, model: str, number: int | None, every: bool) -> None:
    """A table for each layer; of filter `number` one for its tenths, and its pictures. `every`: all filters."""
    console = Console(highlight=False, soft_wrap=True)
    how = f"{many(result.steps, 'step')} of {result.optimizer}" if result.steps else "its head was fitted at once"
    console.print(Text(f"{model}: {how}, from {result.begins}"))
    for layer in result.layers:
        if number is None:
            _layer(result, layer, every, console)
        else:
            _filter(result, layer, layer.filters[number], console)
    made = (
        "pushes: how much of that all pictures made" if result.exact else "pushes: an estimate of what they made of it"
    )
    decay = "decay: what weight decay made; " if _decays(result) else ""
    console.print(
        f"moved: in a straight line from its first weights to its last; travelled: all its steps; {made}; {decay}"
        "before a picture: its share",
        style="dim",
        markup=False,
    )


def _decays(result: Makers) -> bool:
    return any(each.whole.decay for layer in result.layers for each in layer.filters)


def _layer(result: Makers, layer: LayerMakers, every: bool, console: Console) -> None:
    console.print(Text(f"\n{layer.layer}: {many(len(layer.filters), 'filter')}", style="bold"))
    table = columns("filter", *_headings(result))
    shown = layer.ranked if every else layer.ranked[:LISTED]
    for each in shown:
        table.add_row(str(each.filter), *_cells(result, each.whole, each.straight))
    console.print(table)
    if len(shown) < len(layer.filters):
        console.print(f"--layer {layer.layer} lists every filter", style="dim", markup=False)


def _filter(result: Makers, layer: LayerMakers, each: FilterMakers, console: Console) -> None:
    """The spans of one filter, then its pictures."""
    console.print(Text(f"\n{layer.layer}, filter {each.filter}", style="bold"))
    table = columns("steps", *_headings(result))
    for span in (*each.tenths, each.whole):
        name = f"{span.first:,} to {span.last:,}" if span.last else "at once"
        table.add_row(name, *_cells(result, span, each.straight))
    console.print(table)
    for heading, some in (("pushed it there", each.whole.toward), ("pushed it back", each.whole.away)):
        if not some:
            continue
        table = columns(heading, "class", "share>", "push>", "most in step>")
        for maker in some[:LONG]:
            path, label = (printable(words) for words in result.pictures[maker.row])
            share = _share(maker.push, each.straight)
            table.add_row(
                Text(path), Text(label), share, _signed(f"{maker.push:+.3g}"), f"{maker.step:,}" if maker.step else ""
            )
        console.print(table)


def _headings(result: Makers) -> list[str]:
    decay = ["decay>"] if _decays(result) else []
    return ["moved>", "travelled>", "pushes>", *decay, "pushed it there", "pushed it back"]


def _cells(result: Makers, span: Span, straight: float) -> list[str | Text]:
    """Of one span of a filter whose whole movement is `straight`."""
    decay = [_share(span.decay, straight)] if _decays(result) else []
    sides = (_listed(result, some, straight) for some in (span.toward[:TOWARD], span.away[:AWAY]))
    return [_signed(f"{span.moved:.3g}"), f"{span.distance:.3g}", _share(span.push, straight), *decay, *sides]


def _listed(result: Makers, some: Sequence[Maker], straight: float) -> Text:
    words = []
    for maker in some:
        path, label = (printable(each) for each in result.pictures[maker.row])
        named = path if path.split("/")[0] == label else f"{path}, {label}"
        words.append(f"{_share(maker.push, straight)} {named}")
    return Text("\n".join(words) or "–")


def _share(push: float, straight: float) -> str:
    """Of the filter's movement; – if it did not move."""
    return _signed(f"{push / straight:+.1%}") if straight else "–"


def _signed(number: str) -> str:
    return number.replace("-", "−", 1) if number.startswith("-") else number
