"""The best weights of a training, calibrated, and their results on the pictures that they were not trained on."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Generator, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pellucid.classifier.classifier import Classifier
from pellucid.classifier.predict.pictures import Prepared
from pellucid.errors import TrainingError
from pellucid.pictures.sides import SHORT
from pellucid.pictures.store import Store
from pellucid.runs.events import Evaluating
from pellucid.runs.trained import Trained
from pellucid.training import targets
from pellucid.training.evaluate import Metrics

READ = 16  # pictures read at a time
PIXELS = 400_000  # in the pictures that go through the network at once on a core: 8 of 224x224


@dataclass(frozen=True)
class Judged:
    """The best weights, calibrated, and their results on the pictures that they were not trained on.

    `logits`: float32 (n, classes) for "validation" and "test", in the order of the rows of these sides; for "train" if
    there are neither. `chosen` as in Report.
    """

    classifier: Classifier
    logits: dict[str, NDArray[np.float32]]
    metrics: dict[str, Metrics]
    fitted: targets.Fitted
    chosen: bool


def judge(trained: Trained) -> Generator[Evaluating, None, Judged]:
    """Evaluate and calibrate the best weights so far; yields progress. `trained` itself does not change.

    Raises TrainingError if the network's outputs are not finite.
    """
    state, data, classes = trained.state, trained.data, trained.classifier.classes
    trained.task.engine.settle()  # whole batches are predicted from here on, and do not fit into the training's gaps
    best = copy.deepcopy(state.module)
    best.load_state_dict(state.best or state.module.state_dict())
    classifier = dataclasses.replace(trained.classifier, module=best)

    logits: dict[str, NDArray[np.float32]] = {}
    for side in ("validation", "test") if len(data.rows("val")) or len(data.rows("test")) else ("train",):
        if len(rows := data.rows(SHORT[side])):
            logits[side] = yield from _logits(classifier, trained, side, rows)
    labels = {side: data.labels[data.rows(SHORT[side])] for side in logits}
    chosen = bool(len(trained.task.validation))
    side = "validation" if chosen else next(iter(logits))
    some = slice(None) if chosen else slice(0)  # without pictures: nothing is fitted
    fitted = targets.fitted(logits[side][some], labels[side][some])
    classifier = dataclasses.replace(classifier, temperature=fitted.temperature, thresholds=fitted.of(0))
    metrics = {side: targets.measure(side, logits[side], labels[side], classes, fitted) for side in logits}
    return Judged(classifier, logits, metrics, fitted, chosen)


@dataclass(frozen=True)
class _Stored:
    """Rows of a store as pictures, read on demand."""

    store: Store
    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Prepared]:
        self.store.coming(self.rows)
        parts = (self.rows[at : at + READ] for at in range(0, len(self.rows), READ))
        return (Prepared(image) for part in parts for image in self.store.batch(part))


def _logits(
    classifier: Classifier, trained: Trained, side: str, rows: NDArray[np.int64]
) -> Generator[Evaluating, None, NDArray[np.float32]]:
    """float32 (n, classes), by the very function that predicts."""
    outputs = []
    trained.task.engine.settle()  # the memory of the earlier phase
    size = max(1, min(trained.task.batch, PIXELS // (classifier.form.height * classifier.form.width)))
    for done, answer in enumerate(classifier.stream(_Stored(trained.data.store, rows), size)):
        if done % trained.task.batch == 0:
            yield Evaluating(side, done, len(rows))
        outputs.append(answer.logits)
    logits = np.array(outputs, np.float32)
    if not np.isfinite(logits).all():
        raise TrainingError(
            f"The network's outputs for the {side} pictures are not finite: the training has diverged. "
            f"Try a smaller --learning-rate than {trained.task.recipe.learning_rate:g}."
        )
    return logits
