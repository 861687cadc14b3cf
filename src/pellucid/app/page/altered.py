"""The reader's changes, and what the page says about them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.classifier.classifier import Classifier
from pellucid.files import finite
from pellucid.glassbox.trace.trace import Trace
from pellucid.glassbox.whatif.change import adjustable as settings_of
from pellucid.glassbox.whatif.change import latest
from pellucid.whatif import Change, Padding, Pooling, Setting, Stride, Weight


@dataclass(frozen=True, eq=False)
class Altered:
    """What if: changes to the network, and pixels in place of the picture's, uint8 (H, W, C)."""

    changes: tuple[Change, ...] = ()
    pixels: NDArray[np.uint8] | None = None

    def __bool__(self) -> bool:
        return bool(self.changes) or self.pixels is not None

    def same_as(self, other: Altered) -> bool:
        """Whether both change the same, in the same way."""
        if self.pixels is None or other.pixels is None:
            return self.changes == other.changes and self.pixels is other.pixels
        return self.changes == other.changes and np.array_equal(self.pixels, other.pixels)

    @property
    def unpainted(self) -> Altered:
        return replace(self, pixels=None)

    @property
    def settings(self) -> tuple[Setting, ...]:
        """The changes except those of weights."""
        return tuple(change for change in self.changes if not isinstance(change, Weight))

    @property
    def weights(self) -> tuple[Weight, ...]:
        return tuple(change for change in self.changes if isinstance(change, Weight))


def real(altered: Altered, classifier: Classifier, image: NDArray[np.uint8]) -> Altered:
    """Without changes that have no effect: a weight's own value, the picture's own pixels. Raises TraceError."""
    effective = tuple(each for each in latest(altered.changes) if not _same(each, classifier.stored(each)))
    same = altered.pixels is not None and np.array_equal(altered.pixels, image)
    return replace(altered, changes=effective, pixels=None if same else altered.pixels)


def summary(altered: Altered, aside: Altered, classifier: Classifier, plain: Trace, picture: int) -> dict[str, Any]:
    """The page's data: the changes, the original values, and what can be changed; JSON types."""
    before = {
        "probabilities": [finite(float(number)) for number in plain.probabilities],
        "predicted": plain.predicted,
        "loss": finite(plain.loss),
    }
    return {
        "changes": [as_json(change, classifier) for change in altered.changes],
        "painted": _painted(altered, plain),
        "picture": picture,
        "aside": len(aside.changes) + (aside.pixels is not None),
        "before": before if altered else None,
        "settings": [layer._asdict() for layer in settings_of(classifier.network, len(classifier.classes))],
    }


def _painted(altered: Altered, plain: Trace) -> int:
    """How many pixels differ from the picture's."""
    if altered.pixels is None:
        return 0
    image = plain.values[plain.nodes[0].name][0].transpose(1, 2, 0)
    return int((altered.pixels != image).any(axis=2).sum())


def as_json(change: Change, classifier: Classifier) -> dict[str, Any]:
    """A change as the page receives and sends it, with the replaced value as "was". `classifier` is the original."""
    was = classifier.stored(change)
    match change:
        case Weight():
            # as float32, whose every digit the page shows
            fields = {"name": change.name, "index": list(change.index), "value": float(np.float32(change.value))}
            return {"what": "weight", **fields, "was": was}
        case Stride():
            return {"what": "stride", "layer": change.layer, "value": list(change.stride), "was": was}
        case Padding():
            return {"what": "padding", "layer": change.layer, "value": list(change.padding), "was": was}
        case Pooling():
            return {"what": "pooling", "layer": change.layer, "value": change.kind, "was": was}


def _same(change: Change, was: object) -> bool:
    match change:
        case Weight():
            with np.errstate(over="ignore"):  # a value beyond float32 is refused later
                return np.float32(change.value) == was
        case Stride():
            return change.stride == was
        case Padding():
            return change.padding == was
        case Pooling():
            return change.kind == was
