"""Who made a filter, for the page: from the training made again beside it, or as it was stored before."""

from __future__ import annotations

from collections.abc import Generator
from http import HTTPStatus
from pathlib import Path
from typing import Any

from pellucid.app.page import pictures
from pellucid.app.page.job import IDLE
from pellucid.app.page.life import LINE, cache_of
from pellucid.app.page.shown import Glass
from pellucid.glassbox.page import replies
from pellucid.glassbox.page.replies import Query, Refused, Reply
from pellucid.life import stored
from pellucid.life.again import opened
from pellucid.life.filters import collect
from pellucid.pictures.places import place, within
from pellucid.steps import counted


def makers(glass: Glass, query: Query) -> Reply:
    """Who made the filters of ?layer=: the progress, or as in life/makers.py with that layer alone.

    "idle" if nobody has made the training again for it.
    """
    layer = _layer(query)
    progress = glass.jobs.known(_job(layer))
    if progress is not None and (progress.result is None or progress.error is not None):
        return replies.as_json(progress.as_json())
    content = _stored(glass.model, layer) if progress is None else progress.result
    return replies.as_json(IDLE if content is None else {"state": "done", **content})


def start(glass: Glass, query: Query, _body: bytes) -> Reply:
    """Start to make the training again for a layer, unless that has been done; then as `makers`."""
    layer = _layer(query)
    if glass.jobs.known(_job(layer)) is not None or _stored(glass.model, layer) is None:
        cache = cache_of(glass)
        glass.jobs.again(_job(layer), lambda: make(glass.model, layer, cache), line=LINE)
    return makers(glass, query)


def stop(glass: Glass, query: Query, _body: bytes) -> Reply:
    """Stop after the current step."""
    glass.jobs.drop(_job(_layer(query)))
    return makers(glass, query)


def picture(glass: Glass, query: Query) -> Reply:
    """The training picture of ?row= that the makers of ?layer= name, as the network's input without augmentation."""
    layer = _layer(query)
    progress = glass.jobs.known(_job(layer))
    content = _stored(glass.model, layer) if progress is None else progress.result
    row = query.get("row", "")
    if content is None or row not in content["pictures"]:
        raise Refused(HTTPStatus.NOT_FOUND, f"The makers of {layer} name no picture {row!r}. Reload the page.")
    return pictures.png(pictures.prepared(glass, str(within(place(content["root"]), content["pictures"][row]["path"]))))


def make(model: Path, layer: str, cache: Path) -> Generator[tuple[int, int], None, dict[str, Any]]:
    """Make a model's training again for one layer, and store who made its filters. Raises the errors of `collect`."""
    again = yield from counted(opened(model, cache))
    result = yield from counted(collect(again, [layer]))
    stored.store(model, result)
    return result.as_json(stored.WHOLE, stored.TENTH)


def _stored(model: Path, layer: str) -> dict[str, Any] | None:
    content = stored.read(model).get(stored.MAKERS, {})
    layers = [each for each in content.get("layers", []) if each["layer"] == layer]
    return {**content, "layers": layers} if layers else None


def _job(layer: str) -> str:
    return f"makers of {layer}"


def _layer(query: Query) -> str:
    if "layer" not in query:
        raise Refused(HTTPStatus.BAD_REQUEST, "The request names no layer. Use ?layer=NAME.")
    return query["layer"]
