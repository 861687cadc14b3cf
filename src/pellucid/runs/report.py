"""How a training ended."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pellucid.classifier.classifier import Classifier
from pellucid.pictures.sides import LONG, TEST
from pellucid.training.evaluate import Metrics
from pellucid.training.folds import Folds
from pellucid.training.recorder import Size

FOLDS = "folds"  # what is reported after a cross-validation


@dataclass(frozen=True)
class Report:
    """How a run ended: `reported` names the metrics that count, test where there are test pictures.

    After a cross-validation that is "folds", the figures of all pictures, each by a model that had not seen it.

    `chosen`: whether the epoch and the temperature were chosen on the validation pictures. They are not where there
    are none, or where these lack a class.
    """

    folder: Path
    classifier: Classifier
    reported: str
    metrics: dict[str, Metrics]
    complete: bool
    best_epoch: int
    seconds: float
    replay: Size | None = None
    """What the replay takes, of a training with one."""
    chosen: bool = True
    early: str | None = None
    """Why it ended before its epochs or its minutes were over, in a sentence without a full stop."""
    folds: Folds | None = None
    """What a cross-validation of the same recipe said; the classifier is that of the last training, on all pictures."""
    knew: int = 0
    """How many of the pictures that are reported on were seen by the model that it started from, or one before that."""
    knew_by: tuple[str, ...] = ()
    """These models by their names; () where it is the one alone that the training started from."""

    @property
    def quotable(self) -> bool:
        """Whether the reported accuracy is one to quote: of pictures that no choice was made on, of every class."""
        return self.reported in (LONG[TEST], FOLDS) and not self.metrics[self.reported].lacking and not self.knew
