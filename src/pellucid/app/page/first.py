"""The picture that a page opens on where none is named: one that the model was not trained on, and that teaches."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pellucid.app.teaching import SURE
from pellucid.classifier.classifier import Classifier
from pellucid.classifier.predict.prediction import Prediction
from pellucid.runs.made_from import sampled
from pellucid.texts import LABELS_BETWEEN

if TYPE_CHECKING:
    from pellucid.pictures.places import Place

NEAR = 0.08
"""A right answer whose probability is so near to SURE ends the search."""
SECONDS = 0.5
"""The longest search after the first answer, for which PyTorch gets ready. Somebody waits for the page."""


def first(classifier: Classifier, model: Path) -> Place | None:
    """A held-out picture whose answer is right, with a probability of about SURE, among those seen within SECONDS.

    A certain answer has no loss, and nothing to see backward. None if no held-out picture exists unchanged. Raises
    ArtefactError.
    """
    end = math.inf
    best: tuple[tuple[bool, float], Place] | None = None
    for path, label in sampled(model):
        answer = classifier.predict(path)
        wrong, distance = rank = _rank(answer, label)
        if best is None or rank < best[0]:
            best = rank, path
        end = min(end, time.monotonic() + SECONDS)
        if (not wrong and distance < NEAR) or time.monotonic() > end:
            break
    return best[1] if best is not None else None


def _rank(answer: Prediction, label: str) -> tuple[bool, float]:
    """(whether it is wrong, how far the truth's probability is from SURE); a picture without an answer comes last."""
    if answer.probabilities is None:
        return True, math.inf
    if answer.labels is None:
        return answer.label != label, abs(answer.probabilities.get(label, 0.0) - SURE)
    truth = {each for each in label.split(LABELS_BETWEEN) if each}
    exactly = math.prod(p if name in truth else 1 - p for name, p in answer.probabilities.items())
    return set(answer.labels) != truth, abs(exactly - SURE)
