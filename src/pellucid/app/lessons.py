"""Print the walk through the article: text, grids of numbers, pictures in shades, sums line by line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.style import Style
from rich.text import Text

if TYPE_CHECKING:
    from pellucid.lessons.lesson import Grid, Lesson, Term, Value, Worked

WIDEST = 88  # columns of running text
GAP = 3  # columns between grids
LONG = 6  # numbers in a row
SPACIOUS = 16  # a picture with fewer columns is drawn with two cells per pixel
RAMP = " .:-=+*#%@"
DECIMALS = 4
FEWER = 2  # decimals for numbers from LARGE on
LARGE = 10
TABLED = 4  # a lesson with at most this many workings shows each as a table
LISTED = 12  # most terms in a table; of more, the first and the last few are shown
FIRST, LAST = 6, 2
SHORT = 3  # most terms without a table

Block = list[Text]
Floats = NDArray[np.float64]
Place = tuple[int, ...]


def show(lessons: Iterable[Lesson], console: Console | None = None) -> None:
    """Print lessons, in order."""
    console = console or Console(highlight=False)
    for number, lesson in enumerate(lessons):
        if number:
            console.print()
        _show(lesson, console)


def _show(lesson: Lesson, console: Console) -> None:
    width = min(console.width, WIDEST)
    heading = Text(lesson.title, style="bold")
    name = f"  {lesson.name}"
    if heading.cell_len + len(name) <= width:
        heading.append(f"{name:>{width - heading.cell_len}}", style="dim not bold")
    console.print(heading)
    console.print(Text("─" * width if _blocks(console) else "-" * width, style="dim"))
    for line in wrap(lesson.text, width):
        console.print(line, markup=False)
    tabled = len(lesson.workings) <= TABLED
    marks = _marks(lesson.workings[0]) if lesson.workings and tabled else {}
    for line in _bands(lesson.arrays, marks, console):
        console.print(line, soft_wrap=True)
    for line in _tables(lesson.workings, console.width) if tabled else _lines(lesson.workings, console.width):
        console.print(line, soft_wrap=True)
    for line in _values(lesson.values, console.width):
        console.print(line, soft_wrap=True)


# --- grids ---


def _marks(working: Worked) -> dict[str, set[Place]]:
    """Array -> the places that a working reads or computes."""
    marks: dict[str, set[Place]] = {working.of.name: {working.of.index}}
    for term in working.terms:
        for factor in term.factors:
            if factor.inside:
                marks.setdefault(factor.name, set()).add(factor.index)
    return marks


def _bands(grids: Sequence[Grid], marks: dict[str, set[Place]], console: Console) -> Iterator[Text]:
    """Grids side by side if they fit; one in shades ends its band."""
    band: list[Block] = []
    for grid in grids:
        blocks = list(_drawn(grid, marks.get(grid.name, set()), console))
        if band and _together([*band, *blocks]) > console.width:
            yield from _beside(band)
            band = []
        for block in blocks:
            if band and _together([*band, block]) > console.width:
                yield from _beside(band)
                band = []
            band.append(block)
        if grid.shown != "numbers":
            yield from _beside(band)
            band = []
    if band:
        yield from _beside(band)


def _beside(band: list[Block]) -> Iterator[Text]:
    yield Text()
    for row in range(max(map(len, band))):
        line = Text()
        for block in band:
            cell = block[row].copy() if row < len(block) else Text()
            cell.pad_right(_width(block) + GAP - cell.cell_len)
            line.append_text(cell)
        line.rstrip()
        yield line


def _together(band: list[Block]) -> int:
    return sum(_width(block) + GAP for block in band) - GAP


def _width(block: Block) -> int:
    return max(line.cell_len for line in block)


def _drawn(grid: Grid, marks: set[Place], console: Console) -> Iterator[Block]:
    """A block per channel."""
    numbers = grid.numbers
    if grid.shown != "numbers":
        yield [Text(grid.title, style="dim"), *_shaded(numbers, grid.shown == "strength", console)]
    elif numbers.ndim == 3:
        cells = _cells(numbers)
        for channel, rows in enumerate(cells):
            here = {place[1:] for place in marks if place[0] == channel}
            title = f"{grid.title}, {grid.channels[channel]}" if grid.channels else f"{grid.title} {channel}"
            yield _numbered(title, rows, here, bool(marks))
    else:
        rows = _cells(numbers)
        if numbers.ndim == 1:  # a row, or a column if it is long
            rows = rows[:, None] if len(numbers) > LONG else rows[None]
        headings = np.array([grid.columns], object) if grid.columns else rows[:0]
        yield _numbered(grid.title, np.concatenate([headings, rows]), marks, bool(marks))


def _cells(numbers: Floats) -> NDArray[Any]:
    """The numbers as texts with the same number of decimals, as few as show them exactly, at most four."""
    most = DECIMALS if np.abs(numbers).max() < LARGE else FEWER
    enough = (d for d in range(most) if np.allclose(numbers, np.round(numbers, d), rtol=0, atol=1e-9))
    decimals = next(enough, most)
    texts = [f"{value:.{decimals}f}" for value in np.round(numbers, decimals).ravel() + 0.0]
    return np.array(texts, object).reshape(numbers.shape)


def _numbered(title: str, rows: NDArray[Any], marks: set[Place], bracketed: bool) -> Block:
    """Numbers in columns of equal width; marked ones are in brackets and bold."""
    widths = [max(map(len, column)) for column in rows.T]
    if len(set(rows[0])) < 2 or all(cell.strip("-.0123456789") == "" for cell in rows.ravel()):
        widths = [max(widths)] * len(widths)
    block = [Text(title, style="dim")]
    for row, cells in enumerate(rows):
        line = Text()
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True)):
            if (row, column) in marks:
                line.append(f"[{cell}]".rjust(width + 2), style="bold")
            elif bracketed:
                line.append(f" {cell:>{width}} ")
            else:
                line.append(f"{'  ' if column else ''}{cell:>{width}}")
        block.append(line)
    return block


def _shaded(numbers: Floats, strength: bool, console: Console) -> Block:
    """Grey levels: two pixels per cell, one above the other, or two cells per pixel if there are few columns."""
    levels = np.abs(numbers) * (255 / (np.abs(numbers).max() or 1)) if strength else np.clip(numbers, 0, 255)
    if levels.shape[1] < SPACIOUS:
        return [_spacious(row, console) for row in levels]
    if len(levels) % 2:
        levels = np.concatenate([levels, levels[-1:]])
    pairs = zip(levels[::2], levels[1::2], strict=True)
    if not _colours(console):
        return [Text("".join(_letter((a + b) / 2) for a, b in zip(*pair, strict=True))) for pair in pairs]
    return [Text.assemble(*(("▀", _grey(a) + _behind(b)) for a, b in zip(*pair, strict=True))) for pair in pairs]


def _spacious(row: Floats, console: Console) -> Text:
    if _colours(console):
        return Text.assemble(*(("  ", _behind(level)) for level in row))
    return Text("".join(2 * _letter(level) for level in row))


def _letter(level: float) -> str:
    return RAMP[min(int(level / 256 * len(RAMP)), len(RAMP) - 1)]


def _grey(level: float) -> Style:
    return Style(color=f"rgb({level:.0f},{level:.0f},{level:.0f})")


def _behind(level: float) -> Style:
    return Style(bgcolor=f"rgb({level:.0f},{level:.0f},{level:.0f})")


def _colours(console: Console) -> bool:
    """Whether grey levels can be shown: not in a file, and not if NO_COLOR is set."""
    return console.color_system in ("256", "truecolor", "windows") and not console.no_color and _blocks(console)


def _blocks(console: Console) -> bool:
    return console.encoding.startswith("utf")


# --- sums ---


def _tables(workings: Sequence[Worked], width: int) -> Iterator[Text]:
    for rule, several in groupby(workings, lambda working: working.rule):
        yield from _rule(rule, width)
        for working in several:
            yield from _table(working) if len(working.terms) > SHORT else _sum(working, width)


def _rule(rule: str, width: int) -> Iterator[Text]:
    yield Text()
    whole = rule.replace(", ", ",\N{NO-BREAK SPACE}")  # keeps an index on its line
    for line in wrap(whole, width, subsequent_indent="    "):
        yield Text(line.replace("\N{NO-BREAK SPACE}", " "), style="dim italic")


def _table(working: Worked) -> Iterator[Text]:
    """A line per term: its formula, its numbers, its value, the sum so far."""
    biggest = any(part.pick == "max" for part in working.parts)
    lines = [("", "", "candidate" if biggest else "term", "largest so far" if biggest else "sum so far")]
    lines += [_row(term) for term in working.terms]
    left_out = len(lines) - 1 - FIRST - LAST
    if len(lines) - 1 > LISTED:
        more = f"… {left_out} more"
        lines[FIRST + 1 : -LAST] = [(more, "", "", _number(working.terms[-LAST - 1].running))]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for number, (what, written, value, running) in enumerate(lines):
        yield Text(
            f"  {what:<{widths[0]}}   {written:<{widths[1]}}   {value:>{widths[2]}}   {running:>{widths[3]}}",
            style="" if number else "dim",
        )
    yield Text(f"  {working.name} = {_number(working.total)}", style="bold")


def _row(term: Term) -> tuple[str, str, str, str]:
    written = "" if term.written == _number(term.value) else term.written
    return " * ".join(map(str, term.factors)), written, _number(term.value), _number(term.running)


def _lines(workings: Sequence[Worked], width: int) -> Iterator[Text]:
    """The numbers in order, under the rule for their array."""
    for rule, several in groupby(workings, lambda working: working.rule):
        yield from _rule(rule, width)
        for working in several:
            yield from _sum(working, width)


def _sum(working: Worked, width: int) -> Iterator[Text]:
    """`output[0, 0] = 1 * 0.5 + 2 * 0 + 0.5 = 1`, on as many lines as necessary; of many terms the first and last."""
    total = _number(working.total)
    written = [term.written for term in working.terms]
    if len(written) > LISTED:
        written[FIRST:-LAST] = [f"… {len(written) - FIRST - LAST} more"]
    biggest = bool(working.parts) and working.parts[0].pick == "max"
    joint = ", " if biggest else " + "
    pieces = [f"{piece}{joint}" for piece in written[:-1]] + [f"{piece} " for piece in written[-1:]]
    if biggest:
        pieces[0] = f"largest of {pieces[0]}"
    if [piece.strip(" ()") for piece in pieces] in ([], [total]):
        pieces = []
    line = f"  {working.name} = "
    for piece in [*pieces, f"= {total}" if pieces else total if written else f"{total}, nothing leads to it"]:
        if len(line) + len(piece.rstrip()) > width:
            yield Text(line.rstrip())
            line = "      "
        line += piece
    yield Text(line)


def _number(value: float) -> str:
    return f"{value:.0f}" if value == round(value) and abs(value) < 1e15 else f"{value:.6g}"


# --- values ---


def _values(values: Sequence[Value], width: int) -> Iterator[Text]:
    if not values:
        return
    yield Text()
    left = max(len(value.title) for value in values)
    for value in values:
        shown = _shown(value.value)
        line = Text.assemble((f"{value.title:<{left}}  ", "dim"), (shown, "bold"))
        if not value.formula or value.formula == shown:
            yield line
        elif line.cell_len + GAP + len(value.formula) <= width:
            yield line.append(f"   {value.formula}")
        else:
            yield line
            for part in re.split(r"; |, (?=width)", value.formula):
                yield Text(f"{'':{left}}  {part}")


def _shown(value: Any) -> str:
    """A size as 300x300x3, a list with commas, a number as 219,801."""
    if isinstance(value, tuple):
        return "x".join(map(str, value))
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    if isinstance(value, int):
        return f"{value:,}"
    return _number(value) if isinstance(value, float) else str(value)
