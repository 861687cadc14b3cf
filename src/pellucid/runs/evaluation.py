"""What a saved model is worth on labelled pictures, and which of these it had seen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.classifier import matrix
from pellucid.runs.made_from import Seen
from pellucid.training.evaluate import Metrics


@dataclass(frozen=True)
class Answer:
    """What one picture was taken for. Classes by number; the probabilities are calibrated."""

    picture: str
    """Its path."""
    label: int
    predicted: int
    label_probability: float
    predicted_probability: float


@dataclass(frozen=True)
class LabelsAnswer:
    """What one picture was called, of several labels a picture. Labels by number, ascending."""

    picture: str
    """Its path."""
    labels: tuple[int, ...]
    called: tuple[int, ...]
    probabilities: NDArray[np.float64] = field(compare=False, repr=False)
    """Of every label, (classes,), calibrated."""


@dataclass(frozen=True)
class Evaluation:
    """Metrics of a classifier on pictures, which of these it had seen, and those that could not be used.

    Of a folder that is split into train, val and test, everything is said of one side, of test where there is one, and
    `sides` has an Evaluation of each.
    """

    metrics: Metrics
    """On all of the pictures that could be used."""
    unusable: tuple[tuple[str, str], ...]  # path, reason
    answers: tuple[Answer, ...] = ()
    """Of each picture that could be used, in the order in which they were classified; none of several labels."""
    side: str | None = None
    """ "train", "validation" or "test": of the model's own pictures or of a split folder; None for a plain folder."""
    trained_on: tuple[Seen, ...] = ()
    """The pictures that the model learned from, the same files and copies of them."""
    chosen_on: tuple[Seen, ...] = ()
    """The pictures that were the model's validation, on which epoch and temperature were chosen."""
    untold: str | None = None
    """Why it cannot be told which pictures the model has seen, as a sentence; None where it can."""
    without_trained_on: Metrics | None = None
    """Without the pictures that were trained on; None where nothing is left."""
    unseen: Metrics | None = None
    """Without those that chose, too: the honest figure; None where nothing is left."""
    sides: tuple[Evaluation, ...] = ()
    kept: bool = False
    """Of the pictures that the model kept for its figure."""
    notes: tuple[str, ...] = ()
    """What else is to be known of the folder: what was left out of it, and classes whose names hardly differ."""
    labelled: tuple[LabelsAnswer, ...] = ()
    """The same as `answers`, of several labels a picture; else none."""

    @property
    def quotable(self) -> bool:
        """Whether `metrics.accuracy` may be quoted: of every class, on pictures that took no part in the model."""
        seen = self.trained_on or self.chosen_on or self.untold is not None
        return self.side in (None, "test") and not seen and not self.metrics.lacking

    @property
    def honest(self) -> Metrics | None:
        """The metrics to quote: of unseen pictures, where there are some of every class; None where there are not."""
        if self.side not in (None, "test") or self.untold is not None or self.unseen is None or self.unseen.lacking:
            return None
        return self.unseen

    def as_json(self) -> dict[str, Any]:
        """The metrics, what is known of the pictures, and `unusable` as a list of picture and reason."""
        content = {
            **_stored(self.metrics),
            "quotable": self.quotable,
            "trained_on": len(self.trained_on),
            "chosen_on": len(self.chosen_on),
            "untold": self.untold,
        }
        if self.trained_on or self.chosen_on:
            content["seen"] = [
                {
                    "picture": each.picture,
                    "side": each.side,
                    "of": each.of,
                    "same_file": each.same_file,
                    "model": each.model,
                }
                for each in (*self.trained_on, *self.chosen_on)
            ]
            content["without_trained_on"] = _stored(self.without_trained_on) if self.without_trained_on else None
            content["unseen"] = _stored(self.unseen) if self.unseen else None
        if self.sides:
            content["sides"] = {str(each.side): each.as_json() for each in self.sides}
        unusable = [{"picture": p, "reason": r} for p, r in self.unusable]
        return {**content, "unusable": unusable, "notes": list(self.notes)}


def _stored(metrics: Metrics) -> dict[str, Any]:
    """As metrics.json has a side."""
    return {**metrics.as_json(), "confusion": matrix.stored(metrics.confusion)}
