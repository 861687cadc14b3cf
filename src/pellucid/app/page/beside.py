"""A second model on the shown picture: the choices, its numbers, and where the two part."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import numpy as np

from pellucid.app.page.shown import Glass, Shown
from pellucid.classifier.predict.pictures import Prepared, Source
from pellucid.debugging import beside as seconds
from pellucid.debugging.parting import parting
from pellucid.glassbox.page import replies
from pellucid.glassbox.page.document import Document
from pellucid.glassbox.page.replies import Outdated, Query, Refused, Reply
from pellucid.hub.reference import name_of

JOB = "beside"
BEFORE, OTHER = "before", "other"


@dataclass(frozen=True, eq=False)
class Second:
    """The second run: its document, and its text with the comparison in it."""

    document: Document
    text: bytes


def choices(glass: Glass, _query: Query) -> Reply:
    """{"compared": [{"id", "title"}, ...]}: what the shown run can be compared with, the most interesting first."""
    return replies.as_json({"compared": [{"id": name, "title": title} for name, title in _choices(glass).items()]})


def start(glass: Glass, query: Query, _body: bytes) -> Reply:
    """The second run's document with "comparison" (debugging/parting.py). ?with= one of the choices.

    "turned" in the comparison: the second model is the first of the two.
    """
    shown, name = _named(glass, query)
    second = glass.jobs.latest(JOB, (shown.run, name), lambda: _second(glass, shown, name))
    return Reply("application/json", second.text)


def array(glass: Glass, query: Query) -> Reply:
    """As routes.array, of the second run. It must have been started."""
    shown, name = _named(glass, query)
    second = glass.jobs.result(JOB, (shown.run, name))
    if second is None:
        raise Refused(HTTPStatus.CONFLICT, "This comparison is no longer in memory. Choose it again.")
    return replies.channel_of(second.document.arrays, query)


def _choices(glass: Glass) -> dict[str, str]:
    """The title of each choice by its name in an address."""
    before = {BEFORE: "the model without your changes"} if glass.altered else {}
    other = {} if glass.beside is None else {OTHER: glass.beside.name}
    return {**before, **other, **{name: f"the same with weights in {name}" for name in seconds.FEWER_BITS}}


def _named(glass: Glass, query: Query) -> tuple[Shown, str]:
    shown, name, known = glass.shown, query.get("with", ""), _choices(glass)
    if query.get("run", str(shown.run)) != str(shown.run):
        raise Outdated()
    if name not in known:
        sentence = f"There is no {name!r} to compare with here. There is {', '.join(known)}."
        raise Refused(HTTPStatus.NOT_FOUND, sentence)
    return shown, name


def _second(glass: Glass, shown: Shown, name: str) -> Second:
    run, model = shown.document.trace, name_of(glass.model)
    changed = f"{model}, with your changes" if glass.altered else model
    if name == BEFORE:
        trace = glass.plain.document.trace
        result: Mapping[str, Any] = {**parting(trace, run, (model, changed)).as_json(), "turned": True}
        called = model
    else:
        other = glass.beside if name == OTHER else seconds.fewer_bits(shown.classifier, name)
        assert other is not None
        trace, apart = seconds.beside(run, changed, other, _picture(glass, other))
        result, called = {**apart.as_json(), "turned": False}, other.name
    if glass.shown is not shown:  # another window has gone on meanwhile, and some of this may be its numbers
        raise Outdated()
    document = Document(trace, called)
    content = {**document.content, "run": shown.run, "comparison": result}
    return Second(document, json.dumps(content, allow_nan=False, separators=(",", ":")).encode())


def _picture(glass: Glass, other: seconds.Other) -> Source:
    """The shown picture for another model: as it was opened, or the painted pixels."""
    pixels = glass.altered.pixels
    if pixels is None:
        return glass.plain.picture if not isinstance(glass.plain.picture, Prepared) else glass.plain.picture.image
    same = other.classifier.input_shape == glass.classifier.input_shape
    return Prepared(pixels, glass.plain.called) if same else np.broadcast_to(pixels, (*pixels.shape[:2], 3)).copy()
