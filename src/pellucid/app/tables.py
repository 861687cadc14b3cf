"""What the commands print at the end: evaluation, plan, cache."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pellucid import api
from pellucid.app.words import duration, operations, printable, share, size

LISTED = 5  # lines of a list that may be long


def evaluation(result: api.Evaluation) -> None:
    """Accuracy, a row a class, the most frequent confusions, what could not be used."""
    console, metrics = Console(highlight=False, soft_wrap=True), result.metrics
    console.print(Text(f"{metrics.side}: {share(metrics)}", style="bold"))
    console.print(f"cross-entropy {metrics.loss:.4f}, calibration error {metrics.calibration.error:.3f}")
    table = _table("class", "pictures>", "precision>", "recall>", "F1>")
    for item in metrics.classes:
        values = ("–" if v is None else f"{v:.1%}" for v in (item.precision, item.recall, item.f1))
        table.add_row(Text(item.name), f"{item.pictures:,}", *values)
    console.print(table)
    names = [item.name for item in metrics.classes]
    wrong = [
        (count, f"{names[truth]} called {names[called]}")
        for truth, row in enumerate(metrics.confusion)
        for called, count in enumerate(row)
        if count and truth != called
    ]
    for count, what in sorted(wrong, reverse=True)[:LISTED]:
        console.print(Text(f"{count:,} x {what}"))
    for path, reason in result.unusable[:LISTED]:
        console.print(Text(f"not used: {printable(path)}: {reason}"))
    if len(result.unusable) > LISTED:
        console.print(f"… {len(result.unusable):,} pictures were not used; --json names them all")


def plan(planned: api.Plan, probe: api.Probe | None, pictures: int, epochs: int) -> None:
    """A row a layer with its formulas, the totals, and what was measured."""
    console = Console(highlight=False)
    channels, height, width = planned.input
    console.print(Text(planned.network, style="bold"))
    console.print(
        f"input {height}x{width}x{channels}, {planned.classes} classes; operations and memory for one picture"
    )
    table = _table("layer", "output", "how", "parameters>", "how", "forward>", "backward>", "kept>")
    for row in planned.rows:
        table.add_row(
            Text(row.name if row.name.startswith(row.layer) else f"{row.name}\n{row.layer}"),
            "x".join(map(str, (*row.output[1:], row.output[0]))),
            Text(row.output_formula, style="dim"),
            f"{row.parameters:,}" if row.parameters else "",
            Text(row.parameters_formula if row.parameters else "", style="dim"),
            operations(row.cost.forward_flops),
            operations(row.cost.backward_flops),
            size(row.cost.backward_bytes),
        )
    console.print(table)
    console.print(
        f"[bold]{planned.parameters:,} parameters[/], {operations(planned.forward_flops)} operations forward, "
        f"{operations(planned.backward_flops)} backward (a multiply-add counts as two)"
    )
    console.print(
        f"a training step on {planned.batch} pictures holds {size(planned.training_bytes)} of numbers, "
        f"predicting them {size(planned.predicting_bytes)}"
    )
    if (instead := planned.fully_connected) is not None:
        console.print(
            f"a fully connected layer with as many outputs as {instead.instead_of} would need {instead.formula} "
            f"parameters, {size(instead.parameters * 4)}"
        )
    if probe is None:
        console.print("--probe measures how long training would take on this machine", style="dim")
        return
    console.print(
        f"[bold]measured here[/] ({probe.device}, {probe.threads} threads): "
        f"training {probe.training_images_per_second:,.0f} images/s in {probe.precision}, "
        f"predicting {probe.predicting_images_per_second:,.0f} in float32; "
        f"the whole program took {size(probe.training_bytes)} of memory"
    )
    console.print(f"{epochs} epochs of {pictures:,} pictures would take {duration(probe.seconds(pictures, epochs))}")


def cache(stores: list[api.StoreInfo]) -> None:
    """A row a store."""
    console = Console(highlight=False)
    if not stores:
        console.print("The cache is empty.")
        return
    table = _table("pictures of", "size", "fit", "pictures>", "MB>")
    for store in stores:
        form = f"{store.form.height}x{store.form.width}x{store.form.channels}"
        table.add_row(Text(str(store.root)), form, store.form.fit, f"{store.pictures:,}", f"{store.bytes / 1e6:,.1f}")
    console.print(table)
    console.print("`pellucid cache --clear` removes them; your pictures stay.", style="dim")


def _table(*headings: str) -> Table:
    """A plain table; a heading that ends in > is of a column of numbers."""
    table = Table(box=None, padding=(0, 1), pad_edge=False)
    for heading in headings:
        table.add_column(heading.rstrip(">"), justify="right" if heading.endswith(">") else "left", overflow="fold")
    return table
