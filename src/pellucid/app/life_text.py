"""The printed output of `pellucid life`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.text import Text

from pellucid.app.format import many, printable
from pellucid.app.tables import columns
from pellucid.life.story import LargeStep, Life, PicturePart

PUSHERS, PICTURES = 10, 3  # listed: of the whole life; of a step, in each direction
HEIGHT, WIDTH = 5, 60  # of the curve, in letters
LEVELS = " ▁▂▃▄▅▆▇█"
PLAIN = " .:|#"


def life(result: Life, model: Path) -> None:
    """What the weight was, what it became, its curve, its largest steps, and the pictures that pushed it most."""
    console = Console(highlight=False, soft_wrap=True)
    console.print(Text(f"{result.weight} of {printable(model)}: {_span(result)}", style="bold"))
    console.print(Text(f"begins as {printable(result.begins)}"))
    if result.unused:
        after = f"{many(result.unused, 'later step')} led to no better validation, and the model does not use "
        console.print(Text(f"{after}{'it' if result.unused == 1 else 'them'}", style="dim"))
    if result.note:
        console.print(Text(result.note, style="dim"))
    _sum(result, console)
    if len(set(result.values)) > 2:
        console.print()
        for line in curve(result.values, result.begin, console.encoding.startswith("utf")):
            console.print(Text(line))
    for step in result.largest:
        _step(step, result, console)
    _pushers(result, console)


def _span(result: Life) -> str:
    made = len(result.values) - 1
    if result.optimizer == "lbfgs":
        return "fitted to all pictures at once"
    if made == result.steps:
        return f"{many(made, 'step')} of {result.optimizer}"
    return f"steps {result.begin + 1:,} to {result.begin + made:,} of {result.steps:,}, {result.optimizer}"


def _sum(result: Life, console: Console) -> None:
    """One line that adds up, and below it what the sum of the updates consists of."""
    updates = len(result.values) - 1
    what = "the pushes of the pictures" if result.optimizer == "lbfgs" else many(updates, "update")
    sign = "+" if result.moved >= 0 else "-"
    line = f"{result.first!r} {sign} {abs(result.moved)!r} ({what}) = {result.last!r}"
    console.print(Text(line, style="bold"))
    if result.drift is not None:
        rest = "" if result.saved is None else f"; the saved weight is {result.saved!r}"
        console.print(Text(f"made again here, it does not end in the saved weights: no exact claim{rest}", "yellow"))
    elif result.saved is not None:
        console.print(Text("equal to the saved weight, to the last bit", style="green"))
    else:
        console.print(Text("the training made again ends in the saved weights, to the last bit", style="green"))
    if not result.pushers:
        return
    up, down = (math.fsum(getattr(each, name) for each in result.pushers) for name in ("up", "down"))
    counts = [sum(bool(getattr(each, name)) for each in result.pushers) for name in ("up", "down")]
    lines = [(up, f"upwards by {many(counts[0], 'picture')}"), (down, f"downwards by {many(counts[1], 'picture')}")]
    lines += [(result.decay, "weight decay")] if result.decay else []
    lines += [(result.earlier, "momentum from the steps before")] if result.earlier else []
    last = "where the search for the minimum ended" if result.optimizer == "lbfgs" else "rounding"
    for value, name in [*lines, (result.rounding, last)]:
        console.print(Text(f"  {value:>+14.6g}  {name}"))


def curve(values: Sequence[float], begin: int, blocks: bool) -> Iterator[str]:
    """Lines of a curve: the mean value of each stretch of steps, as a filled area from the smallest to the largest."""
    levels = LEVELS if blocks else PLAIN
    stretches = np.array_split(np.array(values), min(WIDTH, len(values)))
    means = np.array([each.mean() for each in stretches])
    low, high = float(min(values)), float(max(values))
    heights = np.round((means - low) / ((high - low) or 1.0) * HEIGHT * (len(levels) - 1)).astype(int)
    digits = next((n for n in (4, 6) if f"{high:.{n}g}" != f"{low:.{n}g}"), 9)
    labels = [f"{high:.{digits}g}", *[""] * (HEIGHT - 2), f"{low:.{digits}g}"]
    wide = max(map(len, labels))
    for row, label in zip(range(HEIGHT - 1, -1, -1), labels, strict=True):
        part = np.clip(heights - row * (len(levels) - 1), 0, len(levels) - 1)
        yield f"{label:>{wide}} {'│' if blocks else '|'}{''.join(levels[each] for each in part)}".rstrip()
    first, last = f"{begin:,}", f"{begin + len(values) - 1:,}"
    yield f"{'':>{wide}}  {first}{last:>{max(len(means) - len(first), len(last) + 1)}} steps"


def _step(step: LargeStep, result: Life, console: Console) -> None:
    sign = "+" if step.update >= 0 else "-"
    title = f"\nstep {step.step:,} (epoch {step.epoch:,}): {step.before:.6g} {sign} {abs(step.update):.6g}"
    console.print(Text(f"{title} = {step.after:.6g}", style="bold"))
    console.print(Text(f"  gradient = {step.gradient:.6g}, the parts of {many(len(step.pictures), 'picture')} added"))
    for line in worked(step, result):
        console.print(Text(f"  {line}"))
    if result.optimizer != "sgd" or result.settings["momentum"]:
        own = math.fsum(each.push for each in step.pictures)
        console.print(Text(f"  these pictures {own:+.3g}, earlier steps and weight decay {step.update - own:+.3g}"))
    for name, some in (("up", [p for p in step.pictures if p.push > 0]), ("down", _downwards(step.pictures))):
        if some:
            console.print(Text(f"  {name}: {_pictures(some)}"))


def _downwards(pictures: Sequence[PicturePart]) -> list[PicturePart]:
    return [each for each in pictures if each.push < 0]


def _pictures(pictures: Sequence[PicturePart]) -> str:
    """The strongest with their share of all pushes in this direction."""
    whole = math.fsum(each.push for each in pictures)
    shown = [
        f"{printable(each.path)} ({printable(each.label)}) {each.push:+.3g}, {each.push / whole:.0%}"
        for each in pictures[:PICTURES]
    ]
    rest = pictures[PICTURES:]
    if rest:
        shown.append(f"{len(rest):,} more {math.fsum(each.push for each in rest):+.3g}")
    return "; ".join(shown)


def worked(step: LargeStep, result: Life) -> Iterator[str]:
    """The arithmetic of a step by the optimizer's formula, with its numbers."""
    settings, state, rate = result.settings, step.state, f"{step.rate:.6g}"
    decay, gradient, before = settings["weight_decay"], step.gradient, f"{step.before:.6g}"
    if decay and result.optimizer != "adamw":
        pulled = gradient + decay * step.before
        yield f"with weight decay = {gradient:.6g} + {decay:g} * {before} = {pulled:.6g}"
        gradient = pulled
    shown, after = f"{gradient:.6g}", step.before + step.formula
    squared = f"({shown})²" if gradient < 0 else f"{shown}²"
    momentum = settings.get("momentum", 0.0)
    match result.optimizer:
        case "sgd":
            if momentum:
                velocity = momentum * state["momentum_buffer"] + gradient
                yield f"momentum = {momentum:g} * {state['momentum_buffer']:.6g} + {shown} = {velocity:.6g}"
                shown = f"({shown} + {momentum:g} * {velocity:.6g})" if settings["nesterov"] else f"{velocity:.6g}"
            yield f"{before} - {rate} * {shown} = {after:.6g}"
        case "rmsprop":
            alpha = settings["alpha"]
            square = alpha * state["square_avg"] + (1 - alpha) * gradient**2
            yield f"mean square = {alpha:g} * {state['square_avg']:.6g} + {1 - alpha:.3g} * {squared} = {square:.6g}"
            divided = f"{shown} / (√{square:.6g} + {settings['eps']:g})"
            velocity = momentum * state["momentum_buffer"] + gradient / (math.sqrt(square) + settings["eps"])
            yield f"momentum = {momentum:g} * {state['momentum_buffer']:.6g} + {divided} = {velocity:.6g}"
            yield f"{before} - {rate} * {velocity:.6g} = {after:.6g}"
        case _:
            (first, second), count = settings["betas"], int(state["step"]) + 1
            mean = first * state["exp_avg"] + (1 - first) * gradient
            square = second * state["exp_avg_sq"] + (1 - second) * gradient**2
            even, even_square = mean / (1 - first**count), square / (1 - second**count)
            yield f"mean = {first:g} * {state['exp_avg']:.6g} + {1 - first:.3g} * {shown} = {mean:.6g}"
            yield f"mean square = {second:g} * {state['exp_avg_sq']:.6g} + {1 - second:.3g} * {squared} = {square:.6g}"
            for name, value, beta, unbiased in (
                ("mean", mean, first, even),
                ("mean square", square, second, even_square),
            ):
                yield f"unbiased {name} = {value:.6g} / (1 - {beta:g}^{count}) = {unbiased:.6g}"
            start = f"{before} * (1 - {rate} * {decay:g})" if decay and result.optimizer == "adamw" else before
            yield f"{start} - {rate} * {even:.6g} / (√{even_square:.6g} + {settings['eps']:g}) = {after:.6g}"


def _pushers(result: Life, console: Console) -> None:
    pushers = [each for each in result.pushers if each.up or each.down]
    if not pushers:
        return
    console.print()
    console.print(Text("the pictures that pushed it most", style="bold"))
    table = columns("picture", "class", "up>", "down>", "together>", "steps>")
    for each in pushers[:PUSHERS]:
        values = (f"{value:+.4g}" if value else "0" for value in (each.up, each.down, each.net))
        table.add_row(Text(printable(each.path)), Text(printable(each.label)), *values, f"{each.times:,}")
    console.print(table)
    if len(pushers) > PUSHERS:
        console.print(f"… and {len(pushers) - PUSHERS:,} more; --json lists more, and docs/why/life.md defines a push")
