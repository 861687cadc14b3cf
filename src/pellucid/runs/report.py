"""The report of a training's end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pellucid.classifier.classifier import Classifier
from pellucid.pictures.sides import LONG, TEST
from pellucid.training.evaluate import Metrics
from pellucid.training.folds import Folds
from pellucid.training.recorder import Size

FOLDS = "folds"  # the reported side after a cross-validation


@dataclass(frozen=True)
class Report:
    """How a run ended: `reported` names the metrics that count, test if there are test pictures.

    After a cross-validation that is "folds", the figures of all pictures, each by a model that had not seen it.

    `chosen`: whether the epoch and the temperature were chosen on the validation pictures. They are not if there are
    none, or if these lack a class.
    """

    folder: Path
    classifier: Classifier
    reported: str
    metrics: dict[str, Metrics]
    complete: bool
    best_epoch: int
    seconds: float
    replay: Size | None = None
    """The disk space of the replay, for a training with one."""
    chosen: bool = True
    early: str | None = None
    """Why it ended before its epochs or its minutes were over, in a sentence without a full stop."""
    folds: Folds | None = None
    """The result of a cross-validation of this recipe; the classifier is the last training's, on all pictures."""
    knew: int = 0
    """How many of the reported pictures were seen by the model that the training started from, or by one before it."""
    knew_by: tuple[str, ...] = ()
    """The names of these models; () if it was only the model that the training started from."""

    @property
    def quotable(self) -> bool:
        """Whether the reported accuracy may be quoted: on pictures that made no choice, for every class."""
        return self.reported in (LONG[TEST], FOLDS) and not self.metrics[self.reported].lacking and not self.knew
