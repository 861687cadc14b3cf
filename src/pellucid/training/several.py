"""The figures for several labels a picture: each label judged alone, and all of them together.

Plain arithmetic on logits float32 (n, classes) and targets bool (n, classes).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import CatalogError
from pellucid.network import scores
from pellucid.training.evaluate import Calibration, ClassMetrics, Metrics, best_temperature, binned, interval

Targets = NDArray[np.bool_]
Chosen = tuple[float, ...] | NDArray[np.float64]
"""Thresholds, (classes,); or a row for each picture, (n, classes), if several models judged the pictures."""
PULL = 3.0  # pictures with a label: this many weigh as much as the evidence of all labels together (docs/why/labels.md)


def probabilities(logits: NDArray[np.float32], temperature: float) -> NDArray[np.float64]:
    """sigmoid(logits / temperature), float64 (n, classes); a row need not sum to 1."""
    return scores.probabilities(logits, temperature, several=True)


def losses(logits: NDArray[np.float32], targets: Targets, temperature: float) -> NDArray[np.float64]:
    """Mean binary cross-entropy over the labels of each picture, in nats, (n,)."""
    scaled = logits.astype(np.float64) / temperature
    return (np.maximum(scaled, 0) - scaled * targets + np.log1p(np.exp(-np.abs(scaled)))).mean(axis=1)


def cross_entropy(logits: NDArray[np.float32], targets: Targets, temperature: float) -> float:
    """Mean binary cross-entropy over pictures and labels, in nats."""
    return float(losses(logits, targets, temperature).mean())


def temperature(logits: NDArray[np.float32], targets: Targets) -> float:
    """The temperature T > 0 for which sigmoid(logits / T) has the least binary cross-entropy.

    The targets are moved a little away from 0 and 1, (n * t + 1/2) / (n + 1), as in evaluate.temperature. Convex in
    1/T; its derivative is bisected between T = 1/20 and 20. 1 if there are no pictures.
    """
    if not len(targets):
        return 1.0
    wide, count = logits.astype(np.float64), len(targets)
    soft = (count * targets + 0.5) / (count + 1)

    def slope(inverse: float) -> float:
        return float(((scores.sigmoid(wide * inverse) - soft) * wide).mean())

    return best_temperature(slope)


def thresholds(p: NDArray[np.float64], targets: Targets) -> tuple[float, ...]:
    """For each label the least probability at which it is assigned: its best F1, drawn towards the best for all labels.

    In logits, the threshold of a label with n pictures is the weighted mean of its own best one, n times, and of the
    one with the best F1 over all labels together, PULL times: with few pictures the best threshold is mostly chance. A
    label without a picture gets the common threshold; without any label it is 1/2.
    """
    classes = p.shape[1]
    if not targets.any():
        return (0.5,) * classes
    together, labels_thresholds = _logit(best_threshold(p.ravel(), targets.ravel())), []
    for label in range(classes):
        count = int(targets[:, label].sum())
        own = _logit(best_threshold(p[:, label], targets[:, label])) if count else 0.0
        labels_thresholds.append(float(scores.sigmoid(np.array((count * own + PULL * together) / (count + PULL)))))
    return tuple(labels_thresholds)


def best_threshold(p: NDArray[np.float64], has: NDArray[np.bool_]) -> float:
    """The threshold with the largest F1, halfway between two of p (n,); has: bool (n,), not all False."""
    order = np.argsort(-p, kind="stable")
    ranked, hits = p[order], np.cumsum(has[order])
    f1 = 2 * hits / (np.arange(1, len(p) + 1) + hits[-1])
    ends = np.flatnonzero(np.append(ranked[1:] < ranked[:-1], True))  # equal probabilities are assigned together
    last = int(ends[f1[ends].argmax()])
    below = ranked[last + 1] if last + 1 < len(p) else 0.0
    return float((ranked[last] + below) / 2)


def average_precision(p: NDArray[np.float64], has: NDArray[np.bool_]) -> float | None:
    """The precision at each picture that has the label, averaged, the most probable first (Salton & McGill 1983).

    That is the sum of precision times the rise of recall, as in scikit-learn. None if no picture has the label.
    """
    order = np.argsort(-p, kind="stable")
    ranked, hits = p[order], np.cumsum(has[order])
    if not len(p) or not hits[-1]:
        return None
    ends = np.flatnonzero(np.append(ranked[1:] < ranked[:-1], True))
    return float((np.diff(hits[ends], prepend=0) / hits[-1] * hits[ends] / (ends + 1)).sum())


def measure(
    side: str,
    logits: NDArray[np.float32],
    targets: Targets,
    classes: tuple[str, ...],
    temperature: float,
    chosen: Chosen,
) -> Metrics:
    """Metrics under these thresholds; `correct` are the pictures with exactly the right labels. Raises CatalogError.

    If each picture has its own thresholds, the figures of the labels name none.
    """
    if not len(targets):
        raise CatalogError(f"There is no picture to evaluate ({side}).")
    p = probabilities(logits, temperature)
    called = scores.called(p, chosen)
    correct = int((called == targets).all(axis=1).sum())
    stated = chosen if isinstance(chosen, tuple) else (None,) * len(classes)
    rows = zip(classes, p.T, called.T, targets.T, stated, strict=True)
    of_class = tuple(_class_metrics(*row) for row in rows)
    f1s = [each.f1 for each in of_class if each.f1 is not None]
    precisions = [each.average_precision for each in of_class if each.average_precision is not None]
    either = int(called.sum() + targets.sum())
    return Metrics(
        side=side,
        pictures=len(targets),
        correct=correct,
        accuracy=correct / len(targets),
        interval=interval(correct, len(targets)),
        balanced_accuracy=None,
        balanced_interval=None,
        loss=cross_entropy(logits, targets, temperature),
        loss_uncalibrated=cross_entropy(logits, targets, 1.0),
        calibration=calibration(p, targets),
        calibration_before=calibration(probabilities(logits, 1.0), targets),
        classes=of_class,
        confusion=(),
        several=True,
        macro_f1=float(np.mean(f1s)) if f1s else None,
        micro_f1=2 * int((called & targets).sum()) / either if either else None,
        mean_average_precision=float(np.mean(precisions)) if precisions else None,
    )


def macro_interval(called: Targets, targets: Targets, independent: float) -> tuple[float, float]:
    """95 % interval of the macro F1 of labels bool (n, classes) under fixed thresholds.

    With TP of n pictures that have a label or are called so, F1 is 2 q / (1 + q) where q = TP / n, a proportion, and
    its interval follows from Wilson's of q (Lam 2023, arXiv 2309.14621). The labels' intervals are combined as in
    evaluate.balanced_accuracy (MOVER), as if labels were independent. `independent`: the effective number of pictures.
    """
    hits, either = (called & targets).sum(axis=0), (called | targets).sum(axis=0)
    share = independent / len(targets)
    pairs = [(hit * share, count * share) for hit, count in zip(hits.tolist(), either.tolist(), strict=True) if count]
    if not pairs:
        return 0.0, 1.0
    middles = [_f1(hit / count) for hit, count in pairs]
    ends = [interval(*pair) for pair in pairs]
    below = math.hypot(*(middle - _f1(low) for middle, (low, _) in zip(middles, ends, strict=True))) / len(pairs)
    above = math.hypot(*(_f1(high) - middle for middle, (_, high) in zip(middles, ends, strict=True))) / len(pairs)
    mean = sum(middles) / len(pairs)
    return max(0.0, mean - below), min(1.0, mean + above)


def _f1(share: float) -> float:
    """F1 from the hits among the pictures that have a label or are called so."""
    return 2 * share / (1 + share)


def calibration(p: NDArray[np.float64], targets: Targets) -> Calibration:
    """Of the labels with a probability of about p, the fraction that was right; each label of each picture counts.

    `pictures` of a bin are pairs of a picture and a label.
    """
    return binned(p, targets)


@dataclass(frozen=True)
class Mistake:
    """A picture with at least one wrong label: its row among those evaluated, and its worst label."""

    row: int
    worst: int
    probability: float
    """Of that label: low if the picture has it, high if it does not."""


def mistakes(p: NDArray[np.float64], targets: Targets, chosen: Chosen, most: int) -> list[Mistake]:
    """The pictures without exactly their labels, those with the label furthest from the truth first."""
    amiss = np.where(scores.called(p, chosen) != targets, np.abs(p - targets), -1.0)
    wrong = np.flatnonzero((amiss >= 0).any(axis=1))
    rows = wrong[np.lexsort((wrong, -amiss[wrong].max(axis=1)))][:most]
    return [Mistake(int(r), int(amiss[r].argmax()), float(p[r, amiss[r].argmax()])) for r in rows]


def _class_metrics(
    name: str, p: NDArray[np.float64], called: NDArray[np.bool_], has: NDArray[np.bool_], threshold: float | None
) -> ClassMetrics:
    hits, calls, real = int((called & has).sum()), int(called.sum()), int(has.sum())
    return ClassMetrics(
        name,
        real,
        hits / calls if calls else None,
        hits / real if real else None,
        2 * hits / (calls + real) if calls + real else None,
        average_precision(p, has),
        threshold,
        missed=real - hits,
        wrong=calls - hits,
    )


def _logit(p: float) -> float:
    clipped = min(max(p, 1e-6), 1 - 1e-6)
    return math.log(clipped / (1 - clipped))
