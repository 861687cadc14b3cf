"""The commands' final output: evaluation, plan, cache."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pellucid.app.format import balanced, duration, few, many, operations, printable, share, size
from pellucid.engine.probe import Probe
from pellucid.exports.browser_runtime import RuntimeInfo
from pellucid.network.plan import Plan, Row
from pellucid.pictures.shards.fetched import ShardInfo
from pellucid.pictures.store import StoreInfo
from pellucid.pretrained.cache import WeightsInfo
from pellucid.runs.evaluation import Evaluation
from pellucid.training.features import FeaturesInfo

LISTED = 5  # most lines of a long list
WIDE = 40  # characters of a network's text
_FILES: dict[type, str] = {ShardInfo: "shard", WeightsInfo: "weights", RuntimeInfo: "runtime for pages"}


def evaluation(result: Evaluation) -> None:
    """Accuracy, a row per class, the most frequent confusions, the unusable pictures."""
    console = Console(highlight=False, soft_wrap=True)
    for each in result.sides or (result,):
        _figures(each, console)
    metrics = result.unseen or result.metrics
    if metrics.pictures < result.metrics.pictures:
        console.print(f"figures below: the {many(metrics.pictures, 'picture')} that the model had not seen")
    elif result.sides:
        console.print(Text(f"figures below: {printable(metrics.side)}"))
    console.print(Text(balanced(metrics)))
    console.print(f"cross-entropy {metrics.loss:.4f}, calibration error {metrics.calibration.error:.3f}")
    more = ("average precision>", "threshold>") if metrics.several else ()
    table = columns("label" if metrics.several else "class", "pictures>", "precision>", "recall>", "F1>", *more)
    for item in metrics.classes:
        figures = [item.precision, item.recall, item.f1]
        figures += [item.average_precision, item.threshold] if metrics.several else []
        values = ("–" if v is None else f"{v:.1%}" for v in figures)
        table.add_row(Text(printable(item.name)), f"{item.pictures:,}", *values)
    console.print(table)
    names = [printable(item.name) for item in metrics.classes]
    wrong = [
        (count, f"{names[truth]} called {names[called]}")
        for truth, row in enumerate(metrics.confusion)
        for called, count in enumerate(row)
        if count and truth != called
    ]
    for item, name in zip(metrics.classes, names, strict=True):  # none where a picture has one label
        wrong += [(item.missed, f"{name} missed")] if item.missed else []
        wrong += [(item.wrong, f"{name} called where it is not")] if item.wrong else []
    for count, what in sorted(wrong, reverse=True)[:LISTED]:
        console.print(Text(f"{count:,} x {what}"))
    left_out(console, result.unusable, result.notes)


def left_out(console: Console, unusable: Sequence[tuple[str, str]], notes: Iterable[str]) -> None:
    """The end of a measurement's output: the first pictures that were not used, each with its reason, and the notes."""
    for path, reason in unusable[:LISTED]:
        console.print(Text(f"not used: {printable(path)}: {printable(reason)}"))
    if len(unusable) > LISTED:
        console.print(f"… {len(unusable):,} in all were not used; --json lists them")
    for note in notes:
        console.print(Text(printable(note)))


def _figures(result: Evaluation, console: Console) -> None:
    """The accuracy on all pictures of a folder or a side, and without those that the model had seen."""
    metrics, trained, chosen = result.metrics, result.trained_on, result.chosen_on
    lines = [f"{printable(metrics.side)}: {share(metrics)}"]
    if trained or chosen:
        lines[0] += "; no figure to quote"
    if trained:
        copies = sum(not each.same_file for each in trained)
        same = f"{len(trained) - copies:,} the same files, " if len(trained) > copies else ""
        how = f" ({same}{many(copies, 'copy', 'copies')} of training pictures)" if copies else ""
        if before := {each.model: None for each in trained if each.model is not None}:
            earlier = sum(each.model is not None for each in trained)
            how += f", {earlier:,} of them as {' and '.join(map(printable, before))}, from which it started"
        if result.without_trained_on is None:
            lines.append(f"the model was trained on all of these pictures{how}: there is no honest figure")
        else:
            which = f"{len(trained):,} of these {metrics.pictures:,} pictures"
            lines.append(f"the model was trained on {which}{how}; without them: {share(result.without_trained_on)}")
    if chosen:
        which = f"{len(chosen):,} of {'the others' if trained else 'these'} are its validation pictures"
        fitted = "epoch, temperature and thresholds" if metrics.several else "epoch and temperature"
        reason = f"{which}, on which {fitted} were chosen"
        without = "there is no honest figure" if result.unseen is None else f"without them: {share(result.unseen)}"
        lines.append(f"{reason}{':' if result.unseen is None else ';'} {without}")
    last = metrics if result.held_out else result.unseen
    if last is not None:
        if last.lacking:
            lines[-1] += f"; no figure to quote: none of these pictures shows {few(last.lacking)}"
        elif result.held_out and result.side == "validation":
            fitted = "epoch, temperature and thresholds" if metrics.several else "epoch and temperature"
            lines[-1] += f"; {fitted} were chosen on these, so the figure is slightly optimistic"
        elif result.honest is not None and not result.held_out:
            lines[-1] += "; " + ("" if trained or chosen else "the model has seen none of these: ")
            lines[-1] += "this is the figure to quote"
        elif result.side == "validation" and not chosen:
            lines[-1] += "; used for choices, not the figure to quote"
    console.print(Text(lines[0], style="bold"))
    for line in lines[1:]:
        console.print(Text(line, style="yellow"))
    if result.untold is not None:
        console.print(Text(printable(result.untold), style="yellow"))


