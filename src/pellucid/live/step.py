"""One step of a training by hand, and the numbers around it."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pellucid.training import loop, targets
from pellucid.training.loop import State, Task

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Last:
    """The last step: each parameter before it and its gradient, float32 tensors by name, and the batch's rows.

    `loss` and `correct` are those of the batch before its weights changed. `rate`: the learning rate.
    """

    before: dict[str, torch.Tensor]
    gradient: dict[str, torch.Tensor]
    rows: NDArray[np.int64]
    loss: float
    correct: int
    rate: float
    seconds: float


def make(task: Task, state: State, rows: NDArray[np.int64]) -> Last:
    """Train on these rows by the loop of every training. Raises NotFinite; then no weight has changed."""
    begin, rate = time.perf_counter(), task.recipe.learning_rate
    before = {name: each.detach().clone() for name, each in state.module.named_parameters()}
    loss, correct = loop.train_step(task, state, rows, rate)
    gradient = {name: each.grad for name, each in state.module.named_parameters() if each.grad is not None}
    return Last(before, gradient, rows, loss, correct, rate, time.perf_counter() - begin)


def measured(task: Task, state: State) -> tuple[float | None, float | None]:
    """(loss, accuracy) of the task's validation pictures; None without one. A loss that is not finite is None."""
    if not len(task.validation):
        return None, None
    logits, labels = loop.predict_rows(task, state.module, task.validation), task.labels[task.validation]
    if not np.isfinite(logits).all():
        return None, None
    weights = None if task.weights is None else np.array(task.weights)[labels]
    loss = float(targets.weighted(targets.losses(logits, labels), weights).mean()) + 0.0  # avoids -0
    return loss if math.isfinite(loss) else None, targets.accuracy(logits, labels)
