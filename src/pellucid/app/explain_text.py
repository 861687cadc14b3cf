"""The printed output of `pellucid explain`: the path to a prediction, and one number with all its terms."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.text import Text

from pellucid.app.format import printable
from pellucid.glassbox.trace.trace import Trace
from pellucid.glassbox.trace.working import Part, Working
from pellucid.glassbox.why.attribution import Attribution
from pellucid.glassbox.why.mechanism import Mechanism

CLASSES, ROWS, CHANNELS, BETWEEN = 5, 12, 4, 12  # most lines of long lists; --json has everything
NEAR = 1e-4  # of 1: a share of the target that is all of it
WIDE = 11  # most columns of a printed grid


def path(trace: Trace, backward: bool) -> None:
    """Top classes, the loss, and a line per layer: shape, range, strongest units; with `backward` also gradients."""
    console = _console()
    console.print(Text(f"{printable(trace.source)}: {called(trace)}", style="bold"))
    order = np.argsort(-trace.probabilities, kind="stable")
    for index in order[:CLASSES]:
        name = printable(trace.classes[index])
        logit = trace.logit(int(index))
        score = f"  (logit {logit:.5g})" if logit is not None else ""
        console.print(Text(f"  {trace.probabilities[index]:>7.2%}  {name}{score}"))
    if len(order) > CLASSES:
        console.print(f"  … and {len(order) - CLASSES:,} more")
    against = ", ".join(map(printable, trace.against)) or "no label"
    console.print(Text(f"loss against {against}: {trace.loss:.6g}"))
    console.print()
    gradients = ["gradient"] if backward else []
    lines: list[tuple[str, ...]] = [
        ("layer", "what it does", "shape", "smallest", "mean", "largest", *gradients, "strongest unit")
    ]
    for node in trace.nodes:
        values = trace.values[node.name]
        (unit, strongest), *_ = trace.strongest(node.name, 1)
        what = node.kind if node.written else f"{node.kind} (arithmetic not shown yet)"
        cells = [node.name, what, "x".join(map(str, trace.shape(node.name))) or "1"]
        cells += [_short(values.min()), _short(values.mean()), _short(values.max())]
        if backward:
            gradient = trace.gradients.get(node.name)
            cells.append("none" if gradient is None else f"±{_short(np.abs(gradient).max())}")
        cells.append(f"[{', '.join(map(str, unit))}] {_short(strongest)}" if unit else _short(strongest))
        lines.append(tuple(cells))
    for line in aligned(lines, left=3):
        console.print(line)
    for number, line in enumerate(_apart(trace)):
        console.print(Text(line if number else f"\n{line}", style="dim"))
    example = _example(trace)
    console.print(
        Text(f"\n--unit '{example}' shows how a number was computed; --backward shows its gradient.", style="dim")
    )


def _apart(trace: Trace) -> Iterator[str]:
    """Why the loss is not minus the logarithm of the printed probability; see also web/scoring.js."""
    if trace.temperature != 1:
        yield (
            f"The probabilities are those of the logits divided by {trace.temperature:.4g}, the temperature. "
            "The loss takes the logits as they are."
        )
    op = trace.nodes[-1].op
    shares = op.constants.get("share") if op is not None and op.kind == "cross-entropy" else None
    if shares is None or len(trace.classes) < 2:
        return
    weight = shares[0].sum()
    own, other = (shares[0][at] / weight for at in (trace.label, 0 if trace.label else 1))
    if abs(own - 1) > NEAR:
        name = printable(trace.classes[trace.label])
        yield f"Label smoothing: the loss's target is {own:.4g} for {name} and {other:.4g} for each other class."


def called(trace: Trace) -> str:
    """The predicted class, or any number of labels."""
    return ", ".join(printable(trace.classes[number]) for number in trace.predictions) or "no label"


def working(result: Working) -> None:
    """One number's terms, their sum, and the value that PyTorch computed."""
    console = _console()
    title = {
        "value": result.name,
        "gradient": f"gradient of the loss with respect to {result.name}",
        "update": f"update of {result.name}",
    }
    kind = f"   {printable(result.kind)}" if result.quantity != "gradient" else ""
    console.print(Text(f"{title[result.quantity]}{kind}", style="bold"))
    if result.formula:
        console.print(Text(f"= {result.formula}"))
    if result.quantity == "update":
        console.print(Text("  " + ", ".join(f"{name} {_setting(value)}" for name, value in result.settings.items())))
    for part in result.between[:BETWEEN]:
        _between(part, console)
    if len(result.between) > BETWEEN:
        console.print(f"  … and {len(result.between) - BETWEEN:,} more intermediate numbers; --json lists all")
    if result.left_out:
        console.print(f"  … and {result.left_out:,} more, too many to list")
    running = 0.0
    for part in result.parts:
        running = _part(part, running, len(result.parts) > 1 and result.quantity == "gradient", console)
    missing = [
        f"The arithmetic of {name} is not available: what passes through it is not shown." for name in result.unwritten
    ]
    for note in [result.note] if result.note else missing:
        console.print(Text(note, "yellow"))
    if result.parts and result.difference is not None:
        console.print(Text(f"{_sum_name(result):>24}  {result.total!r}", style="bold"))
        console.print(Text(f"{'PyTorch computed':>24}  {result.recorded!r}", style="bold"))
        explained = f"; rounding explains up to {result.bound:.3g}" if result.difference else ""
        console.print(f"{'difference':>24}  {result.difference:.3g}{explained}")
    else:
        console.print(
            Text(f"{'value' if result.external else 'PyTorch computed':>24}  {result.recorded!r}", style="bold")
        )
    console.print()


