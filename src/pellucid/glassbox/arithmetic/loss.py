"""The loss at the end of a trace: PyTorch's function and its declaration side by side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import TraceError
from pellucid.glassbox.arithmetic.declaration import Op, Shape
from pellucid.glassbox.arithmetic.ops import binary, losses
from pellucid.network.loss import mean_loss

if TYPE_CHECKING:
    from torch import Tensor


Kind = Literal["cross_entropy", "mse", "binary_cross_entropy", "difference"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Loss:
    """The loss that `explain` applies to a module's scores.

    `weights`: one per class, or None, as in PyTorch: the sum is divided by that of the labels' weights. For one
    picture, a weight then only affects the spread of the smoothing. `importance`: one per class, or None; a factor for
    the pictures of the class, without a division, as in training with class weights. Smoothing and `weights` apply to
    the cross-entropy only.

    "binary_cross_entropy" takes each score by itself, as the logit of its class against all others; a module with one
    score has two classes, 0 and 1, and always uses it. "difference" is not a loss: it is the logit of the label minus
    that of class `against`, to ask what made the difference.
    """

    kind: Kind = "cross_entropy"
    label_smoothing: float = 0.0
    weights: tuple[float, ...] | None = None
    against: int | None = None
    probabilities: bool = False
    """For the binary cross-entropy: the scores already are probabilities, not logits."""
    importance: tuple[float, ...] | None = None

    def check(self, classes: int, label: int) -> None:
        """Raises TraceError if this cannot be the loss for this many classes, or against this one."""
        if self.kind not in KINDS:
            raise TraceError(f"There is no loss {self.kind!r}; there are {', '.join(KINDS)}.")
        if not 0 <= self.label_smoothing <= 1:
            raise TraceError(f"label_smoothing is {self.label_smoothing}; it must be from 0 to 1.")
        if self.weights is not None and len(self.weights) != classes:
            raise TraceError(f"The loss has {len(self.weights):,} class weights, and there are {classes:,} classes.")
        if self.weights is not None and not self.weights[label] > 0:
            raise TraceError(f"The weight of class {label}, the label, is {self.weights[label]}; it must be above 0.")
        if self.importance is not None and len(self.importance) != classes:
            count = f"{len(self.importance):,} numbers of importance"
            raise TraceError(f"The loss has {count}, but there are {classes:,} classes.")
        if self.importance is not None and (self.weights is not None or self.kind == "difference"):
            other = "class weights" if self.weights is not None else "the difference of two logits"
            raise TraceError(f"The loss has both importance and {other}; use one of the two.")
        if self.kind == "difference" and (self.against is None or not 0 <= self.against < classes):
            raise TraceError(f"The class to compare with is {self.against}; the classes are 0 to {classes - 1}.")

    def of(self, logits: Tensor, labels: Tensor) -> Tensor:
        """logits (N, K), labels int64 (N,) -> scalar. "mse" takes the probabilities, averaged over classes (Brier
        1950).

        For several labels a picture, with "binary_cross_entropy": 1 for each of its labels and 0 for the others, (N,
        K).
        """
        return mean_loss(
            self.kind,
            logits,
            labels,
            self.label_smoothing,
            self.importance,
            weights=self.weights,
            probabilities=self.probabilities,
            against=self.against,
        )

    def declaration(self, logits: Shape, labels: list[int] | NDArray[np.float64]) -> Op:
        """The loss as data. For several labels a picture, 1 for each of its labels and 0 for the others, (N, K)."""
        if isinstance(labels, np.ndarray):
            return binary.binary_cross_entropy(logits, labels)
        if self.kind == "difference":
            assert self.against is not None
            return losses.difference(logits, labels, self.against)
        importance = None if self.importance is None else np.array(self.importance)
        if self.kind == "mse":
            return losses.brier(logits, labels, importance)
        if self.kind == "binary_cross_entropy":
            return binary.binary_cross_entropy(logits, labels, self.probabilities, importance)
        weights = None if self.weights is None else np.array(self.weights)
        return losses.cross_entropy(logits, labels, self.label_smoothing, weights, importance)


@dataclass(frozen=True)
class Own:
    """Any loss of the user's: scores (1, K) -> scalar. Its operators are traced like the module's."""

    of: Callable[[Tensor], Tensor]
    kind: str = "own"


CROSS_ENTROPY = Loss()


def chosen(loss: Any) -> Loss | Own:
    """The loss that `explain` uses. Raises TraceError if it is not a loss."""
    if isinstance(loss, Loss | Own):
        return loss
    if callable(loss):
        return Own(loss)  # type: ignore[arg-type]
    raise TraceError(
        f"The loss is {loss!r}; it must be a pellucid.Loss, such as Loss('mse'), or a function of the scores "
        "(1, classes) that returns one number."
    )
