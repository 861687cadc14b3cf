"""Where the network looked for two classes of the shown run: Grad-CAM and occlusion, each with its trust score."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from http import HTTPStatus
from typing import Any

import numpy as np

from pellucid.app.page import pictures
from pellucid.app.page.job import Progress
from pellucid.app.page.shown import Glass, Shown
from pellucid.classifier.predict.pictures import Prepared
from pellucid.errors import TraceError
from pellucid.files import finite
from pellucid.glassbox.page import replies
from pellucid.glassbox.page.replies import Outdated, Query, Refused, Reply
from pellucid.glassbox.why.attribution import Attribution, Method
from pellucid.steps import Steps

SHOWN: tuple[Method, ...] = ("grad_cam", "occlusion")
JOB = "where"

Maps = Mapping[tuple[int, Method], Attribution | str]
"""By class and method; a sentence if there is no map."""


def start(glass: Glass, query: Query, _body: bytes) -> Reply:
    """Compute the maps of class ?first= and of class ?second=, if that has not been started; then as `where`.

    One pair at a time. A pair that no window has asked about for some seconds stops.
    """
    shown, pair = _pair(glass, query)
    glass.jobs.ask(_name(shown, pair), lambda: _look(shown, pair), shown.run, line=JOB)
    glass.jobs.only(glass.shown.run)  # another window may have shown something else meanwhile
    return where(glass, query)


def where(glass: Glass, query: Query) -> Reply:
    """The progress; when it is done, what each map's score says. "idle" if nobody has started it."""
    progress = _progress(glass, query)
    if progress is None:
        return replies.as_json({"state": "idle"})
    content = progress.as_json()
    if progress.result is not None:
        maps: Maps = progress.result
        content["maps"] = [_described(*each, made) for each, made in maps.items()]
    return replies.as_json(content)


def heat(glass: Glass, query: Query) -> Reply:
    """One map of class ?class= by ?method=, float32 (H, W): positive speaks for the class. Raises Refused."""
    progress = _progress(glass, query)
    if progress is None or progress.result is None:
        raise Refused(HTTPStatus.CONFLICT, "This map has not been computed yet. Open the difference on the page first.")
    number = pictures.whole(query, "class", len(glass.classifier.classes))
    made = progress.result.get((number, query.get("method", "")))
    if not isinstance(made, Attribution):
        raise Refused(HTTPStatus.NOT_FOUND, made or "There is no such map; method is grad_cam or occlusion.")
    return replies.numbers(made.map)


def _pair(glass: Glass, query: Query) -> tuple[Shown, tuple[int, int]]:
    shown, count = glass.shown, len(glass.classifier.classes)
    if query.get("run", str(shown.run)) != str(shown.run):
        raise Outdated()
    first, second = (pictures.whole(query, name, count) for name in ("first", "second"))
    return shown, (min(first, second), max(first, second))


def _name(shown: Shown, pair: tuple[int, int]) -> str:
    return f"{JOB} {shown.run} {pair[0]} {pair[1]}"


def _progress(glass: Glass, query: Query) -> Progress | None:
    return glass.jobs.known(_name(*_pair(glass, query)))


def _look(shown: Shown, pair: tuple[int, int]) -> Generator[tuple[int, int], None, Maps]:
    """The maps of the pixels and weights that are shown."""
    classes = shown.classifier.classes
    trace = shown.document.trace
    pixels = trace.values[trace.nodes[0].name][0].transpose(1, 2, 0).astype(np.uint8)
    picture = Prepared(pixels, shown.called)
    every: list[tuple[int, Method]] = [(number, method) for number in dict.fromkeys(pair) for method in SHOWN]
    made: dict[tuple[int, Method], Attribution | str] = {}
    for at, (number, method) in enumerate(every):
        try:
            steps = Steps(shown.classifier.attributing(picture, classes[number], method))
            for done, total in steps:
                yield at * total + done, len(every) * total
            made[number, method] = steps.result
        except TraceError as error:
            made[number, method] = str(error)
    return made


def _described(number: int, method: Method, made: Attribution | str) -> dict[str, Any]:
    about: dict[str, Any] = {"class": number, "method": method}
    if isinstance(made, str):
        return {**about, "error": made}
    score = made.deletion
    figures = {"trust": score.trust, "area": score.area, "random": score.random_area, "spread": score.random_deviation}
    return {
        **about,
        **{name: finite(value) for name, value in figures.items()},
        "verdict": score.verdict,
        "layer": made.layer,
    }
