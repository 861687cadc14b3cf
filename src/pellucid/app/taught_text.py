"""The printed output of `pellucid taught`."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from pellucid.app.format import many, printable
from pellucid.app.tables import columns
from pellucid.life.influence import SOURCES, Suspects, Taught, Teaching, Verified

HOW = {
    "derivative": "the derivative of the loss, back through all {steps:,} steps of the training",
    "tracin": "TracIn, an estimate from a few moments of the training",
    "head": "in closed form, from the condition that the head is the minimum of its loss",
}


def teaching(result: Teaching, top: int) -> None:
    """The answer, its strongest helpers and hurters, and what training again without them showed."""
    console = Console(highlight=False, soft_wrap=True)
    what = f"{printable(result.picture)}: {printable(result.label)} ({result.probability:.1%})"
    console.print(Text(f"{what}; loss before calibration {result.loss:.4g}", style="bold"))
    console.print(Text(HOW[result.method].format(steps=result.steps)))
    for title, some in (("helped", result.helped(top)), ("hurt", result.hurt(top))):
        _table(title, some, console)
    trained = many(len(result.every), "training picture")
    console.print(
        f"of {trained}; loss: how much higher it would be without the picture, an estimate, in nats\n"
        f"({SOURCES[result.method]})",
        style="dim",
        markup=False,
    )
    if any(each.effect < -result.loss for each in result.hurt(top)):
        console.print(
            "a loss cannot fall below 0: here the figures are far too large, and only --verify says what would happen",
            style="yellow",
            markup=False,
        )
    if result.rest is not None:
        parts = sum(each.part or 0.0 for each in result.every)
        console.print(
            f"logit: the picture's term in the sum that is the logit: {parts:+.4f} of all pictures and "
            f"{result.rest:+.4f} of no picture make {parts + result.rest:+.4f}",
            style="dim",
            markup=False,
        )
    for each in result.verified:
        _verified(each, console)
    for note in result.notes:
        console.print(Text(printable(note), style="yellow"))


def suspects(result: Suspects, top: int) -> None:
    """The training pictures whose labels are most suspicious."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(Text(f"labels to look at first, of {many(len(result.every), 'training picture')}", style="bold"))
    table = columns("label", "own effect>", "picture")
    for each in result.every[:top]:
        table.add_row(Text(printable(each.label)), f"{each.effect:.3g}", Text(printable(each.path)))
    console.print(table)
    how = "TracIn of the picture with itself" if result.method == "tracin" else "the squared length of its gradient"
    console.print(f"own effect: {how}; large where no other picture supports the label", style="dim", markup=False)
    for note in result.notes:
        console.print(Text(printable(note), style="yellow"))


def _table(title: str, some: list[Taught], console: Console) -> None:
    if not some:
        console.print(f"no picture {title}")
        return
    logit = ("logit>",) if some[0].part is not None else ()
    table = columns(f"{title}: class", "loss>", *logit, "picture")
    for each in some:
        part = () if each.part is None else (signed(each.part),)
        table.add_row(Text(printable(each.label)), signed(each.effect), *part, Text(printable(each.path)))
    console.print(table)


def _verified(each: Verified, console: Console) -> None:
    who = many(len(each.pictures), "helper" if each.expected > 0 else "hurter")
    moved = "rose" if each.after > each.before else "fell"
    verdict = "in the expected direction" if each.agrees else "NOT in the expected direction"
    console.print(
        Text(
            f"trained again without {who}: the loss {moved} from {each.before:.4g} to {each.after:.4g}, {verdict} "
            f"(by {signed(each.after - each.before)}, expected {signed(each.expected)})",
            style="" if each.agrees else "yellow",
        )
    )


def signed(number: float) -> str:
    """+0.00514, −0.00151."""
    return f"{number:+.3g}".replace("-", "−", 1)
