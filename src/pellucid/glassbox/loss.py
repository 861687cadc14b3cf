"""The loss that a trace ends in: PyTorch's function and its declaration side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from pellucid.glassbox.declaration import Op, Shape
from pellucid.glassbox.ops import losses

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Loss:
    """`weights`: one for each class, or None. Smoothing and weights are of the cross-entropy only.

    "difference" is no loss: the logit of the label minus that of class `against`, for asking what made the difference.
    """

    kind: Literal["cross_entropy", "mse", "difference"] = "cross_entropy"
    label_smoothing: float = 0.0
    weights: tuple[float, ...] | None = None
    against: int | None = None

    def of(self, logits: Tensor, labels: Tensor) -> Tensor:
        """logits (N, K), labels int64 (N,) -> scalar. "mse" is that of the probabilities, over classes (Brier 1950)."""
        import torch.nn.functional as F

        if self.kind == "difference":
            return (logits.gather(1, labels[:, None])[:, 0] - logits[:, self.against]).sum()
        if self.kind == "mse":
            return F.mse_loss(logits.softmax(1), F.one_hot(labels, logits.shape[1]).to(logits.dtype))
        weights = None if self.weights is None else logits.new_tensor(self.weights)
        return F.cross_entropy(logits, labels, weights, label_smoothing=self.label_smoothing)

    def declaration(self, logits: Shape, labels: list[int]) -> Op:
        if self.kind == "difference":
            assert self.against is not None
            return losses.difference(logits, labels, self.against)
        if self.kind == "mse":
            return losses.brier(logits, labels)
        weights = None if self.weights is None else np.array(self.weights)
        return losses.cross_entropy(logits, labels, self.label_smoothing, weights)


CROSS_ENTROPY = Loss()
