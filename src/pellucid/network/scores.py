"""A network's scores -> probabilities -> predicted classes. Imports NumPy only.

With one label a picture the classes share a softmax, and the most probable is predicted. With several labels, each
class has its own sigmoid and threshold. `thresholds` None always means one label.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

Thresholds = tuple[float, ...] | None


def probabilities(logits: NDArray[np.floating], temperature: float, several: bool) -> NDArray[np.float64]:
    """softmax(logits / temperature), or sigmoid with `several` labels: (n, classes) -> float64 (n, classes)."""
    scaled = logits.astype(np.float64) / temperature
    if several:
        return sigmoid(scaled)
    with np.errstate(invalid="ignore"):  # infinite outputs
        powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def log_probabilities(logits: NDArray[np.floating], temperature: float) -> NDArray[np.float64]:
    """log softmax(logits / temperature): (n, classes) -> float64 (n, classes), even where a probability rounds to 0."""
    scaled = logits.astype(np.float64) / temperature
    shifted = scaled - scaled.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def tensor_probabilities(logits: Tensor, temperature: float, several: bool) -> Tensor:
    """`probabilities` in torch, with a gradient: (n, classes) -> float64 (n, classes)."""
    scaled = logits.double() / temperature
    return scaled.sigmoid() if several else scaled.softmax(1)


def sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 / (1 + exp(-x)), without overflow."""
    power = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, power) / (1 + power)


def called(p: NDArray[np.float64], thresholds: Thresholds | NDArray[np.float64]) -> NDArray[np.bool_]:
    """The predicted classes, bool (n, classes): the most probable, or all that reach their thresholds.

    thresholds: (classes,), or a row for each picture, (n, classes).
    """
    if thresholds is not None:
        return p >= np.asarray(thresholds)
    best = np.zeros(p.shape, bool)
    best[np.arange(len(p)), p.argmax(axis=1)] = True
    return best


def names(classes: tuple[str, ...], p: NDArray[np.float64], thresholds: Thresholds) -> tuple[str, ...]:
    """The names of one picture's predicted classes, p (classes,), the most probable first."""
    (chosen,) = called(p[None], thresholds)
    return tuple(classes[index] for index in np.argsort(-p, kind="stable") if chosen[index])
