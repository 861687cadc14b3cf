"""The command `filters`: the patterns that each filter responds to."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import lru_cache
from json import dumps
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from tyro.conf import Positional, UseAppendAction, arg

from pellucid import api, files
from pellucid.app import answers, models, outputs, progress, streams
from pellucid.app.exits import Exit
from pellucid.app.flags import Model, Place, Switch, parse
from pellucid.app.format import many, printable
from pellucid.classifier.classifier import Classifier
from pellucid.errors import ArtefactError
from pellucid.glassbox.why.sheet import sheet
from pellucid.hub.reference import name_of
from pellucid.pictures.png import encode as png
from pellucid.runs.made_from import trained_on

PICTURE_BYTES = 256_000_000  # most bytes of decoded pictures in memory for the sheets


def filters(
    model: Model,
    pictures: Annotated[Positional[tuple[str, ...]], arg(metavar="[PICTURE ...]", help_behavior_hint="")] = (),
    /,
    out: Place = None,
    count: int = 9,
    layer: Annotated[tuple[str, ...], arg(metavar="LAYER", help_behavior_hint=""), UseAppendAction] = (),
    json: Switch = False,
    trust: Switch = False,
) -> int:
    """Show what each filter responds to: the filter, and the patches of your pictures that excite it most.

    Writes one picture per convolution, and filters.json.

    Args:
        model: Model folder, or hf://OWNER/NAME on the hub.
        pictures: Files, folders, globs. Default: the training pictures.
        out: A new folder. Default: the name of MODEL with -filters, in the current folder.
        count: Patches per filter.
        layer: Only this convolution. Repeat the flag for several.
        json: Also print the content of filters.json.
        trust: Open a saved Python module, which may run code. Use this only if you trust who made MODEL.
    """
    answers.check(count=count)
    folder = models.local(model, trust)
    place = out if out is not None else Path(f"{name_of(folder)}-filters")
    with outputs.new_folder(place):
        return _write(api.load(folder, trust=trust), folder, pictures, place, count, layer, json)


def run(args: list[str]) -> int:
    return parse(filters, args, "filters")


def _write(
    classifier: Classifier,
    model: Path,
    pictures: tuple[str, ...],
    place: Path,
    count: int,
    layers: tuple[str, ...],
    as_json: bool,
) -> int:
    """Write a picture for each convolution, and filters.json, into the folder `place`."""
    sources = list(answers.expanded_sources(pictures)) if pictures else trained_on(model)
    if not sources:
        raise ArtefactError(f"No pictures for {model}. Name some: pellucid filters {model} photos/")
    steps = classifier.exemplars(sources, count, list(layers) or None)
    layers_shown, unusable = progress.counted(steps, len(sources), "searching patches")
    image_of = _once(classifier)
    for name, layer in layers_shown.items():
        written = place / f"{files.safe(name)}.png"
        files.write(written, png(sheet(layer, image_of)))
        sees = f"sees {layer.sees[0]}x{layer.sees[1]} pixels"
        if not as_json:
            print(f"{name}: {many(len(layer.filters), 'filter')}, each unit {sees}: {printable(written)}")
    for source, reason in unusable:
        print(f"not used: {printable(source)}: {printable(reason)}", file=sys.stderr)
    content = {
        "model": str(model),
        "pictures": len(sources) - len(unusable),
        "unusable": [{"picture": source, "reason": reason} for source, reason in unusable],
        "layers": [each.as_json() for each in layers_shown.values()],
    }
    text = dumps(content, indent=1, ensure_ascii=False)
    files.write(place / "filters.json", text.encode("utf-8", "backslashreplace"))
    if as_json:
        streams.write_json(content)
    return Exit.UNUSABLE if unusable else Exit.OK


def _once(classifier: Classifier) -> Callable[[str], NDArray[np.uint8]]:
    """Prepares pictures as the network's input, uint8 (H, W, 3). Most layers show the same ones, decoded once."""
    each = classifier.form.height * classifier.form.width * 3
    return lru_cache(max(1, PICTURE_BYTES // each))(lambda source: outputs.colour(classifier.prepared(source)))
