"""What is measured over the model's own pictures, beside the page: without each filter, and what each layer knows."""

from __future__ import annotations

from collections.abc import Generator
from http import HTTPStatus
from pathlib import Path
from typing import Any

from pellucid import api
from pellucid.app.page.job import IDLE
from pellucid.app.page.shown import Glass
from pellucid.debugging import measured
from pellucid.debugging.pictures import held_out
from pellucid.debugging.readout import Readouts
from pellucid.debugging.without import Removing
from pellucid.glassbox.page import replies
from pellucid.glassbox.page.replies import Query, Refused, Reply

Figures = dict[str, Any]


def without(glass: Glass, query: Query) -> Reply:
    """What is known without each filter of ?layer=: the progress, or the figures as in measured.for_page.

    "idle" if nobody has measured them.
    """
    name = _layer(query)
    return _answer(glass, _job(name), measured.for_page(glass.model)[measured.WITHOUT].get(name))


def start_without(glass: Glass, query: Query, _body: bytes) -> Reply:
    """Start measuring, if that has not been started; then as `without`."""
    name = _layer(query)
    glass.jobs.again(_job(name), lambda: remove(glass.model, name, glass.trusted))
    return without(glass, query)


def stop_without(glass: Glass, query: Query, _body: bytes) -> Reply:
    """Stop measuring after the current step."""
    name = _layer(query)
    glass.jobs.drop(_job(name))
    return without(glass, query)


def readout(glass: Glass, _query: Query) -> Reply:
    """What each layer knows: the progress, or the figures as in measured.for_page. "idle" if nobody has measured it."""
    return _answer(glass, measured.READOUT, measured.for_page(glass.model)[measured.READOUT])


def start_readout(glass: Glass, query: Query, _body: bytes) -> Reply:
    """Start measuring, if that has not been started; then as `readout`."""
    glass.jobs.again(measured.READOUT, lambda: know(glass.model, glass.trusted))
    return readout(glass, query)


def stop_readout(glass: Glass, query: Query, _body: bytes) -> Reply:
    """Stop measuring after the current step."""
    glass.jobs.drop(measured.READOUT)
    return readout(glass, query)


def remove(model: Path, layer: str, trust: bool = False) -> Generator[tuple[int, int], None, Figures]:
    """Measure a layer without each of its filters, with a separate classifier, and store the figures."""
    others = f"“pellucid without {model} FOLDER” measures it on other pictures"
    removing = Removing(api.load(model, trust=trust), model, held_out(model, others), [layer])
    yield from removing
    result = removing.result
    measured.store_without(model, result)
    return measured.short({"side": result.side, **result.layers[0].as_json()})


def know(model: Path, trust: bool = False) -> Generator[tuple[int, int], None, Figures]:
    """Fit a readout after each layer, with a separate classifier, and store the figures."""
    readouts = Readouts(api.load(model, trust=trust), model)
    yield from readouts
    measured.store_readout(model, readouts.result)
    return readouts.result.as_json()


def _answer(glass: Glass, name: str, stored: Figures | None) -> Reply:
    progress = glass.jobs.known(name)
    if progress is not None and progress.result is None:
        return replies.as_json(progress.as_json())
    figures = stored if progress is None else progress.result
    return replies.as_json(IDLE if figures is None else {"state": "done", **figures})


def _job(layer: str) -> str:
    return f"{measured.WITHOUT} {layer}"


def _layer(query: Query) -> str:
    if "layer" not in query:
        raise Refused(HTTPStatus.BAD_REQUEST, "The request names no layer. Use ?layer=NAME.")
    return query["layer"]
