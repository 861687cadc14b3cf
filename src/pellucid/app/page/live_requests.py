"""Change and train live: the page's requests about the training by hand."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pellucid.app.page.shown import Glass
from pellucid.errors import PellucidError
from pellucid.glassbox.page import replies
from pellucid.glassbox.page.replies import Query, Refused, Reply
from pellucid.hub.reference import name_of

if TYPE_CHECKING:  # opening a page need not wait for the training
    from pellucid.live.session import Session

FASTEST = 10_000.0  # steps a second that a request may name


def state(glass: Glass, query: Query) -> Reply:
    """The training by hand, and what the shown picture is in it; only whether it is the same as ?revision=."""
    return _answer(glass, query)


def start(glass: Glass, query: Query, _body: bytes) -> Reply:
    """Read the model's pictures, if that is not done yet."""
    glass.live.start()
    return _answer(glass, query)


def step(glass: Glass, query: Query, _body: bytes) -> Reply:
    """One batch. A run that goes on is paused first."""

    from pellucid.training.loop import NotFinite

    def one(session: Session) -> None:
        session.close()
        try:
            session.step()
        except NotFinite:  # the state says it
            return
        session.close()

    glass.live.pause()
    glass.live.do(one)
    return _answer(glass, query)


def run(glass: Glass, query: Query, _body: bytes) -> Reply:
    """Train until /api/live/pause, at ?speed= steps a second; without it as fast as it goes."""
    text = query.get("speed", "")
    try:
        speed = float(text) if text else None
    except ValueError:
        speed = -1.0
    if speed is not None and not 0 < speed <= FASTEST:
        what = f"speed is {text!r}; it must be steps a second, more than 0 and at most {FASTEST:,.0f}."
        raise Refused(HTTPStatus.BAD_REQUEST, what)
    glass.live.run(speed)
    return _answer(glass, query)


def pause(glass: Glass, query: Query, _body: bytes) -> Reply:
    glass.live.pause()
    return _answer(glass, query)


def edit(glass: Glass, query: Query, body: bytes) -> Reply:
    """Change settings, {"learning_rate": 0.5}: see live/session.py. Refused ones change nothing, and a run goes on."""
    settings = _settings(body)
    glass.live.do(lambda session: session.edit(**settings))
    return _answer(glass, query)


def check(glass: Glass, _query: Query, body: bytes) -> Reply:
    """Whether settings would be accepted: {"fits": true}, or {"fits": false, "why": a sentence}."""
    settings = _settings(body)

    def tried(session: Session) -> None:
        session.check(**settings)

    try:
        glass.live.do(tried, changes=False)
    except Refused:
        raise
    except PellucidError as error:
        return replies.as_json({"fits": False, "why": str(error)})
    return replies.as_json({"fits": True})


def undo(glass: Glass, query: Query, _body: bytes) -> Reply:
    return _moved(glass, query, lambda session: session.undo())


def redo(glass: Glass, query: Query, _body: bytes) -> Reply:
    return _moved(glass, query, lambda session: session.redo())


def reset(glass: Glass, query: Query, _body: bytes) -> Reply:
    return _moved(glass, query, lambda session: session.reset())


def scratch(glass: Glass, query: Query, _body: bytes) -> Reply:
    return _moved(glass, query, lambda session: session.scratch())


def keep(glass: Glass, _query: Query, _body: bytes) -> Reply:
    """Write a new model folder: {"folder", "command" that opens it}."""
    from pellucid.live import keep as keeping

    glass.live.pause()
    place = _beside(glass.model)
    report = glass.live.do(lambda session: keeping.keep(session, place), changes=False)
    folder = report.folder.absolute()
    return replies.as_json({"folder": str(folder), "command": f"pellucid open {shlex.quote(str(folder))}"})


def _moved(glass: Glass, query: Query, move: Callable[[Session], object]) -> Reply:
    """A run that goes on is paused first, so that it is undone as a whole."""
    glass.live.pause()
    glass.live.do(move)
    return _answer(glass, query)


def _answer(glass: Glass, query: Query) -> Reply:
    from pellucid.live import look

    progress = glass.live.progress()
    if progress["state"] != "ready":
        return replies.as_json(progress)
    shown = glass.shown

    def described(session: Session) -> dict[str, Any]:
        news = glass.live.news()
        revision = f"{news['revision']}.{shown.run}"
        if query.get("revision") == revision:
            return {**progress, "revision": revision, "same": True}
        trace = shown.document.trace
        picture = {"truth": None if trace.truth is None else list(trace.truth)}
        about = {**look.about(session), **look.look(session, _image(glass))}
        return {**progress, **about, **news, "revision": revision, "picture": picture}

    return replies.as_json(glass.live.do(described, changes=False))


def _image(glass: Glass) -> NDArray[np.uint8]:
    """The pixels on the page, uint8 (H, W, C): of the picture, or what the reader painted."""
    trace = glass.shown.document.trace
    return trace.values[trace.nodes[0].name][0].transpose(1, 2, 0).astype(np.uint8)


def _settings(body: bytes) -> dict[str, Any]:
    try:
        settings = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refused(HTTPStatus.BAD_REQUEST, f"These settings are not understood: {error}.") from error
    if not isinstance(settings, dict):
        raise Refused(HTTPStatus.BAD_REQUEST, "The settings must be an object, by their names.")
    return settings


def _beside(model: Path) -> Path:
    """The path beside which the new model goes: the model's, or its name in the working folder.

    A model of the hub lies in a cache, and some folders cannot be written.
    """
    place, name = model.absolute(), name_of(model)
    own = name == place.resolve().name and os.access(place.parent, os.W_OK)
    return place if own else Path.cwd() / name
