"""The difference between two classes of the shown run, taken apart: pixels, layers, units."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import numpy as np

from pellucid.app.page import pictures
from pellucid.app.page.shown import Glass, Shown
from pellucid.classifier.predict.pictures import Prepared
from pellucid.files import finite
from pellucid.glassbox.page import replies
from pellucid.glassbox.page.replies import Outdated, Query, Refused, Reply
from pellucid.glassbox.why.mechanism import Mechanism

JOB = "difference"


def start(glass: Glass, query: Query, _body: bytes) -> Reply:
    """Take the difference apart, if that is not done yet; then as `difference`."""
    _take_apart(glass, query)
    return difference(glass, query)


def difference(glass: Glass, query: Query) -> Reply:
    """The logit of class ?first= minus that of ?second=, and the parts that add up to it; pixels only as their sum."""
    return replies.as_json(_described(_taken_apart(glass, query)))


def pixels(glass: Glass, query: Query) -> Reply:
    """Each pixel's contribution to the same difference: float64 (H, W)."""
    return replies.numbers(_taken_apart(glass, query).pixels)


def _taken_apart(glass: Glass, query: Query) -> Mechanism:
    """Computed before, for both requests. Raises Refused."""
    shown, first, second = _wanted(glass, query)
    known = glass.jobs.result(JOB, (shown.run, first, second))
    if known is None:
        raise Refused(HTTPStatus.CONFLICT, "This difference has not been taken apart yet. Open it on the page first.")
    return known


def _wanted(glass: Glass, query: Query) -> tuple[Shown, int, int]:
    shown, classes = glass.shown, glass.classifier.classes
    if query.get("run", str(shown.run)) != str(shown.run):
        raise Outdated()
    first, second = (pictures.whole(query, name, len(classes)) for name in ("first", "second"))
    return shown, first, second


def _take_apart(glass: Glass, query: Query) -> None:
    (shown, first, second), classes = _wanted(glass, query), glass.classifier.classes

    def make() -> Mechanism:
        # the pixels and weights on the page: the file may have been overwritten, and weights changed
        trace = shown.document.trace
        pixels = trace.values[trace.nodes[0].name][0].transpose(1, 2, 0).astype(np.uint8)
        picture = Prepared(pixels, shown.called)
        return shown.classifier.difference(picture, classes[first], classes[second])

    glass.jobs.latest(JOB, (shown.run, first, second), make)


def _described(mechanism: Mechanism) -> dict[str, Any]:
    return {
        "first": mechanism.first,
        "second": mechanism.second,
        "difference": finite(mechanism.difference),
        "pixels": finite(float(mechanism.pixels.sum())),
        "own": finite(mechanism.own),
        "remainder": finite(mechanism.remainder),
        "layers": [
            {
                "name": share.name,
                "kind": share.kind,
                "own": finite(share.own),
                "units": finite(float(share.units.sum())),
                "after": finite(share.after) if share.passes_all else None,
                "count": share.units.size,
                "nothing": int((share.units == 0).sum()),
                "strongest": [{"unit": list(index), "value": finite(value)} for index, value in share.strongest()],
            }
            for share in mechanism.shares
        ],
    }
