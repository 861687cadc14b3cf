"""The loss: training minimises it, and a trace ends in it. PyTorch's arithmetic."""

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
    importance: Sequence[float] | None = None,
    *,
    weights: Sequence[float] | None = None,
    probabilities: bool = False,
    against: int | None = None,
) -> Tensor:
    """Mean loss of a batch: logits float (n, classes) -> scalar.

    * targets: the class of each picture, int64 (n,); for "binary_cross_entropy" also 1 for each label that a picture
      has and 0 for the others, (n, classes)
    * "cross_entropy": of softmax(logits); smoothing as in Szegedy et al. 2016, eq. 3
    * "mse": the mean over classes of (softmax probability - one-hot target) squared (Brier 1950)
    * "binary_cross_entropy": of sigmoid(logits), also averaged over classes; a single logit has the classes 0 and 1.
      `probabilities`: the logits already are probabilities.
    * "difference": not a loss but the logit of the target minus that of class `against`, summed over the batch
    * importance: one factor per class. It multiplies a picture's loss, and the sum is divided by n.
    * weights: one per class, for the cross-entropy only: PyTorch's `weight`, which divides by the sum of the batch's
      weights instead. That sum differs between batches. With n = 1 it equals the label's own weight, which cancels.
    """
    import torch.nn.functional as F

    if kind == "difference":
        return (logits.gather(1, targets[:, None])[:, 0] - logits[:, against]).sum()
    if importance is not None:
        return each_loss(kind, logits, targets, label_smoothing, importance, probabilities=probabilities).mean()
    if kind == "binary_cross_entropy":
        measure = F.binary_cross_entropy if probabilities else F.binary_cross_entropy_with_logits
        return measure(logits, _per_class(targets, logits.shape[1]).to(logits.dtype))
    if kind == "mse":
        return F.mse_loss(logits.softmax(1), F.one_hot(targets, logits.shape[1]).to(logits.dtype))
    divided = None if weights is None else logits.new_tensor(weights)
    return F.cross_entropy(logits, targets, divided, label_smoothing=label_smoothing)


def each_loss(
    kind: str,
    logits: Tensor,
    targets: Tensor,
    label_smoothing: float = 0.0,
    importance: Sequence[float] | None = None,
    *,
    probabilities: bool = False,
) -> Tensor:
    """The loss of each picture, (n,), as in `mean_loss`, which is their mean. Not for "difference"."""
    import torch.nn.functional as F

    if kind == "binary_cross_entropy":
        wanted = _per_class(targets, logits.shape[1]).to(logits.dtype)
        measure = F.binary_cross_entropy if probabilities else F.binary_cross_entropy_with_logits
        each = measure(logits, wanted, reduction="none").mean(1)
    elif kind == "mse":
        wanted = F.one_hot(targets, logits.shape[1]).to(logits.dtype)
        each = F.mse_loss(logits.softmax(1), wanted, reduction="none").mean(1)
    else:
        each = F.cross_entropy(logits, targets, label_smoothing=label_smoothing, reduction="none")
    return each if importance is None else each * logits.new_tensor(importance)[targets]


def _per_class(targets: Tensor, scores: int) -> Tensor:
    """Targets as 0 or 1 for each score, (n, scores)."""
    import torch.nn.functional as F

    if targets.ndim == 2:
        return targets
    return targets[:, None] if scores == 1 else F.one_hot(targets, scores)
