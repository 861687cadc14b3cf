"""Forward and backward passes of a step: its losses, and the gradients in the parameters' `grad`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pellucid.network.loss import mean_loss
from pellucid.runtime.draws import drawing
from pellucid.training import forward, targets

if TYPE_CHECKING:
    import torch

    from pellucid.training.forward import Through
    from pellucid.training.loop import State, Task
    from pellucid.training.team.exchange import Exchange


def losses(
    task: Task,
    state: State,
    rows: NDArray[np.int64],
    there: NDArray[np.bool_] | None,
    seed: int,
    through: Through | None = None,
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Forward and backward, part by part: each part's share of the mean loss, and how many were right.

    `there`: which rows are trained on; None for all. In a team these are the losses of this process's share, and the
    gradients are those of all processes. `through`: instead of the state's exchange.
    """
    import torch

    recipe, generator = task.recipe, torch.Generator().manual_seed(seed)
    count = len(rows) if there is None else int(there.sum())
    shares, right = [], []
    parts = forward.parts(task, state.module, rows)
    for number, part in enumerate(parts, 1):
        stays = None if there is None else there[np.isin(rows, part)]
        if not task.team.alone:
            stays = task.team.share(np.ones(len(part), np.bool_) if stays is None else stays)
        if stays is not None and not stays.any():
            continue
        trained = part if stays is None else part[stays]
        labels = task.engine.send(task.labels[trained])
        if state.exchange is not None:
            through = state.exchange.through(last=number == len(parts))
        logits = forward.logits(task, state.module, task.images.batch(trained), generator, stays, through)
        loss = mean_loss(recipe.loss, logits, labels, recipe.label_smoothing, task.weights) * (len(trained) / count)
        task.team.backward(loss)
        shares.append(loss.detach())
        right.append(targets.right(logits.detach(), labels))
    return shares, right


def exchange(task: Task, state: State, rows: NDArray[np.int64], seed: int) -> Exchange:
    """The exchange of the team's gradients for the state's network, tried on the rows of a step."""
    from pellucid.training.team import exchange

    def trial(through: Through) -> None:
        with drawing(seed, task.engine.device):
            losses(task, state, rows, None, seed, through)

    return exchange.of(state.module, trial)
