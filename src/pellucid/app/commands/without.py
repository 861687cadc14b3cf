"""The command `without`: a network without each of its filters, or its training without some pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, UseAppendAction, arg

from pellucid import api
from pellucid.app import models, outputs, progress, removed_text, repeating, streams, without_text
from pellucid.app.exits import Exit
from pellucid.app.flags import Model, Place, Switch, parse
from pellucid.debugging import measured
from pellucid.debugging import pictures as sources
from pellucid.debugging.without import Removing
from pellucid.errors import RecipeError
from pellucid.life import named, removed


def without(
    model: Model,
    pictures: Annotated[Positional[tuple[str, ...]], arg(metavar="[PICTURE ...]", help_behavior_hint="")] = (),
    /,
    layer: Annotated[tuple[str, ...], arg(metavar="LAYER", help_behavior_hint=""), UseAppendAction] = (),
    picture: Annotated[tuple[str, ...], arg(metavar="PATH", help_behavior_hint=""), UseAppendAction] = (),
    list: Switch = False,  # noqa: A002 (the flag's name)
    out: Place = None,
    cache: Place = None,
    json: Switch = False,
    trust: Switch = False,
) -> int:
    """Measure how much accuracy each filter is worth: the network without it, overall and for each class.

    One filter at a time has its activations set to zero, behind the batch norm and the activation function of its
    convolution. Ctrl-C ends the work and reports what is done.

    With --picture nothing is taken out of the network: it is trained again without these training pictures, and the
    two are compared. The steps before the first use of one of them are the same, bit for bit. Ctrl-C changes nothing.

    Args:
        model: Model folder, or hf://OWNER/NAME on the hub.
        pictures: A labelled folder or table, or files, folders, globs in folders named after their classes. Default:
            the pictures that MODEL was not trained on. Their figures are stored in MODEL, for `pellucid open` and
            `pellucid explain --html`.
        layer: Only this layer, a convolution or another. Repeat the flag for several. Default: every convolution.
        picture: Train again without this training picture: its path as in MODEL's split.csv, or any path to it or to a
            copy. Repeat the flag for several.
        list: List every filter, not only the ten that cost most; with --picture, every answer that changes.
        out: Write everything as JSON to this new file.
        cache: With --picture, where decoded pictures and features are stored. Default: the user's cache folder.
        json: Print everything as JSON.
        trust: Open a saved Python module, which may run code. Use this only if you trust who made MODEL.
    """
    if out is not None:
        outputs.check_free(out)
    folder = models.local(model, trust)
    if picture:
        if pictures or layer:
            raise RecipeError(
                f"{pictures[0] if pictures else '--layer'} goes with filters, and --picture trains again without "
                "pictures. Use one of the two; the networks are compared on the pictures that MODEL kept."
            )
        return _without_pictures(model, folder, picture, out, cache, json, every=list)
    with progress.waiting("opening the model"):
        classifier = api.load(folder, trust=trust)
        chosen = sources.chosen(folder, pictures, classifier.classes, classifier.thresholds is not None)
        removing = Removing(classifier, folder, chosen, layer or None)
    stopped = progress.until_stopped(removing, "removing filters")
    result = removing.result
    if chosen.own:
        measured.store_without(folder, result)
    content = {"model": str(model), **result.as_json()}
    if out is not None:
        outputs.create_json(out, content)
    if json:
        streams.write_json(content)
    else:
        without_text.without(result, every=list)
    if stopped:
        return Exit.STOPPED
    return Exit.UNUSABLE if result.unusable else Exit.OK


def _without_pictures(
    model: Path, folder: Path, names: tuple[str, ...], out: Path | None, cache: Path | None, json: bool, every: bool
) -> int:
    """Train again without these pictures, and compare."""
    material = repeating.opened(folder, cache)
    rows = named.rows(material, names)
    result = repeating.timed(removed.removing(material, rows), "training again")
    content = result.as_json() | {"model": str(model)}
    if out is not None:
        outputs.create_json(out, content)
    if json:
        streams.write_json(content)
    else:
        removed_text.removal(result, every)
    return Exit.OK


def run(args: list[str]) -> int:
    return parse(without, args, "without")
