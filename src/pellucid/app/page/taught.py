"""Who taught the shown answer, for the page: the training is made again beside it, and the loss followed back.

The answer is the saved model's, to the shown picture with the reader's paint; changes to the network do not count.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pellucid.app.page import pictures
from pellucid.app.page.job import IDLE
from pellucid.app.page.life import LINE, cache_of
from pellucid.app.page.shown import Glass
from pellucid.classifier.predict.pictures import Prepared
from pellucid.errors import TraceError
from pellucid.glassbox.page import replies
from pellucid.glassbox.page.replies import Outdated, Query, Refused, Reply
from pellucid.life import again, answer
from pellucid.life.influence import Teaching, teaching
from pellucid.pictures.places import within
from pellucid.steps import counted

if TYPE_CHECKING:
    from pellucid.pictures.places import Place

SHOWN = 8
"""Pictures of each kind."""
_NONE = "Nobody has worked out who taught this answer yet. Open it on the page first."


@dataclass(frozen=True)
class Known:
    """The teachers of an answer, without the network. `root`: the folder of the training pictures."""

    content: dict[str, Any]
    root: Place


def taught(glass: Glass, query: Query) -> Reply:
    """Who taught the answer ?class=, a number, to the picture of ?run=: the progress, or Teaching.as_json.

    "idle" if nobody has started it. A result stays in memory for each picture and class.
    """
    progress = glass.jobs.known(_job(*_answer(glass, query)))
    if progress is None:
        return replies.as_json(IDLE)
    content = {} if progress.result is None else progress.result.content
    return replies.as_json({**content, **progress.as_json()})


def start(glass: Glass, query: Query, _body: bytes) -> Reply:
    """Start to work it out, unless that is done or under way; then as `taught`."""
    picture, number = _answer(glass, query)
    model, cache = glass.model, cache_of(glass)
    glass.jobs.again(_job(picture, number), lambda: make(model, cache, picture, number), line=LINE)
    return taught(glass, query)


def stop(glass: Glass, query: Query, _body: bytes) -> Reply:
    """Stop after the current step."""
    glass.jobs.drop(_job(*_answer(glass, query)))
    return taught(glass, query)


def picture(glass: Glass, query: Query) -> Reply:
    """Picture ?at= of those that helped and then those that hurt, as the network's input, as PNG."""
    progress = glass.jobs.known(_job(*_answer(glass, query)))
    if progress is None or progress.result is None:
        raise Refused(HTTPStatus.CONFLICT, _NONE)
    known: Known = progress.result
    teachers = [*known.content["helped"], *known.content["hurt"]]
    at = pictures.whole(query, "at", len(teachers))
    return pictures.png(pictures.prepared(glass, str(within(known.root, teachers[at]["path"]))))


def make(model: Path, cache: Path, picture: Prepared, number: int) -> Generator[tuple[int, int], None, Known]:
    """Work it out with a separate classifier, by TracIn where the derivative cannot be followed.

    `number`: the class. Raises the errors of `opened` and `teaching`.
    """
    ready = yield from counted(again.opened(model, cache))
    classifier = ready.material.classifier
    about = answer.of(classifier, picture, classifier.classes[number])
    notes: list[str] = []
    try:
        result: Teaching = yield from counted(teaching(ready, about))
    except TraceError as error:
        if not ready.last:
            raise  # a head has no other method
        notes = [f"{error} The figures here are those of TracIn."]
        ready = yield from counted(again.start(ready.material))
        result = yield from counted(teaching(ready, about, "tracin"))
    content = result.as_json(SHOWN)
    return Known({**content, "notes": [*notes, *content["notes"]]}, ready.material.data.catalog.root)


def _answer(glass: Glass, query: Query) -> tuple[Prepared, int]:
    """The picture and the class. Raises Refused; Outdated if another window has shown something else."""
    shown = glass.shown
    if query.get("run", "") != str(shown.run):
        raise Outdated()
    return Prepared(shown.pixels, shown.called), pictures.whole(query, "class", len(glass.classifier.classes))


def _job(picture: Prepared, number: int) -> str:
    """Named by the pixels and the class: a reader may come back to a picture."""
    return f"who taught class {number} to {hashlib.sha256(picture.image.tobytes()).hexdigest()}"
