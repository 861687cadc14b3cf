"""The command `readout`: what each layer knows."""

from __future__ import annotations

from typing import Annotated

from tyro.conf import UseAppendAction, arg

from pellucid import api
from pellucid.app import models, outputs, progress, readout_text, streams
from pellucid.app.exits import Exit
from pellucid.app.flags import Model, Place, Switch, parse
from pellucid.debugging import measured
from pellucid.debugging.readout import Readouts


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
        outputs.create_json(out, content)
    if json:
        streams.write_json(content)
    else:
        readout_text.readout(result)
    if stopped:
        return Exit.STOPPED
    return Exit.UNUSABLE if result.unusable else Exit.OK


def run(args: list[str]) -> int:
    return parse(readout, args, "readout")
