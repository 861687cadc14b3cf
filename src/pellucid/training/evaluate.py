"""Honest figures: accuracy with its interval, each class, confusion, calibration, the mistakes.

Plain arithmetic on logits and labels, from any source.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import CatalogError
from pellucid.network import scores

BINS = 10


@dataclass(frozen=True)
class ClassMetrics:
    """The figures of one class.

    Precision: of the pictures predicted as it, the fraction that is. Recall: of its pictures, the fraction predicted as
    it. None if the divisor is 0. `f1` is their harmonic mean.
    """

    name: str
    pictures: int
    precision: float | None
    recall: float | None
    f1: float | None
    average_precision: float | None = None
    """For several labels a picture: see several.py."""
    threshold: float | None = None
    """For several labels a picture: the least probability at which the label is assigned."""
    missed: int | None = None
    """With several labels a picture: how many have the label and do not get it."""
    wrong: int | None = None
    """With several labels a picture: how many get the label and do not have it."""


@dataclass(frozen=True)
class Bin:
    """Pictures whose top probability is in one tenth: their mean probability and how many of them were right."""

    low: float
    pictures: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True)
class Calibration:
    """Expected calibration error (Guo et al. 2017, eq. 3, ten bins) and its bins."""

    error: float
    bins: tuple[Bin, ...]


@dataclass(frozen=True)
class Metrics:
    """The figures of a classifier on one side of the split, or on one folder."""

    side: str
    pictures: int
    correct: int
    accuracy: float
    interval: tuple[float, float]  # 95 %
    balanced_accuracy: float | None  # the mean recall of the classes that have pictures
    balanced_interval: tuple[float, float] | None  # 95 %
    loss: float  # mean cross-entropy in nats, after temperature scaling
    loss_uncalibrated: float
    calibration: Calibration
    calibration_before: Calibration
    classes: tuple[ClassMetrics, ...]
    confusion: tuple[tuple[int, ...], ...]  # [true][predicted]; empty for several labels
    several: bool = False
    """Whether a picture may have several labels. Then `accuracy` is the exact match, the fraction with exactly the
    right labels, and macro F1 (the mean over labels) and micro F1 (over all decisions) replace the balanced accuracy.
    """
    macro_f1: float | None = None
    macro_interval: tuple[float, float] | None = None
    """95 %, of a cross-validation; one side alone has none."""
    micro_f1: float | None = None
    mean_average_precision: float | None = None

    @property
    def lacking(self) -> tuple[str, ...]:
        """The classes without a picture: the accuracy does not cover them and must not be quoted."""
        return tuple(item.name for item in self.classes if not item.pictures)

    def as_json(self) -> dict[str, Any]:
        """All fields with a value, and `lacking`, for JSON."""
        content = {**asdict(self), "lacking": list(self.lacking)}
        for name in _SEVERAL if not self.several else ("balanced_accuracy", "balanced_interval"):
            del content[name]
        if self.several and self.macro_interval is None:
            del content["macro_interval"]
        if not self.several:
            content["classes"] = [{key: item[key] for key in _PLAIN} for item in content["classes"]]
        return content


_SEVERAL = ("several", "macro_f1", "macro_interval", "micro_f1", "mean_average_precision")
_PLAIN = ("name", "pictures", "precision", "recall", "f1")


@dataclass(frozen=True)
class Mistake:
    """A misclassified picture: its row among those evaluated, and the probabilities of both classes."""

    row: int
    label: int
    predicted: int
    label_probability: float
    predicted_probability: float


def measure(
    side: str, logits: NDArray[np.float32], labels: NDArray[np.int64], classes: tuple[str, ...], temperature: float
) -> Metrics:
    """Metrics of logits float32 (n, classes) against labels int64 (n,). Raises CatalogError if n is 0."""
    if not len(labels):
        raise CatalogError(f"There is no picture to evaluate ({side}).")
    predicted = logits.argmax(axis=1)
    correct = int((predicted == labels).sum())
    confusion = np.zeros((len(classes), len(classes)), np.int64)
    np.add.at(confusion, (labels, predicted), 1)
    balanced, balanced_interval = balanced_accuracy(confusion.diagonal().tolist(), confusion.sum(axis=1).tolist())
    return Metrics(
        side=side,
        pictures=len(labels),
        correct=correct,
        accuracy=correct / len(labels),
        interval=interval(correct, len(labels)),
        balanced_accuracy=balanced,
        balanced_interval=balanced_interval,
        loss=cross_entropy(logits, labels, temperature),
        loss_uncalibrated=cross_entropy(logits, labels, 1.0),
        calibration=calibration(probabilities(logits, temperature), labels),
        calibration_before=calibration(probabilities(logits, 1.0), labels),
        classes=tuple(_class_metrics(name, index, confusion) for index, name in enumerate(classes)),
        confusion=tuple(tuple(row) for row in confusion.tolist()),
    )


def interval(correct: float, total: float) -> tuple[float, float]:
    """95 % interval of a proportion (Wilson 1927, the score interval): valid also at 0 %, 100 % and few pictures.

    The numbers need not be whole: for dependent pictures, `total` is their effective number.
    """
    z = 1.959963984540054
    share = correct / total
    centre = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return (0.0 if correct == 0 else centre - half, 1.0 if correct == total else centre + half)


def balanced_accuracy(hits: Sequence[int], pictures: Sequence[int]) -> tuple[float, tuple[float, float]]:
    """(the mean of the classes' recalls, its 95 % interval), from each class's hits and pictures, some above 0.

    A class without pictures does not count. The interval follows from the recalls' Wilson intervals: for the lower and
    for the upper end, their squared distances from the recall are summed and divided by the squared number of classes
    (MOVER, Zou & Donner 2008, eq. 3, for a mean of independent proportions).
    """
    there = [(hit, count) for hit, count in zip(hits, pictures, strict=True) if count]
    recalls = [hit / count for hit, count in there]
    ends = [interval(hit, count) for hit, count in there]
    mean = sum(recalls) / len(there)
    below = math.sqrt(sum((recall - low) ** 2 for recall, (low, _) in zip(recalls, ends, strict=True))) / len(there)
    above = math.sqrt(sum((high - recall) ** 2 for recall, (_, high) in zip(recalls, ends, strict=True))) / len(there)
    return mean, (max(0.0, mean - below), min(1.0, mean + above))


def probabilities(logits: NDArray[np.float32], temperature: float) -> NDArray[np.float64]:
    """softmax(logits / temperature), float64 (n, classes), rows sum to 1."""
    return scores.probabilities(logits, temperature, several=False)


def losses(logits: NDArray[np.float32], labels: NDArray[np.int64], temperature: float) -> NDArray[np.float64]:
    """-log p(label) of each picture, in nats, (n,)."""
    return -scores.log_probabilities(logits, temperature)[np.arange(len(labels)), labels]


def cross_entropy(logits: NDArray[np.float32], labels: NDArray[np.int64], temperature: float) -> float:
    """Mean of -log p(label), in nats."""
    return float(losses(logits, labels, temperature).mean()) + 0.0  # avoids -0


def temperature(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """The temperature T > 0 for which softmax(logits / T) has the least cross-entropy (Guo et al. 2017, section 4.2).

    The targets spread one picture's weight over all classes, (n * one-hot + 1 / classes) / (n + 1), in the spirit of
    Platt (1999, section 2.2): otherwise twenty correct pictures would count as certainty. The cross-entropy is convex
    in 1/T; its derivative, mean logit under p minus mean logit under the target, is bisected between T = 1/20 and 20. 1
    if there are no pictures.
    """
    if not len(labels):
        return 1.0
    count, wide = len(labels), logits.astype(np.float64)
    target = (count * wide[np.arange(count), labels] + wide.mean(axis=1)) / (count + 1)

    def slope(inverse: float) -> float:
        return float(((probabilities(logits, 1 / inverse) * wide).sum(axis=1) - target).mean())

    return best_temperature(slope)


def surely_less(losses: NDArray[np.float64], others: NDArray[np.float64]) -> bool:
    """Whether `losses` are less than `others` by more than a standard error of the mean difference.

    Both (n,), for the same pictures in the same order. One picture is never enough.
    """
    gains = others - losses
    return len(gains) > 1 and bool(gains.mean() > gains.std(ddof=1) / math.sqrt(len(gains)))


def best_temperature(slope: Callable[[float], float]) -> float:
    """The temperature T from 1/20 to 20 with the least loss, whose `slope` at 1/T rises with 1/T: bisected."""
    low, high = 1 / 20, 20.0
    if slope(low) >= 0:
        return 1 / low
    if slope(high) <= 0:
        return 1 / high
    for _ in range(60):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return 1 / math.sqrt(low * high)


def calibration(p: NDArray[np.float64], labels: NDArray[np.int64]) -> Calibration:
    """Reliability of the top probability: p (n, classes), labels (n,)."""
    return binned(p.max(axis=1), p.argmax(axis=1) == labels)


def binned(stated: NDArray[np.float64], right: NDArray[np.bool_]) -> Calibration:
    """Calibration from stated probabilities and whether each came true; both of the same shape."""
    number = np.minimum((stated * BINS).astype(int), BINS - 1)
    bins, error = [], 0.0
    for index in range(BINS):
        inside = number == index
        count = int(inside.sum())
        confidence = float(stated[inside].mean()) if count else None
        accuracy = float(right[inside].mean()) if count else None
        bins.append(Bin(index / BINS, count, confidence, accuracy))
        if confidence is not None and accuracy is not None:
            error += count / stated.size * abs(accuracy - confidence)
    return Calibration(error, tuple(bins))


def mistakes(p: NDArray[np.float64], labels: NDArray[np.int64], most: int) -> list[Mistake]:
    """The misclassified pictures, those with the least probability of the true class first."""
    predicted = p.argmax(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    truth = p[wrong, labels[wrong]]
    rows = wrong[np.lexsort((wrong, truth))][:most]
    return [
        Mistake(int(r), int(labels[r]), int(predicted[r]), float(p[r, labels[r]]), float(p[r, predicted[r]]))
        for r in rows
    ]


def _class_metrics(name: str, index: int, confusion: NDArray[np.int64]) -> ClassMetrics:
    hits, called, real = int(confusion[index, index]), int(confusion[:, index].sum()), int(confusion[index].sum())
    return ClassMetrics(
        name,
        real,
        hits / called if called else None,
        hits / real if real else None,
        2 * hits / (called + real) if called + real else None,
    )
