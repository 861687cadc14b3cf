"""A picture's run through a model, one at a time beside the predictions: path, map, and any number's arithmetic."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any, Literal, TypeVar, get_args

import numpy as np

from pellucid.classifier.predict.pictures import Source
from pellucid.errors import TraceError
from pellucid.serving.limits import Limits
from pellucid.serving.refusal import Refusal, busy, wrong
from pellucid.serving.served import Served

T = TypeVar("T")
Map = Literal["grad_cam", "integrated_gradients", "occlusion", "none"]
MAPS: tuple[Map, ...] = get_args(Map)
NUMBERS = 20  # units and weights in one request
NAMES = ("unit", "update", "label", "backward", "map", "layer")
"""What a request may say beside its picture."""


@dataclass(frozen=True)
class Question:
    """What somebody wants to know of a picture's run; the words are those of `pellucid explain`."""

    labels: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    backward: bool = False
    updates: tuple[str, ...] = ()
    map: Map | None = None
    """None: Grad-CAM, where the network has a layer for it."""
    layer: str | None = None


def question(options: Mapping[str, Sequence[str]]) -> Question:
    """From the options of a request, each with its values. Raises Refusal."""
    backward = (options.get("backward") or ["false"])[-1]
    if backward.lower() not in ("true", "false", "1", "0"):
        raise wrong(f"backward is {backward[:40]!r}; it must be true or false.")
    chosen = (options.get("map") or [None])[-1]
    if chosen is not None and chosen not in MAPS:
        raise wrong(f"map is {chosen[:40]!r}; it must be one of {', '.join(MAPS)}.")
    units, updates = tuple(options.get("unit", ())), tuple(options.get("update", ()))
    if len(units) + len(updates) > NUMBERS:
        raise wrong(f"{len(units) + len(updates)} units and weights are named, of at most {NUMBERS} in one request.")
    layer = (options.get("layer") or [None])[-1]
    return Question(tuple(options.get("label", ())), units, backward.lower() in ("true", "1"), updates, chosen, layer)


class Explainer:
    """One explanation at a time, on a thread of its own; a few may wait."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._thread = ThreadPoolExecutor(1, "explain")
        self.waiting, self._lock = 0, threading.Lock()
        """Explanations that are worked on or wait."""

    async def explain(self, served: Served, name: str, picture: Source, question: Question) -> dict[str, Any]:
        """The answer as JSON types. Raises Refusal (429, 504), PictureError, TraceError, ArtefactError."""
        return await self.run(partial(answer, served, name, picture, question))

    async def run(self, task: Callable[[], T]) -> T:
        """What the task returns, once it is its turn. Raises Refusal (429, 504) and what the task raises."""
        with self._lock:
            if self.waiting >= self._limits.explanations:
                raise busy(f"{self.waiting} explanations are being worked on.", 5)
            self.waiting += 1
        work = self._thread.submit(task)
        work.add_done_callback(self._done)
        try:
            async with asyncio.timeout(self._limits.explaining_seconds):
                return await asyncio.wrap_future(work)
        except TimeoutError as error:
            raise Refusal(
                HTTPStatus.GATEWAY_TIMEOUT,
                f"The explanation took longer than {self._limits.explaining_seconds:g} s. Leave out the map "
                "(map=none), or ask for fewer numbers.",
            ) from error

    def close(self) -> None:
        self._thread.shutdown(cancel_futures=True)

    def _done(self, _work: Future[Any]) -> None:
        with self._lock:
            self.waiting -= 1


def answer(served: Served, name: str, picture: Source, question: Question) -> dict[str, Any]:
    """What `pellucid explain --json` prints of a picture, with the map, and with forward and backward of each unit.

    Raises PictureError, TraceError, ArtefactError.
    """
    from pellucid.runtime.threads import work_alone

    work_alone()  # the other cores answer predictions
    classifier = served.classifier()
    layer = question.layer if question.map in (None, "grad_cam") else None
    classifier.expect(question.labels, None, question.units, question.updates, layer)
    trace = classifier.explain(picture, question.labels or None)
    explanation: dict[str, Any] = {"model": served.name, "version": served.version, **trace.as_json(), "picture": name}
    if question.units:
        explanation["units"] = [trace.unit(unit).as_json() for unit in question.units]
    if question.units and question.backward:
        explanation["gradients"] = [trace.gradient(unit).as_json() for unit in question.units]
    if question.updates:
        explanation["updates"] = [trace.update(weight).as_json() for weight in question.updates]
    if question.map != "none":
        explanation["map"] = _map(served, picture, question)
    return explanation


def _map(served: Served, picture: Source, question: Question) -> dict[str, Any]:
    """Where the network looked, as numbers and as a PNG of the picture under it."""
    from pellucid.glassbox.why.attribution import overlay
    from pellucid.pictures.png import encode

    classifier = served.classifier()
    label = question.labels[0] if question.labels else None
    try:
        attribution = classifier.attribute(picture, label, question.map or "grad_cam", question.layer)  # type: ignore[arg-type]
    except TraceError as error:
        if question.map is not None or question.layer is not None:
            raise
        return {"error": str(error)}  # nobody named this map, and the rest of the answer stands
    image = classifier.prepared(picture)
    colours = np.broadcast_to(image, (*image.shape[:2], 3)).copy()
    drawn = base64.b64encode(encode(overlay(colours, attribution.map))).decode("ascii")
    return {**attribution.as_json(), "png": drawn}
