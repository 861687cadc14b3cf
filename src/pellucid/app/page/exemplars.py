"""The patches of the training pictures that excite each filter most, for the page's view of a layer."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path, PurePath
from typing import Any

from pellucid import api
from pellucid.app.page import pictures
from pellucid.app.page.job import IDLE
from pellucid.app.page.shown import Glass
from pellucid.errors import ArtefactError
from pellucid.glassbox.page import replies
from pellucid.glassbox.page.replies import Query, Refused, Reply
from pellucid.glassbox.why.exemplars import LayerExemplars
from pellucid.runs.made_from import spread, trained_on
from pellucid.steps import Steps

JOB = "exemplars"
COUNT = 9
MOST = 500
"""Most training pictures to search."""
LONGEST = 60.0
"""Most seconds to search: a large network covers fewer pictures."""


@dataclass(frozen=True)
class Looked:
    """The exemplars from `seen` of the `there` training pictures that still exist."""

    layers: Mapping[str, LayerExemplars]
    seen: int
    there: int
    unusable: int


def start(glass: Glass, query: Query, _body: bytes) -> Reply:
    """Start the search, if it has not started yet; then as `exemplars`."""
    glass.jobs.ask(JOB, lambda: look(glass.model, glass.trusted))
    return exemplars(glass, query)


def exemplars(glass: Glass, query: Query) -> Reply:
    """The progress of the search, for all layers at once; when it is done, the patches of ?layer= and its ?channel=.

    "idle" if it has not been started.
    """
    progress = glass.jobs.known(JOB)
    if progress is None:
        return replies.as_json(IDLE)
    content = progress.as_json()
    if progress.result is not None:
        looked: Looked = progress.result
        layer, channel = _chosen(looked, query)
        content |= {
            "seen": looked.seen,
            "there": looked.there,
            "unusable": looked.unusable,
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


def patch(glass: Glass, query: Query) -> Reply:
    """The patch of a ?layer=, ?channel= and ?rank=, cut out of the network's input."""
    source, (top, left, bottom, right) = _exemplar(glass, query)
    return pictures.png(pictures.prepared(glass, source)[top:bottom, left:right])


def opened(glass: Glass, query: Query, _body: bytes) -> Reply:
    """Show the picture that contains a patch."""
    return pictures.show(glass, _exemplar(glass, query)[0])


def look(model: Path, trust: bool = False) -> Generator[tuple[int, int], None, Looked]:
    """Search at most MOST training pictures for at most LONGEST seconds, with a separate classifier."""
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


def _in_time(paths: Sequence[str]) -> Iterator[str]:
    until = time.monotonic() + LONGEST
    for path in paths:
        if time.monotonic() > until:
            return
        yield path


def _exemplar(glass: Glass, query: Query) -> tuple[str, tuple[int, int, int, int]]:
    progress = glass.jobs.known(JOB)
    if progress is None:
        raise Refused(
            HTTPStatus.CONFLICT, "The patches have not been searched yet. Open a convolution on the page first."
        )
    if progress.result is None:
        raise Refused(
            HTTPStatus.CONFLICT,
            progress.error or "The search for patches is still running. Wait a moment, then try again.",
        )
    layer, channel = _chosen(progress.result, query)
    exemplar = layer.filters[channel][pictures.whole(query, "rank", len(layer.filters[channel]))]
    return exemplar.source, exemplar.box


def _chosen(looked: Looked, query: Query) -> tuple[Any, int]:
    name = query.get("layer", "")
    if name not in looked.layers:
        raise Refused(HTTPStatus.NOT_FOUND, f"Layer {name!r} has no patches; only convolutions do.")
    layer = looked.layers[name]
    return layer, pictures.whole(query, "channel", len(layer.filters))
