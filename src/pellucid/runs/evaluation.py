"""The figures of a saved model on labelled pictures, and which of these it had seen."""

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
    """The prediction for one picture. Classes by number; the probabilities are calibrated."""

    picture: str
    """Its path."""
    label: int
    predicted: int
    label_probability: float
    predicted_probability: float


@dataclass(frozen=True)
class LabelsAnswer:
    """The labels that one picture has and those it got. Labels by number, ascending."""

    picture: str
    """Its path."""
    labels: tuple[int, ...]
    called: tuple[int, ...]
    probabilities: NDArray[np.float64] = field(compare=False, repr=False)
    """Of every label, (classes,), calibrated."""


@dataclass(frozen=True)
class Evaluation:
    """Metrics of a classifier on pictures, which of these it had seen, and the unusable ones.

    For a folder that is split into train, val and test, all fields are for one side, test if there is one, and `sides`
    has an Evaluation of each.
    """

    metrics: Metrics
    """On all usable pictures."""
    unusable: tuple[tuple[str, str], ...]  # path, reason
    answers: tuple[Answer, ...] = ()
    """For each usable picture, in the order of classification; empty for several labels."""
    side: str | None = None
    """ "train", "validation" or "test": of the model's own pictures or of a split folder; None for a plain folder."""
    trained_on: tuple[Seen, ...] = ()
    """The pictures that the model was trained on, the same files and copies of them."""
    chosen_on: tuple[Seen, ...] = ()
    """The pictures of the model's validation, which chose epoch and temperature."""
    untold: str | None = None
    """Why the pictures that the model has seen are unknown, as a sentence; None if they are known."""
    without_trained_on: Metrics | None = None
    """Without the training pictures; None if nothing is left."""
    unseen: Metrics | None = None
    """Also without the validation pictures: the honest figure; None if nothing is left."""
    sides: tuple[Evaluation, ...] = ()
    held_out: bool = False
    """Whether these are the pictures that the model kept for its figure."""
    notes: tuple[str, ...] = ()
    """Further remarks on the folder: what was left out of it, and classes whose names hardly differ."""
    labelled: tuple[LabelsAnswer, ...] = ()
    """As `answers`, with several labels a picture; else empty."""

    @property
    def quotable(self) -> bool:
        """Whether `metrics.accuracy` may be quoted: for every class, on pictures that had no part in the model."""
        seen = self.trained_on or self.chosen_on or self.untold is not None
        return self.side in (None, "test") and not seen and not self.metrics.lacking

    @property
    def honest(self) -> Metrics | None:
        """The metrics to quote: of unseen pictures, if there are some of every class; else None."""
        if self.side not in (None, "test") or self.untold is not None or self.unseen is None or self.unseen.lacking:
            return None
        return self.unseen

    def as_json(self) -> dict[str, Any]:
        """The metrics, what is known about the pictures, and `unusable` as a list of picture and reason."""
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
    """In the form of a side in metrics.json."""
    return {**metrics.as_json(), "confusion": matrix.stored(metrics.confusion)}
