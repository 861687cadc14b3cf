"""The difference between two classes of the shown run, taken apart: pixels, layers, units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pellucid.app.page import pictures
from pellucid.app.page.shown import Glass
from pellucid.classifier.predict.pictures import Prepared
from pellucid.files import finite
from pellucid.glassbox.page import replies
from pellucid.glassbox.page.replies import Outdated, Reply
from pellucid.glassbox.why.mechanism import Mechanism

Asked = Mapping[str, str]


def difference(glass: Glass, asked: Asked) -> Reply:
    """The logit of class ?first= minus that of ?second=, and the parts that add up to it; pixels only as their sum."""
    return replies.as_json(_described(_taken_apart(glass, asked)))


def pixels(glass: Glass, asked: Asked) -> Reply:
    """Each pixel's contribution to the same difference: float64 (H, W)."""
    return replies.numbers(_taken_apart(glass, asked).pixels)


def _taken_apart(glass: Glass, asked: Asked) -> Mechanism:
    """Computed once for both requests."""
    shown, classes = glass.shown, glass.classifier.classes
    if asked.get("run", str(shown.run)) != str(shown.run):
        raise Outdated()
    first, second = (pictures.whole(asked, name, len(classes)) for name in ("first", "second"))

    def make() -> Mechanism:
        # the pixels and weights on the page: the file may have been overwritten, and weights changed
        trace = shown.document.trace
        pixels = trace.values[trace.nodes[0].name][0].transpose(1, 2, 0).astype(np.uint8)
        picture = Prepared(pixels, shown.called)
        return shown.classifier.difference(picture, classes[first], classes[second])

    return glass.jobs.latest("difference", (shown.run, first, second), make)


def _described(found: Mechanism) -> dict[str, Any]:
    return {
        "first": found.first,
        "second": found.second,
        "difference": finite(found.difference),
        "pixels": finite(float(found.pixels.sum())),
        "own": finite(found.own),
        "remainder": finite(found.remainder),
        "layers": [
            {
                "name": share.name,
                "kind": share.kind,
                "own": finite(share.own),
                "units": finite(float(share.units.sum())),
                "after": finite(share.after) if share.passes_all else None,
                "strongest": [{"unit": list(index), "value": finite(value)} for index, value in share.strongest()],
            }
            for share in found.shares
        ],
    }
