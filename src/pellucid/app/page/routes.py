"""The map from the page's requests to the functions that answer them."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from pellucid.app.page import (
    beside,
    difference,
    exemplars,
    life,
    live_requests,
    makers,
    measuring,
    mistakes,
    taught,
    training,
    whatif,
    where,
)
from pellucid.app.page.shown import Glass
from pellucid.glassbox.page import replies
from pellucid.glassbox.page.replies import Outdated, Query, Refused, Reply

LONGEST = 16  # digits of a run


def document(glass: Glass, _query: Query) -> Reply:
    """Everything except the arrays."""
    return Reply("application/json", glass.shown.text)


def array(glass: Glass, query: Query) -> Reply:
    """An array's numbers, or those of one channel of a (1, C, H, W) array."""
    shown = glass.shown
    if "run" in query and query["run"] != str(shown.run):
        raise Outdated()
    return replies.channel_of(shown.document.arrays, query)


def lives(glass: Glass, _query: Query) -> Reply:
    """The lives of the weights, as in the teaching model's file."""
    if not glass.lives:
        raise Refused(HTTPStatus.NOT_FOUND, "Only the page of `pellucid lessons` has lives for its lesson.")
    return Reply("application/json", glass.lives.encode())


def picture(glass: Glass, query: Query, body: bytes) -> Reply:
    """Another picture: its file's bytes."""
    glass.show(body, query.get("label"), query.get("name", "your picture"))
    return _shown(glass)


def label(glass: Glass, query: Query, _body: bytes) -> Reply:
    """The same picture against another class."""
    if "class" not in query:
        raise Refused(HTTPStatus.BAD_REQUEST, "The request names no class. Use /api/label?class=NAME.")
    glass.show(label=query["class"])
    return _shown(glass)


def back(glass: Glass, query: Query, _body: bytes) -> Reply:
    """Show an earlier ?run= again, with its picture and its changes: another window had shown something else."""
    run = query.get("run", "")
    if not (run.isascii() and run.isdigit() and len(run) < LONGEST and glass.back(int(run))):
        sentence = "What this window showed is no longer in memory. Open the picture again."
        raise Refused(HTTPStatus.GONE, sentence)
    return _shown(glass)


def _shown(glass: Glass) -> Reply:
    return replies.as_json({"ok": True, "run": glass.shown.run})


LIVE: dict[str, Callable[[Glass, Query, bytes], Reply]] = {
    "/api/live": live_requests.start,
    "/api/live/step": live_requests.step,
    "/api/live/run": live_requests.run,
    "/api/live/pause": live_requests.pause,
    "/api/live/edit": live_requests.edit,
    "/api/live/check": live_requests.check,
    "/api/live/undo": live_requests.undo,
    "/api/live/redo": live_requests.redo,
    "/api/live/reset": live_requests.reset,
    "/api/live/scratch": live_requests.scratch,
    "/api/live/keep": live_requests.keep,
}
GET: dict[str, Callable[[Glass, Query], Reply]] = {
    "/api/training": lambda glass, _query: training.overview(glass.model),
    "/api/training/frame": lambda glass, query: training.frame(glass.model, query),
    "/api/training/picture": lambda glass, query: training.picture(glass.model, query),
    "/api/document": document,
    "/api/array": array,
    "/api/beside": beside.choices,
    "/api/beside/array": beside.array,
    "/api/what-if/original": whatif.original,
    "/api/mistakes": mistakes.mistakes,
    "/api/mistakes/cell": mistakes.cell,
    "/api/mistakes/picture": mistakes.picture,
    "/api/difference": difference.difference,
    "/api/difference/pixels": difference.pixels,
    "/api/difference/where": where.where,
    "/api/difference/map": where.heat,
    "/api/exemplars": exemplars.exemplars,
    "/api/exemplars/patch": exemplars.patch,
    "/api/without": measuring.without,
    "/api/readout": measuring.readout,
    "/api/lives": lives,
    "/api/life": life.life,
    "/api/life/step": life.step,
    "/api/life/picture": life.picture,
    "/api/makers": makers.makers,
    "/api/makers/picture": makers.picture,
    "/api/taught": taught.taught,
    "/api/taught/picture": taught.picture,
    "/api/live": live_requests.state,
}
POST: dict[str, Callable[[Glass, Query, bytes], Reply]] = {
    "/api/back": back,
    "/api/beside": beside.start,
    "/api/picture": picture,
    "/api/label": label,
    "/api/what-if": whatif.change,
    "/api/what-if/paint": whatif.paint,
    "/api/what-if/flip": whatif.flip,
    "/api/what-if/foresee": whatif.foresee,
    "/api/what-if/foresee-paint": whatif.foresee_paint,
    "/api/mistakes": mistakes.start,
    "/api/mistakes/open": mistakes.opened,
    "/api/difference": difference.start,
    "/api/exemplars": exemplars.start,
    "/api/difference/where": where.start,
    "/api/exemplars/open": exemplars.opened,
    "/api/without": measuring.start_without,
    "/api/without/stop": measuring.stop_without,
    "/api/readout": measuring.start_readout,
    "/api/readout/stop": measuring.stop_readout,
    "/api/life": life.start,
    "/api/life/stop": life.stop,
    "/api/life/step": life.start_step,
    "/api/life/step/stop": life.stop_step,
    "/api/makers": makers.start,
    "/api/makers/stop": makers.stop,
    "/api/taught": taught.start,
    "/api/taught/stop": taught.stop,
    **LIVE,
}
WORKS = frozenset(
    {
        "/api/beside",
        "/api/mistakes",
        "/api/difference",
        "/api/difference/where",
        "/api/exemplars",
        "/api/without",
        "/api/readout",
        "/api/life",
        "/api/life/step",
        "/api/makers",
        "/api/taught",
        *LIVE,
    }
)
"""Those of POST that start a job."""
