"""The targets of pictures: one class each, or any number of labels. Only this module distinguishes the two.

Targets are int64 (N,), the class of each picture, or bool (N, classes), True for each of its labels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pellucid.network.scores import Thresholds, names
from pellucid.pictures.catalog import Catalog
from pellucid.texts import LABELS_BETWEEN
from pellucid.training import evaluate, several
from pellucid.training.evaluate import Metrics

if TYPE_CHECKING:
    from torch import Tensor

Targets = NDArray[Any]  # int64 or bool, as above


class Fitted(NamedTuple):
    """Choices on validation with the final weights: see evaluate.temperature and several.thresholds.

    If the models of several folds judged the pictures, each picture has a row of thresholds.
    """

    temperature: float
    thresholds: Thresholds | NDArray[np.float64]

    def of(self, row: int) -> Thresholds:
        """The thresholds for one picture."""
        if isinstance(self.thresholds, np.ndarray):
            return tuple(self.thresholds[row].tolist())
        return self.thresholds


def of(catalog: Catalog) -> Targets:
    """The targets of a catalog's pictures, in their order."""
    pictures = catalog.pictures
    if not catalog.several:
        return pictures.labels.astype(np.int64)
    targets = np.zeros((len(pictures), len(catalog.classes)), bool)
    labelled = np.flatnonzero(pictures.labels >= 0)
    targets[labelled, pictures.labels[labelled]] = True
    targets[np.repeat(np.arange(len(pictures)), np.diff(pictures.also_ends)), pictures.also] = True
    return targets


def read(labels: str, classes: tuple[str, ...], several: bool) -> int | NDArray[np.bool_]:
    """The target of one picture from its column in split.csv: a class, or with `several` labels with | between them.

    Raises ValueError if a name is not a class.
    """
    if not several:
        return classes.index(labels)
    target = np.zeros(len(classes), bool)
    target[[classes.index(name) for name in labels.split(LABELS_BETWEEN) if name]] = True
    return target


def counts(targets: Targets, classes: int) -> list[int]:
    """How many pictures have each class."""
    if targets.ndim == 2:
        return targets.sum(axis=0).tolist()
    return np.bincount(targets, minlength=classes).tolist()


def lacking(targets: Targets, classes: int) -> tuple[int, ...]:
    """The classes that none of the pictures has."""
    return tuple(label for label, count in enumerate(counts(targets, classes)) if not count)


def differ(targets: Targets, pairs: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which pairs of rows (P, 2) differ in class or labels, (P,)."""
    apart = targets[pairs[:, 0]] != targets[pairs[:, 1]]
    return apart.any(axis=1) if targets.ndim == 2 else apart


def right(logits: Tensor, targets: Tensor) -> Tensor:
    """How many pictures are right: by the largest logit; with several labels, all of them, each against 1/2."""
    if targets.ndim == 1:
        return (logits.argmax(1) == targets).sum()
    return ((logits > 0) == targets).all(1).sum()


def losses(logits: NDArray[np.float32], targets: Targets, temperature: float = 1.0) -> NDArray[np.float64]:
    """Cross-entropy of each picture in nats, (n,); with several labels the mean over them."""
    return (several if targets.ndim == 2 else evaluate).losses(logits, targets, temperature)


def weighted(losses: NDArray[np.float64], weights: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """Losses (n,) times the pictures' weights, scaled to average 1: their mean is a weighted mean."""
    return losses if weights is None else losses * weights / weights.mean()


def accuracy(logits: NDArray[np.float32], targets: Targets) -> float:
    """The fraction of pictures that are right; with several labels, all of them, each against 1/2."""
    if targets.ndim == 2:
        return float(((logits > 0) == targets).all(axis=1).mean())
    return float((logits.argmax(axis=1) == targets).mean())


def fitted(logits: NDArray[np.float32], targets: Targets) -> Fitted:
    """The temperature, and with several labels a threshold for each; without pictures 1 and 1/2.

    The temperature stays 1 unless another is better on these pictures by more than a standard error of the difference:
    fitted to few pictures, it may calibrate others worse (docs/why/transfer.md).
    """
    temperature = (several if targets.ndim == 2 else evaluate).temperature(logits, targets)
    if not evaluate.surely_less(losses(logits, targets, temperature), losses(logits, targets)):
        temperature = 1.0
    if targets.ndim == 2:
        return Fitted(temperature, several.thresholds(several.probabilities(logits, temperature), targets))
    return Fitted(temperature, None)


def measure(
    side: str, logits: NDArray[np.float32], targets: Targets, classes: tuple[str, ...], chosen: Fitted
) -> Metrics:
    """Metrics of logits float32 (n, classes) against targets. Raises CatalogError if n is 0."""
    if chosen.thresholds is not None:
        return several.measure(side, logits, targets, classes, chosen.temperature, chosen.thresholds)
    return evaluate.measure(side, logits, targets, classes, chosen.temperature)


def mistakes(
    p: NDArray[np.float64], targets: Targets, chosen: Fitted, most: int
) -> list[evaluate.Mistake] | list[several.Mistake]:
    """The mistakes, the worst first, from calibrated probabilities (n, classes)."""
    if chosen.thresholds is not None:
        return several.mistakes(p, targets, chosen.thresholds, most)
    return evaluate.mistakes(p, targets, most)


def described(
    mistake: evaluate.Mistake | several.Mistake,
    p: NDArray[np.float64],
    targets: Targets,
    classes: tuple[str, ...],
    chosen: Fitted,
) -> dict[str, Any]:
    """A mistake for metrics.json, without the picture's path."""
    if isinstance(mistake, evaluate.Mistake):
        return {
            "label": classes[mistake.label],
            "label_probability": mistake.label_probability,
            "predicted": classes[mistake.predicted],
            "predicted_probability": mistake.predicted_probability,
        }
    return {
        "labels": [classes[label] for label in np.flatnonzero(targets[mistake.row])],
        "called": list(names(classes, p[mistake.row], chosen.of(mistake.row))),
        "worst": classes[mistake.worst],
        "worst_probability": mistake.probability,
    }
