"""The command `readout`: what each layer knows."""

from __future__ import annotations

import json as formats
from typing import Annotated

from rich.console import Console
from rich.text import Text
from tyro.conf import UseAppendAction, arg

from pellucid import api, files
from pellucid.app import models, outputs, progress, streams
from pellucid.app.exits import Exit
from pellucid.app.flags import Model, Place, Switch, parse
from pellucid.app.format import many, printable
from pellucid.app.tables import columns
from pellucid.debugging import measured
from pellucid.debugging.known import LayerKnows, Readout
from pellucid.debugging.readout import Readouts

UNUSED = 5  # most unusable pictures that are named


def readout(
    model: Model,
    /,
    layer: Annotated[tuple[str, ...], arg(metavar="LAYER", help_behavior_hint=""), UseAppendAction] = (),
    out: Place = None,
    json: Switch = False,
    trust: Switch = False,
) -> int:
    """Measure what each layer knows: how often a linear readout after it names the right class, from the pixels on.

    The readouts are fitted to the training pictures of MODEL; validation pictures choose the penalty; the figures are
    of the test pictures. They are stored in MODEL, for `pellucid open` and `pellucid explain --html`. Ctrl-C ends the
    work and reports what is done.

    Args:
        model: Model folder.
        layer: Only this layer. Repeat the flag for several. Default: the pixels, and every layer that computes.
        out: Write everything as JSON to this new file.
        json: Print everything as JSON.
        trust: Open a saved Python module, which may run code. Use this only if you trust who made MODEL.
    """
    if out is not None:
        outputs.check_free(out)
    folder = models.local(model, trust)
    with progress.waiting("opening the model"):
        readouts = Readouts(api.load(folder, trust=trust), folder, layer or None)
    stopped = progress.until_stopped(readouts, "fitting readouts")
    result = readouts.result
    if not layer:
        measured.store_readout(folder, result)
    content = {"model": str(model), **result.as_json()}
    if out is not None:
        text = formats.dumps(content, indent=1, ensure_ascii=False)
        files.create(out, text.encode("utf-8", "backslashreplace"))
    if json:
        streams.write_json(content)
    else:
        _print(result)
    if stopped:
        return Exit.STOPPED
    return Exit.UNUSABLE if result.unusable else Exit.OK


def run(args: list[str]) -> int:
    return parse(readout, args, "readout")


def _print(result: Readout) -> None:
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
    if not result.complete:
        console.print(f"stopped: {len(result.layers):,} of {many(result.wanted, 'layer')} measured")
    for path, reason in result.unusable[:UNUSED]:
        console.print(Text(f"not used: {printable(path)}: {printable(reason)}"))
    if len(result.unusable) > UNUSED:
        console.print(f"… {len(result.unusable):,} in all were not used; --json lists them")
    for note in result.notes:
        console.print(Text(printable(note)))


def _reads(each: LayerKnows) -> str:
    shape = "x".join(map(str, each.source.shape))
    if each.source.cells is None:
        return shape
    if len(each.source.shape) == 2:
        return f"means over {each.source.shape[0]} tokens"
    return f"{shape}, in {each.source.cells[0]}x{each.source.cells[1]} cells"