def mechanism(result: Mechanism) -> None:
    """The difference between two classes, by pixels and by layers."""
    console = _console()
    first, second = printable(result.first), printable(result.second)
    console.print(Text(f"{printable(result.source)}: why {first} and not {second}", style="bold"))
    console.print(Text(f"logit of {first} minus logit of {second}: {result.difference:.6g}"))
    console.print(f"  {result.pixels.sum():>12.6g}  from the pixels (the pictures' mean colour counts as 0)")
    for share in result.shares:
        if abs(share.own) > 1e-6 * (abs(result.difference) + abs(result.own)):
            console.print(Text(f"  {share.own:>12.6g}  {share.name} adds by itself ({share.kind})"))
    console.print(
        f"  {result.difference + result.remainder:>12.6g}  in total; {result.remainder:.2g} off by rounding\n"
    )
    console.print(Text(f"the strongest units for {first} (+) and for {second} (-):"))
    lines = [("layer", "all units", "strongest")]
    for share in result.shares:
        units = "  ".join(f"[{', '.join(map(str, i))}] {c:+.3g}" for i, c in share.strongest(3))
        total = _short(share.units.sum()) if share.passes_all else f"({_short(share.units.sum())})"
        lines.append((share.name, total, units))
    for line in aligned(lines, 1, last_left=True):
        console.print(line)
    if any(not share.passes_all for share in result.shares):
        console.print("in parentheses: one branch of several", style="dim")


def attribution(result: Attribution, label: str, place: str) -> None:
    """Where the map was written, and how far to trust it."""
    console = _console()
    layer = f" at {result.layer}" if result.layer else ""
    console.print(Text(f"{result.method}{layer} for {printable(label)}: {printable(place)}", style="bold"))
    if result.completeness_error is not None:
        change = result.logit - result.baseline_logit
        console.print(
            f"the map adds up to the logit's change of {change:.4g} within {abs(result.completeness_error):.2g}"
        )
    recorded = "" if result.recorded == result.mode else f"; the trace was recorded in {result.recorded} mode"
    console.print(f"made in {result.mode} mode{recorded}", style="dim")
    shown = result.deletion
    console.print(
        f"deletion score {shown.area:.3f} (chance {shown.random_area:.3f} ± {shown.random_deviation:.3f}; "
        f"smaller is better): {shown.verdict}"
    )


def _part(part: Part, running: float, named: bool, console: Console) -> float:
    if named:
        console.print(Text(f"through {part.through}, {part.formula}:", style="dim"))
    if (shape := _window(part)) is not None:
        return _grids(part, shape, running, console)
    return _rows(part, running, console)


