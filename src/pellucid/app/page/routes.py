"""The map from the page's requests to the functions that answer them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus

from pellucid.app.page import difference, exemplars, mistakes, training, whatif
from pellucid.app.page.shown import Glass
from pellucid.glassbox.page import replies
from pellucid.glassbox.page.replies import Outdated, Refused, Reply

Asked = Mapping[str, str]
"""The query of an address."""


def document(glass: Glass, _asked: Asked) -> Reply:
    """Everything except the arrays."""
    return Reply("application/json", glass.shown.text)


def array(glass: Glass, asked: Asked) -> Reply:
    """An array's numbers, or those of one channel of a (1, C, H, W) array."""
    shown = glass.shown
    if "run" in asked and asked["run"] != str(shown.run):
        raise Outdated()
    return replies.channel_of(shown.document.arrays, asked)


def picture(glass: Glass, asked: Asked, body: bytes) -> Reply:
    """Another picture: its file's bytes."""
    glass.show(body, asked.get("label"), asked.get("name", "your picture"))
    return _shown(glass)


def label(glass: Glass, asked: Asked, _body: bytes) -> Reply:
    """The same picture against another class."""
    if "class" not in asked:
        raise Refused(HTTPStatus.BAD_REQUEST, "No class is named: /api/label?class=NAME.")
    glass.show(label=asked["class"])
    return _shown(glass)


def _shown(glass: Glass) -> Reply:
    return replies.as_json({"ok": True, "run": glass.shown.run})


GET: dict[str, Callable[[Glass, Asked], Reply]] = {
    "/api/training": lambda glass, _asked: training.overview(glass.model),
    "/api/training/frame": lambda glass, asked: training.frame(glass.model, asked),
    "/api/training/picture": lambda glass, asked: training.picture(glass.model, asked),
    "/api/document": document,
    "/api/array": array,
    "/api/what-if/original": whatif.original,
    "/api/mistakes": mistakes.mistakes,
    "/api/mistakes/cell": mistakes.cell,
    "/api/mistakes/picture": mistakes.picture,
    "/api/difference": difference.difference,
    "/api/difference/pixels": difference.pixels,
    "/api/exemplars": exemplars.exemplars,
    "/api/exemplars/patch": exemplars.patch,
}
POST: dict[str, Callable[[Glass, Asked, bytes], Reply]] = {
    "/api/picture": picture,
    "/api/label": label,
    "/api/what-if": whatif.change,
    "/api/what-if/paint": whatif.paint,
    "/api/what-if/flip": whatif.flip,
    "/api/what-if/foresee": whatif.foresee,
    "/api/what-if/foresee-paint": whatif.foresee_paint,
    "/api/mistakes/open": mistakes.opened,
    "/api/exemplars/open": exemplars.opened,
}
