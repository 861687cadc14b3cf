"""The patches of the training pictures that excite each filter most, for the page's view of a layer."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from pellucid import api
from pellucid.app.page import pictures
from pellucid.app.page.shown import Glass
from pellucid.errors import ArtefactError
from pellucid.glassbox.page import replies
from pellucid.glassbox.page.replies import Refused, Reply
from pellucid.glassbox.why.exemplars import LayerExemplars
from pellucid.runs.made_from import trained_on
from pellucid.steps import Steps

Asked = Mapping[str, str]

COUNT = 9
MOST = 500
"""Training pictures that are looked through."""
LONGEST = 60.0
"""Seconds after which it is enough of them: a large network looks through fewer."""
GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class Looked:
    """What was found in `seen` of the `there` training pictures that are still there."""

    layers: Mapping[str, LayerExemplars]
    seen: int
    there: int
    unusable: int


def exemplars(glass: Glass, asked: Asked) -> Reply:
    """How far the search is, of all layers at once; once it is done the patches of ?layer= and its ?channel=."""
    progress = glass.jobs.ask("exemplars", lambda: look(glass.model, _trusted(glass)))
    content = progress.as_json()
    if progress.result is not None:
        found: Looked = progress.result
        layer, channel = _chosen(found, asked)
        content |= {
            "seen": found.seen,
            "there": found.there,
            "unusable": found.unusable,
            "sees": list(layer.sees),
            "patches": [
                {
                    "name": PurePath(each.source).name,
                    "activation": each.activation,
                    "unit": list(each.unit),
                    "box": list(each.box),
                }
                for each in layer.filters[channel]
            ],
        }
    return replies.as_json(content)


def patch(glass: Glass, asked: Asked) -> Reply:
    """The patch of a ?layer=, ?channel= and ?rank=, cut out of the picture as the network gets it."""
    source, (top, left, bottom, right) = _exemplar(glass, asked)
    return pictures.png(pictures.prepared(glass, source)[top:bottom, left:right])


def opened(glass: Glass, asked: Asked, _body: bytes) -> Reply:
    """Show the picture that a patch is from."""
    return pictures.show(glass, _exemplar(glass, asked)[0])


def look(model: Path, trust: bool = False) -> Generator[tuple[int, int], None, Looked]:
    """Through at most MOST training pictures and LONGEST seconds, by a classifier of its own."""
    there = trained_on(model)
    if not there:
        raise ArtefactError(f"None of the training pictures of {model} still exists.")
    chosen = spread(there)[:MOST]
    seen = 0
    steps = Steps(api.load(model, trust=trust).exemplars(_in_time(chosen), COUNT))
    for seen in steps:
        yield seen, len(chosen)
    layers, unusable = steps.result
    return Looked(layers, seen, len(there), len(unusable))


def _trusted(glass: Glass) -> bool:
    """Whether the folder holds a program: it was trusted when it was opened."""
    return glass.classifier.program is not None


def spread(items: Sequence[str]) -> list[str]:
    """All of them in an order of which every beginning is spread evenly over the whole: steps of the golden section."""
    places = np.arange(len(items)) * GOLDEN % 1
    ranks: list[int] = places.argsort().argsort().tolist()
    return [items[rank] for rank in ranks]


def _in_time(paths: Sequence[str]) -> Iterator[str]:
    until = time.monotonic() + LONGEST
    for path in paths:
        if time.monotonic() > until:
            return
        yield path


def _exemplar(glass: Glass, asked: Asked) -> tuple[str, tuple[int, int, int, int]]:
    progress = glass.jobs.ask("exemplars", lambda: look(glass.model, _trusted(glass)))
    if progress.result is None:
        raise Refused(
            HTTPStatus.CONFLICT,
            progress.error or "The search for patches is still running. Wait a moment, then try again.",
        )
    layer, channel = _chosen(progress.result, asked)
    exemplar = layer.filters[channel][pictures.whole(asked, "rank", len(layer.filters[channel]))]
    return exemplar.source, exemplar.box


def _chosen(found: Looked, asked: Asked) -> tuple[Any, int]:
    name = asked.get("layer", "")
    if name not in found.layers:
        raise Refused(HTTPStatus.NOT_FOUND, f"Layer {name!r} has no patches; only convolutions do.")
    layer = found.layers[name]
    return layer, pictures.whole(asked, "channel", len(layer.filters))
