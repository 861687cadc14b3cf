"""A weight's life for the page: the training made again beside it, once for each weight, and the pictures of a step."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pellucid.app.page import pictures
from pellucid.app.page.job import IDLE, Progress
from pellucid.app.page.shown import Glass
from pellucid.errors import TraceError
from pellucid.glassbox.page import replies
from pellucid.glassbox.page.replies import Query, Refused, Reply
from pellucid.life import seen
from pellucid.life.again import Again, opened
from pellucid.life.again import start as start_again
from pellucid.life.formula import as_json
from pellucid.life.story import Life, living
from pellucid.pictures.store import default_cache
from pellucid.steps import counted

if TYPE_CHECKING:
    from numpy.typing import NDArray

LINE = "life"
"""The repeats are made one after the other: each uses all threads, and one that readers have left ends."""
LARGEST = 12
SHOWN = 12
"""Pictures of a step that are shown one by one."""
PUSHERS = 16
_SEEING = threading.Lock()
"""An Again remembers the order of one epoch at a time."""
_NONE = "The training has not been made again for this weight yet. Open its life on the page first."


@dataclass(frozen=True)
class Lived:
    """A weight's life, and the training that it was made from. `seconds`: how long the repeat took."""

    life: Life
    again: Again
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """As Life.as_json, with the pushers' rows, whether pictures were augmented, and each large step's op."""
        content = self.life.as_json(SHOWN, PUSHERS)
        pushers = zip(content["pushers"], self.life.pushers, strict=False)
        return {
            **content,
            "augmented": self.again.task.augment != "none",
            "seconds": round(self.seconds, 3),
            "largest": [{**each, **as_json(self.again, self.life, each)} for each in content["largest"]],
            "pushers": [{**each, "row": pusher.row} for each, pusher in pushers],
        }


def life(glass: Glass, query: Query) -> Reply:
    """What is known of the life of ?weight=conv1.weight,3,0,2,2: the progress, or Lived.as_json; "idle" for nothing."""
    return _answer(glass.jobs.known(_job(_weight(query))))


def start(glass: Glass, query: Query, _body: bytes) -> Reply:
    """Start to make the training again, unless that is done or under way; then as `life`."""
    weight = _weight(query)
    return _started(glass, _job(weight), lambda: live(glass.model, weight, cache_of(glass)))


def stop(glass: Glass, query: Query, _body: bytes) -> Reply:
    """Stop after the current step."""
    glass.jobs.drop(_job(_weight(query)))
    return life(glass, query)


def step(glass: Glass, query: Query) -> Reply:
    """As `life`, for the pictures of ?step=, any step of a weight whose life is known."""
    return _answer(glass.jobs.known(_step_job(glass, query)))


def start_step(glass: Glass, query: Query, _body: bytes) -> Reply:
    """Start to make the training again up to ?step=, to see what its pictures did; then as `step`."""
    job, lived, number = _step_job(glass, query), _lived(glass, query), _step(glass, query)
    return _started(glass, job, lambda: make_step(lived, number))


def stop_step(glass: Glass, query: Query, _body: bytes) -> Reply:
    """Stop after the current step."""
    glass.jobs.drop(_step_job(glass, query))
    return step(glass, query)


def picture(glass: Glass, query: Query) -> Reply:
    """The training picture of ?row= as PNG, at training size; with ?step=, as the network saw it in that step."""
    lived = _lived(glass, query)
    again = lived.again
    row = pictures.whole(query, "row", len(again.material.data.labels))
    if "step" not in query:
        return _png(seen.plain(again, row))
    number = _step(glass, query)
    with _SEEING:
        places = np.flatnonzero(again.rows(number) == row)
        if not len(places):
            raise Refused(HTTPStatus.NOT_FOUND, f"Step {number} was not made on the picture of row {row}.")
        return _png(_in_step(again, number)[int(places[0])])


def live(model: Path, weight: str, cache: Path) -> Generator[tuple[int, int], None, Lived]:
    """Make a model's training again with a separate classifier, for one weight. Raises the errors of `living`."""
    began = time.monotonic()
    again = yield from counted(opened(model, cache, [weight]))
    (life,) = yield from counted(living(again, [weight], largest=LARGEST))
    again.state.optimizer.zero_grad()
    again.state.optimizer.state.clear()  # with the gradients three times the weights, for every life that stays
    return Lived(life, again, time.monotonic() - began)


def make_step(lived: Lived, number: int) -> Generator[tuple[int, int], None, dict[str, Any]]:
    """Make the training again up to a step; returns the step as one of Lived.as_json's largest. Raises TraceError."""
    again = yield from counted(start_again(lived.again.material))
    again.last = number
    (life,) = yield from counted(living(again, [lived.life.weight], largest=1, steps=(number, number)))
    (made,) = life.as_json(SHOWN, 0)["largest"]
    if (made["before"], made["after"]) != lived.life.values[number - 1 : number + 1]:
        raise TraceError(
            f"Step {number} came out otherwise than before. This machine does not repeat a training exactly."
        )
    return {**made, **as_json(again, life, made)}


@lru_cache(maxsize=4)
def _in_step(again: Again, number: int) -> NDArray[np.uint8]:
    """The page shows some pictures of one step, one request for each."""
    return seen.in_step(again, number)


def _started(glass: Glass, job: str, work: Any) -> Reply:
    return _answer(glass.jobs.again(job, work, line=LINE))


def _answer(progress: Progress | None) -> Reply:
    if progress is None:
        return replies.as_json(IDLE)
    result = progress.result
    content: Mapping[str, Any] = {} if result is None else result.as_json() if isinstance(result, Lived) else result
    return replies.as_json({**content, **progress.as_json()})  # a step's own "state", of the optimizer, is in its op


def _lived(glass: Glass, query: Query) -> Lived:
    progress = glass.jobs.known(_job(_weight(query)))
    if progress is None or progress.result is None:
        raise Refused(HTTPStatus.CONFLICT, _NONE)
    return progress.result


def _step(glass: Glass, query: Query) -> int:
    """From 1 to the last. Raises Refused."""
    steps = _lived(glass, query).life.steps
    number = pictures.whole(query, "step", steps + 1)
    if not number:
        raise Refused(HTTPStatus.BAD_REQUEST, f"step is 0; it must be a number from 1 to {steps:,}.")
    return number


def _step_job(glass: Glass, query: Query) -> str:
    return f"{_job(_weight(query))} step {_step(glass, query)}"


def _job(weight: str) -> str:
    return f"life of {weight}"


def _weight(query: Query) -> str:
    """ "conv1.weight[3, 0, 2, 2]" of "conv1.weight,3,0,2,2"."""
    text = query.get("weight", "")
    match = re.fullmatch(r"(.+?)((?:,\d{1,9})*)", text)
    if match is None:
        raise Refused(HTTPStatus.BAD_REQUEST, f"weight is {text!r}. Use ?weight=conv1.weight,3,0,2,2.")
    name, index = match.groups()
    return f"{name}[{index[1:].replace(',', ', ')}]" if index else name


def _png(image: NDArray[np.uint8]) -> Reply:
    return pictures.png(np.broadcast_to(image, (*image.shape[:2], 3)).copy())


def cache_of(glass: Glass) -> Path:
    """Where decoded pictures are."""
    return glass.live.cache if glass.live.cache is not None else default_cache()
