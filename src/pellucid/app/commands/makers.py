"""The command `makers`: the training pictures that made each filter."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from tyro.conf import UseAppendAction, arg

from pellucid import files
from pellucid.app import makers_text, models, outputs, progress, streams
from pellucid.app.exits import Exit
from pellucid.app.flags import Model, Place, Switch, parse
from pellucid.app.format import printable
from pellucid.classifier.classifier import Classifier
from pellucid.debugging.labelled import spread
from pellucid.errors import RecipeError, TraceError
from pellucid.glassbox.why.sheet import Picture
from pellucid.life import sheet, stored
from pellucid.life.again import Again, differs, opened
from pellucid.life.filters import chosen, collect
from pellucid.life.makers import LayerMakers
from pellucid.pictures.png import encode as png
from pellucid.pictures.store import default_cache
from pellucid.runs.made_from import trained_on

SEARCHED = 500
"""Most training pictures that are searched for patches, as on the page."""


def makers(
    model: Model,
    /,
    layer: Annotated[tuple[str, ...], arg(metavar="LAYER", help_behavior_hint=""), UseAppendAction] = (),
    filter: Annotated[int | None, arg(metavar="N", help_behavior_hint="")] = None,  # noqa: A002 (the flag's name)
    out: Place = None,
    plot: Place = None,
    cache: Place = None,
    json: Switch = False,
) -> int:
    """Show who made each filter: the training pictures that pushed it to where it is, and those that pushed it back.

    The training is made again, with each picture's part in every step. The ten filters of a layer that moved farthest
    are listed; of a single --layer, all. The results are stored in MODEL, for `pellucid open` and `pellucid explain
    --html`. Ctrl-C ends the work and reports nothing.

    Args:
        model: Model folder.
        layer: Only this convolution or dense layer. Repeat the flag for several. Default: all.
        filter: This filter of the layer, counted from 0, with every tenth of the training.
        out: Write everything as JSON to this new file.
        plot: Draw a sheet of one --layer, or of its --filter, into this new file (.png): the filter at its start and
            end, its makers as the network saw them, and the patches that excite it now.
        cache: Where decoded pictures and features are stored. Default: the user's cache folder.
        json: Print everything as JSON.
    """
    _check(layer, filter, out, plot)
    folder = models.local(model)
    again = progress.prepared(opened(folder, cache or default_cache()))
    if filter is not None:
        _check_filter(again, layer[0], filter)
    result = progress.timed(collect(again, layer or None), "training again")
    stored.store(folder, result)
    content = {"model": str(model), **result.as_json()}
    if out is not None:
        outputs.create_json(out, content)
    if plot is not None:
        files.create(plot, png(_drawn(again, result.layers[0], filter)))
    if json:
        streams.write_json(content)
    else:
        makers_text.makers(result, printable(model), filter, every=len(layer) == 1)
    if result.drift is not None:
        print(f"pellucid: {printable(differs(folder, result.drift))}", file=sys.stderr)
        return Exit.ERROR
    return Exit.OK


def run(args: list[str]) -> int:
    return parse(makers, args, "makers")


def _check(layer: tuple[str, ...], number: int | None, out: Path | None, plot: Path | None) -> None:
    """Refuse what cannot be done before the training is made again."""
    outputs.check_drawn(out, plot)
    for flag, value in (("--filter", number), ("--plot", plot)):
        if value is not None and len(layer) != 1:
            raise RecipeError(f"{flag} is about one layer. Name it: --layer conv1 {flag} {value}.")


def _check_filter(again: Again, layer: str, number: int) -> None:
    module = again.state.module
    (name,) = chosen(module, [layer])
    last = len(module.get_parameter(f"{name}.weight")) - 1
    if not 0 <= number <= last:
        raise TraceError(f"--filter is {number}; the filters of {name} are 0 to {last}.")


def _drawn(again: Again, layer: LayerMakers, number: int | None) -> Picture:
    """The sheet of a layer, or of one filter."""
    shown = progress.timed(sheet.seen_by(again, layer, number), "collecting pictures")
    patches = _patches(again.material.classifier, again.material.model, layer.layer) if layer.after.ndim == 4 else ()
    if number is None:
        return sheet.of_layer(layer, shown, patches)
    return sheet.of_filter(layer, number, shown, patches)


def _patches(classifier: Classifier, model: Path, layer: str) -> list[list[Picture]]:
    """For each filter of a convolution, the patches of training pictures that excite it most."""
    sources = spread(trained_on(model))[:SEARCHED]
    steps = classifier.exemplars(sources, sheet.TOWARD, [layer])
    by_layer, _ = progress.counted(steps, len(sources), "searching patches")
    patches = []
    for exemplars in by_layer[layer].filters:
        cut = []
        for each in exemplars:
            top, left, bottom, right = each.box
            cut.append(outputs.colour(classifier.prepared(each.source)[top:bottom, left:right]))
        patches.append(cut)
    return patches
