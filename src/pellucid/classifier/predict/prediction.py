"""The prediction for a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Prediction:
    """The prediction for one picture, or the reason why there is none.

    `probabilities` follow the order of the classifier's classes, are calibrated and sum to 1; `logits` are the
    network's raw outputs. For an unusable picture `error` is the reason and all other fields are None.

    A classifier for several labels gives each its own probability. `labels` are those that reach their thresholds,
    the most probable first; it may be empty. `label` is the first of them, or None, and `probability` belongs to it.
    """

    source: str
    label: str | None = None
    probability: float | None = None
    probabilities: dict[str, float] | None = None
    logits: tuple[float, ...] | None = None
    error: str | None = None
    labels: tuple[str, ...] | None = None
    """None for a classifier with one label a picture."""

    def top(self, count: int) -> list[tuple[str, float]]:
        """The `count` most probable classes with their probabilities, best first; empty if there is an error."""
        ranked = sorted((self.probabilities or {}).items(), key=lambda item: -item[1])
        return ranked[:count]

    def as_json(self, top: int | None = None) -> dict[str, Any]:
        """A flat description for a line of JSON."""
        if self.error is not None:
            return {"picture": self.source, "error": self.error}
        ranked = dict(self.top(top if top is not None else len(self.probabilities or {})))
        if self.labels is not None:
            return {"picture": self.source, "labels": list(self.labels), "probabilities": ranked}
        return {
            "picture": self.source,
            "label": self.label,
            "probability": self.probability,
            "probabilities": ranked,
        }


@dataclass(frozen=True)
class Described:
    """A prediction, and the input of the network's last dense layer: float32 (F,), None if there is an error."""

    prediction: Prediction
    features: NDArray[np.float32] | None