def _between(part: Part, console: Console) -> None:
    """An intermediate number on one line: its formula and value."""
    terms = part.terms
    name = _indexed(part.of, part.index)
    if len(terms) == 1:
        worked = f"{_with_numbers(part)} = " if terms.formula.arguments else ""
        console.print(Text(f"  {name} = {worked}{terms.total:.9g}"))
    else:
        several = {"sum": "sum of", "max": "largest of"}[terms.pick]
        console.print(Text(f"  {name} = {several} {part.formula} = {terms.total:.9g}"))


def _with_numbers(part: Part) -> str:
    """The formula of a single term with numbers instead of names."""
    numbers = {column.name: float(column.values[0]) for column in part.terms.columns}
    return part.terms.formula.written({n: f"({v:.9g})" if v < 0 else f"{v:.9g}" for n, v in numbers.items()})


def _indexed(name: str, place: Iterable[int]) -> str:
    inside = ", ".join(map(str, place))
    return f"{name}[{inside}]" if inside else name


def _window(part: Part) -> tuple[int, int, int] | None:
    """(channels, rows, columns) of the terms if they are a window over maps; None if they are a list."""
    columns = part.terms.columns
    weights = next((column for column in columns if column.indices.shape[1] == 4 and column.name == "weight"), None)
    if part.terms.pick == "max" or (len(columns) == 1 and columns[0].indices.shape[1] == 4):
        weights = columns[0] if columns[0].indices.shape[1] >= 3 else None
    if weights is None or len(part.terms) < 2 or part.of or columns[0].name.startswith("gradient"):
        return None
    height, width = (len(np.unique(weights.indices[:, axis])) for axis in (-2, -1))
    channels = len(part.terms) // (height * width)
    return (channels, height, width) if channels * height * width == len(part.terms) and width <= WIDE else None


def _grids(part: Part, shape: tuple[int, int, int], running: float, console: Console) -> float:
    """Window, weights and products side by side, channel by channel, with the running sum."""
    channels, height, _ = shape
    terms = part.terms
    grids = [column.values.reshape(shape) for column in terms.columns]
    outside = [~column.inside.reshape(shape) for column in terms.columns]
    if terms.pick == "sum" and len(grids) > 1:
        grids.append(terms.values.reshape(shape))
        outside.append(np.zeros(shape, bool))
    signs = ["*", "="] if len(grids) == 3 else [""] * (len(grids) - 1)
    labels = [part.names[column.name] for column in terms.columns] + (["products"] if len(grids) > 2 else [])
    for channel in range(min(channels, CHANNELS)):
        blocks = [_grid(grid[channel], out[channel]) for grid, out in zip(grids, outside, strict=True)]
        widths = [max(len(label), *map(len, block)) for label, block in zip(labels, blocks, strict=True)]
        if channel == 0:
            heads = "   ".join(f"{a:<{w}}" for a, w in zip(labels, widths, strict=True))
            console.print(Text(f"  {heads.rstrip()}", "dim"))
        for row in range(height):
            middle = row == height // 2
            line = blocks[0][row].ljust(widths[0])
            for sign, block, each in zip(signs, blocks[1:], widths[1:], strict=True):
                line += f" {sign if middle else ' ':^1} {block[row]:<{each}}"
            console.print(Text(f"  {line}"))
        if terms.pick == "sum":
            running += float(terms.values.reshape(shape)[channel].sum())
            console.print(Text(f"  channel {channel}: running sum {running:.9g}", style="dim"))
    if terms.pick == "max":
        place = _indexed(labels[0], part.places(terms.columns[0])[terms.winner])
        console.print(Text(f"  the largest is {terms.total:.9g}, at {place}"))
        return terms.total
    if channels > CHANNELS:
        rest = float(terms.values.reshape(shape)[CHANNELS:].sum())
        running += rest
        console.print(f"  … and {channels - CHANNELS:,} more channels, adding {rest:.9g}: running sum {running:.9g}")
    return running


