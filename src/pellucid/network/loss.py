"""The losses that training makes small and that a trace ends in, as PyTorch computes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def mean_loss(
    kind: str,
    logits: Tensor,
    targets: Tensor,
    label_smoothing: float = 0.0,
    weights: Sequence[float] | None = None,
) -> Tensor:
    """Mean loss of a batch: logits float (n, classes) -> scalar.

    * targets: the class of each picture, int64 (n,); for "binary_cross_entropy" also 1 for each label that a picture
      has and 0 for the others, (n, classes)
    * "cross_entropy": of softmax(logits); smoothing as in Szegedy et al. 2016, eq. 3
    * "mse": the mean over classes of (softmax probability - one-hot target) squared (Brier 1950)
    * "binary_cross_entropy": of sigmoid(logits), averaged over classes too
    * weights: one for each class. A picture's loss counts so many times, and the sum is divided by n. PyTorch's
      `weight` divides by the sum of the batch's weights instead: that sum differs from batch to batch, and is
      the label's own weight where n is 1, so that a picture alone would not show its weight.
    """
    import torch.nn.functional as F

    if kind == "binary_cross_entropy":
        wanted = targets if targets.ndim == 2 else F.one_hot(targets, logits.shape[1])
        if weights is None:
            return F.binary_cross_entropy_with_logits(logits, wanted.to(logits.dtype))
        each = F.binary_cross_entropy_with_logits(logits, wanted.to(logits.dtype), reduction="none").mean(1)
    elif kind == "mse":
        wanted = F.one_hot(targets, logits.shape[1]).to(logits.dtype)
        if weights is None:
            return F.mse_loss(logits.softmax(1), wanted)
        each = F.mse_loss(logits.softmax(1), wanted, reduction="none").mean(1)
    elif weights is None:
        return F.cross_entropy(logits, targets, label_smoothing=label_smoothing)
    else:
        each = F.cross_entropy(logits, targets, label_smoothing=label_smoothing, reduction="none")
    return (each * logits.new_tensor(weights)[targets]).mean()