def plan(planned: Plan, probe: Probe | None, pictures: int, epochs: int) -> None:
    """A row per layer with its formulas below, the totals, and the measurements."""
    console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
    channels, height, width = planned.input
    console.print(Text(planned.network, style="bold"))
    console.print(
        f"input {height}x{width}x{channels}, {planned.classes} classes; operations and memory for one picture"
    )
    for line in _layers(planned, console.width):
        console.print(line, soft_wrap=True)
    console.print(
        f"[bold]{planned.parameters:,} parameters[/], {operations(planned.forward_flops)} operations forward, "
        f"{operations(planned.backward_flops)} backward (a multiply-add counts as two)"
    )
    console.print("kept: memory that the layer holds from its forward to its backward pass", style="dim")
    console.print(
        f"a training step on {many(planned.batch, 'picture')} holds {size(planned.training_bytes)} of numbers at "
        f"its peak; predicting takes {size(planned.predicting_bytes)}"
    )
    console.print(
        f"while training, the whole program takes up to {size(planned.program_bytes)}, including PyTorch "
        "and unused gaps in memory"
    )
    if (instead := planned.fully_connected) is not None:
        console.print(
            f"a fully connected layer with as many outputs as {instead.instead_of} would need {instead.formula} "
            f"parameters, {size(instead.parameters * 4)}"
        )
    if probe is None:
        console.print("--probe measures how fast this machine trains the network", style="dim")
        return
    console.print(
        f"[bold]measured here[/] ({probe.device}, {many(probe.threads, 'thread')}): "
        f"training {probe.training_images_per_second:,.0f} images/s in {probe.precision}, "
        f"predicting {probe.predicting_images_per_second:,.0f} in float32; "
        f"the whole program took {size(probe.training_bytes)} of memory"
    )
    took = duration(probe.seconds(pictures, epochs))
    console.print(f"{many(epochs, 'epoch')} of {many(pictures, 'picture')} would take {took}")


def _layers(planned: Plan, width: int) -> list[Text]:
    """For each layer a line of figures under headings; below it, dim and indented, its text and formulas."""
    cells = [("layer", "output", "parameters", "forward", "backward", "kept")]
    for row in planned.rows:
        cells.append(
            (
                row.name,
                "x".join(map(str, (*row.output[1:], row.output[0]))),
                f"{row.parameters:,}" if row.parameters else "",
                operations(row.cost.forward_flops),
                operations(row.cost.backward_flops),
                size(row.cost.backward_bytes),
            )
        )
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    sides = (str.ljust, str.ljust, *[str.rjust] * 4)
    figures = [
        "  ".join(side(cell, width) for side, cell, width in zip(sides, line, widths, strict=True)) for line in cells
    ]
    lines = [Text(figures[0], style="bold")]
    for line, row in zip(figures[1:], planned.rows, strict=True):
        lines.append(Text(line))
        lines += [Text(f"  {how}", style="dim") for how in _folded(_how(row), width - 2)]
    return lines


def _how(row: Row) -> list[str]:
    """What the line of figures lacks: the layer's text if it has settings, and the formulas with numbers."""
    parts = [] if row.name.startswith(row.layer) or row.name.split(".")[-1].startswith(row.layer) else [row.layer]
    parts += [row.output_formula] if any(character.isdigit() for character in row.output_formula) else []
    return [*parts, f"parameters {row.parameters_formula}"] if row.parameters else parts


def _folded(parts: list[str], width: int) -> list[str]:
    """The parts on as few lines as fit them, without breaking one."""
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + 3 + len(part) <= width:
            lines[-1] += f"   {part}"
        else:
            lines.append(part)
    return lines


def cache(stored: list[StoreInfo | FeaturesInfo | ShardInfo | WeightsInfo | RuntimeInfo]) -> None:
    """A row per store, set of features, shard, file of weights, and runtime."""
    console = Console(highlight=False)
    if not stored:
        console.print("The cache is empty.")
        return
    table = columns("pictures of", "size", "fit", "pictures>", "MB>")
    for each in stored:
        megabytes = f"{each.bytes / 1e6:,.1f}"
        if isinstance(each, ShardInfo | WeightsInfo | RuntimeInfo):
            table.add_row(Text(f"{_FILES[type(each)]}: {printable(each.path.name)}"), "", "", "", megabytes)
            continue
        root, form = printable(str(each.root)), f"{each.form.height}x{each.form.width}x{each.form.channels}"
        if isinstance(each, FeaturesInfo):
            mirrored = "mirrored, " if each.view == "mirror" else ""
            root += f" ({mirrored}features of {printable(each.network)[:WIDE]})"
        table.add_row(Text(root), form, each.form.fit, f"{each.pictures:,}", megabytes)
    console.print(table)
    console.print("`pellucid cache --clear` removes them, but not your pictures.", style="dim")


def columns(*headings: str) -> Table:
    """A plain table; a heading that ends in > belongs to a column of numbers."""
    table = Table(box=None, padding=(0, 1), pad_edge=False)
    for heading in headings:
        table.add_column(heading.rstrip(">"), justify="right" if heading.endswith(">") else "left", overflow="fold")
    return table
