"""What if: the reader's changes to the network and the picture, as requests of the page."""

from __future__ import annotations

import json
from dataclasses import replace
from http import HTTPStatus
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.app.page.altered import as_json
from pellucid.app.page.shown import Glass
from pellucid.errors import PellucidError
from pellucid.glassbox.page import replies
from pellucid.glassbox.page.replies import Outdated, Query, Refused, Reply
from pellucid.glassbox.whatif.change import written
from pellucid.whatif import Change, Padding, Pooling, Setting, Stride, Unfitting, Weight

MOST = 1_000  # changes at a time
KINDS = ", ".join(("weight", "stride", "padding", "pooling"))


def change(glass: Glass, _query: Query, body: bytes) -> Reply:
    """Replace the changes to the network: {"changes": [...]}, in the form of the document's "what_if"."""
    changes = read(body)
    try:
        glass.change(changes)
    except Unfitting as error:
        helps, _ = _helping(glass, changes)
        raise Refused(HTTPStatus.BAD_REQUEST, f"{error} {helps}") from error
    return _shown(glass)


def paint(glass: Glass, query: Query, body: bytes) -> Reply:
    """Replace the pixels: uint8 in C order, their shape as ?shape=HEIGHT,WIDTH,CHANNELS; without any, restore them."""
    glass.paint(_pixels(glass, query, body) if body else None)
    return _shown(glass)


def flip(glass: Glass, _query: Query, _body: bytes) -> Reply:
    """Put all changes back; or apply them again if the last flip put them back."""
    glass.flip()
    return _shown(glass)


def foresee(glass: Glass, _query: Query, body: bytes) -> Reply:
    """The effect of these changes, without showing them.

    {"fits": true, "probabilities": [...]}, or {"fits": false, "why": a sentence, "instead": further changes that help}.
    """
    changes = read(body)
    try:
        probabilities = glass.foreseen(replace(glass.altered, changes=changes))
    except Unfitting as error:
        helps, further = _helping(glass, changes)
        alternatives = [as_json(each, glass.classifier) for each in further]
        return replies.as_json({"fits": False, "why": f"{error} {helps}", "instead": alternatives})
    except PellucidError as error:
        return replies.as_json({"fits": False, "why": str(error), "instead": []})
    return replies.as_json({"fits": True, "probabilities": probabilities.tolist()})


def foresee_paint(glass: Glass, query: Query, body: bytes) -> Reply:
    """The effect of these pixels: {"fits": true, "probabilities": [...]}."""
    probabilities = glass.foreseen(replace(glass.altered, pixels=_pixels(glass, query, body)))
    return replies.as_json({"fits": True, "probabilities": probabilities.tolist()})


def original(glass: Glass, _query: Query) -> Reply:
    """The network's input without paint: uint8 (H, W, C)."""
    return replies.numbers(glass.original_pixels)


def read(body: bytes) -> tuple[Change, ...]:
    """{"changes": [...]} -> changes. Raises Refused."""
    try:
        changes = json.loads(body)["changes"]
        if isinstance(changes, list) and len(changes) <= MOST:
            return tuple(map(_change, changes))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise Refused(HTTPStatus.BAD_REQUEST, f"These changes are not understood: {_message(error)}.") from error
    raise Refused(HTTPStatus.BAD_REQUEST, f"The changes must be a list of at most {MOST:,}.")


def _change(fields: Any) -> Change:
    match fields["what"]:
        case "weight":
            return Weight(str(fields["name"]), _whole(fields["index"]), _number(fields["value"]))
        case "stride":
            return Stride(str(fields["layer"]), _pair(fields["value"]))
        case "padding":
            return Padding(str(fields["layer"]), _pair(fields["value"]))
        case "pooling":
            return Pooling(str(fields["layer"]), fields["value"])
    raise ValueError(f"what is {fields['what']!r}; there are {KINDS}")


def _whole(numbers: Any) -> tuple[int, ...]:
    if not isinstance(numbers, list) or not all(type(number) is int for number in numbers):
        raise ValueError(f"{numbers!r} is not a list of whole numbers")
    return tuple(numbers)


def _pair(numbers: Any) -> tuple[int, int]:
    whole = _whole(numbers)
    if len(whole) != 2:
        raise ValueError(f"{numbers!r} is not a pair of numbers, for rows and columns")
    return whole[0], whole[1]


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{value!r} is not a number")
    try:
        return float(value)
    except OverflowError as error:
        raise ValueError("a value is too large") from error


def _pixels(glass: Glass, query: Query, body: bytes) -> NDArray[np.uint8]:
    if query.get("picture", str(glass.picture)) != str(glass.picture):
        raise Outdated()
    shape = glass.original_pixels.shape
    wanted = ",".join(map(str, shape))
    if query.get("shape", wanted) != wanted or len(body) != np.prod(shape):
        raise Refused(
            HTTPStatus.BAD_REQUEST,
            f"The painted picture is {len(body):,} bytes for {query.get('shape', wanted)}; this network takes {wanted} "
            f"(height, width, channels), which is {np.prod(shape):,}.",
        )
    return np.frombuffer(body, np.uint8).reshape(shape).copy()


def _helping(glass: Glass, changes: tuple[Change, ...]) -> tuple[str, tuple[Setting, ...]]:
    """Further changes that make the changes fit, in a sentence and as changes."""
    further = glass.classifier.instead(changes)
    if further:
        return f"It also fits with {written(further)}.", further
    return "No stride or padding of one or two other layers makes it fit.", ()


def _message(error: Exception) -> str:
    return f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)


def _shown(glass: Glass) -> Reply:
    return replies.as_json({"ok": True, "run": glass.shown.run})