def _grid(values: NDArray[np.float64], outside: NDArray[np.bool_]) -> list[str]:
    """Rows of numbers, columns aligned; a zero of the padding is a dot."""
    cells = [["." if o else _short(v) for v, o in zip(*row, strict=True)] for row in zip(values, outside, strict=True)]
    width = max(len(cell) for row in cells for cell in row)
    return [" ".join(f"{cell:>{width}}" for cell in row) for row in cells]


def _rows(part: Part, running: float, console: Console) -> float:
    """A line per term, the largest first if there are many. The last column: the running sum, or the winner."""
    terms = part.terms
    if len(terms) == 0:
        console.print("  it has no terms", style="dim")
        return running
    if len(terms) == 1:
        return _single(part, running, console)
    largest = terms.pick == "max"
    order = np.arange(len(terms))
    if len(terms) > ROWS:
        order = np.argsort(-terms.values if largest else -np.abs(terms.values), kind="stable")[:ROWS]
    places = {column.name: part.places(column) for column in terms.columns}
    # an index that all terms share is printed once
    fixed = [column for column in terms.columns if (places[column.name] == places[column.name][0]).all()]
    for column in fixed:
        name = _indexed(part.names[column.name], places[column.name][0])
        console.print(Text(f"  {name} = {_short(column.values[0])} in every term", style="dim"))
    if len(terms) > ROWS:
        what = "candidates" if largest else "terms"
        console.print(f"  {len(terms):,} {what}, the largest first:", style="dim")
    varying = [column for column in terms.columns if all(column is not other for other in fixed)]
    lines = []
    for row in order:
        cells = [
            f"{_indexed(part.names[column.name], places[column.name][row])} {_short(column.values[row])}"
            for column in varying
        ]
        running += float(terms.values[row])
        last = ("the largest" if row == terms.winner else "") if largest else f"sum {running:.9g}"
        lines.append((*cells, f"-> {_short(terms.values[row])}", last))
    for line in aligned(lines, len(varying), heading=False):
        console.print(Text("  ").append(line))
    if largest:
        return terms.total
    if len(terms) > ROWS:
        rest = terms.total - float(terms.values[order].sum())
        running += rest
        console.print(f"  … and {len(terms) - ROWS:,} more terms, adding {rest:.9g}: sum {running:.9g}")
    return running


def _single(part: Part, running: float, console: Console) -> float:
    """The input numbers, a line each, and the formula with them."""
    for column in part.terms.columns:
        name = _indexed(part.names[column.name], part.places(column)[0])
        console.print(Text(f"  {name} = {column.values[0]:.9g}"))
    running += part.terms.total
    if len(part.terms.columns) > 1:
        console.print(Text(f"  {_with_numbers(part)} = {part.terms.total:.9g}"))
    return running


def _sum_name(result: Working) -> str:
    if result.quantity == "update":
        return "new weight, computed here"
    one = len(result.parts) == 1
    return (
        "largest" if one and result.parts[0].terms.pick == "max" else "sum of the terms" if not one else "computed here"
    )


def aligned(lines: list[tuple[str, ...]], left: int, heading: bool = True, last_left: bool = False) -> list[Text]:
    """Aligned columns: the first `left` flush left, numbers flush right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    texts = []
    for number, line in enumerate(lines):
        cells = []
        for index, (cell, width) in enumerate(zip(line, widths, strict=True)):
            flush_left = index < left or (last_left and index == len(line) - 1)
            cells.append(cell.ljust(width) if flush_left else cell.rjust(width))
        texts.append(Text("  ".join(cells).rstrip(), style="bold" if heading and number == 0 else ""))
    return texts


def _example(trace: Trace) -> str:
    """A unit worth a look: the strongest of the first layer with weights."""
    first = next((node for node in trace.nodes if "weight" in node.reads), trace.nodes[-1])
    (unit, _), *_ = trace.strongest(first.name, 1)
    return f"{first.name}[{', '.join(map(str, unit))}]"


def _short(value: float) -> str:
    """Five significant digits, for display only."""
    number = float(value) + 0.0  # avoids -0
    return f"{number:.5g}" if math.isfinite(number) else "."


def _setting(value: object) -> str:
    if isinstance(value, tuple):
        return " and ".join(map(_setting, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _console() -> Console:
    return Console(highlight=False, soft_wrap=True)
