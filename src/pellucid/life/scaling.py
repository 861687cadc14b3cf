"""How far an optimizer moves a weight for each unit of gradient: what turns a gradient's parts into movements.

A gradient of step s acts in this step, and through momentum or moments in all later ones. In all it moves the weights
by -reach(s) * scale * gradient, where the reach is a sum over the learning rates of step s and of all that follow:

* SGD (Sutskever et al. 2013, "On the importance of initialization and momentum in deep learning", equations 1 to 4):
  the scale is 1, and the reach is the sum over t >= s of rate(t) * momentum^(t - s); in Nesterov's form rate(s) plus
  momentum times that. With a constant rate this is about rate / (1 - momentum).
* RMSprop: the scale is 1 / (sqrt(v) + ε) of step s, with which the gradient enters the velocity. The same reach.
* Adam, AdamW (Kingma & Ba 2015, "Adam", algorithm 1): the reach is the sum over t >= s of
  rate(t) * (1 - β1) * β1^(t - s) / (1 - β1^t), about one rate. The scale is 1 / (sqrt(v̂) + ε), and here is an estimate:
  each later step divides by a v̂ of its own, and v̂ of step s stands for it.

So the movements of all gradients add up to that of the weights, exactly for SGD and RMSprop. For one weight, updates.py
has every step's denominator, and is exact for Adam too. Here all weights are followed at once, step by step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pellucid.life import updates


@dataclass(frozen=True)
class Movement:
    """Of one weight tensor, in its shape: by each unit of a step's gradient, and by weight decay; None without any."""

    gradient: Tensor
    decay: Tensor | None


class Scaling:
    """For one weight tensor, through a training with the learning rates `rates`, one for each step."""

    def __init__(self, optimizer: torch.optim.Optimizer, weight: Tensor, rates: Sequence[float]) -> None:
        self._group = updates.group_of(optimizer, weight)
        self._optimizer, self._weight = optimizer, weight
        self._rates = np.array(rates) * self._group.get("factor", 1.0)
        self._reach = _reach(self._group, self._rates)

    def of(self, step: int, before: Tensor) -> Movement:
        """The movement by the last step that was made, `step`, counted from 1. `before`: the weights it began with."""
        group, reach = self._group, float(self._reach[step - 1])
        each = scale(group, self._optimizer.state.get(self._weight, {}))
        gradient = torch.full_like(before, -reach) if each is None else each.mul_(-reach)
        if not group["weight_decay"]:
            return Movement(gradient, None)
        if group.get("decoupled_weight_decay"):  # AdamW's is no part of the gradient, and acts at once
            return Movement(gradient, -float(self._rates[step - 1]) * group["weight_decay"] * before)
        return Movement(gradient, group["weight_decay"] * before * gradient)


def scale(group: Mapping[str, Any], state: Mapping[str, Any]) -> Tensor | None:
    """The scale after a step, as above, from the optimizer's `state` for a weight tensor; None for 1, as of SGD."""
    if "exp_avg_sq" in state:
        correction = 1 - group["betas"][1] ** float(state["step"])
        return (state["exp_avg_sq"] / correction).sqrt_().add_(group["eps"]).reciprocal_()  # type: ignore[no-any-return]
    if "square_avg" in state:
        return state["square_avg"].sqrt().add_(group["eps"]).reciprocal_()  # type: ignore[no-any-return]
    return None


def at_a_constant_rate(group: Mapping[str, Any], state: Mapping[str, Any]) -> float | Tensor:
    """Scale times reach for each unit of a rate that stays: the scale over 1 - momentum; of Adam the scale itself."""
    each, reach = scale(group, state), 1 / (1 - group.get("momentum", 0.0))
    return reach if each is None else each * reach


def is_exact(optimizer: torch.optim.Optimizer) -> bool:
    """Whether the movements of all gradients and of the decay add up to that of the weights."""
    return all(each.get("betas", (0.0,))[0] == 0 for each in optimizer.param_groups)


def _reach(group: dict[str, Any], rates: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each step's gradient, (steps,)."""
    if "betas" in group:
        beta = group["betas"][0]
        return updates.sums_behind(rates * (1 - beta) / (1 - beta ** np.arange(1, len(rates) + 1)), beta)
    momentum = group["momentum"]
    reach = updates.sums_behind(rates, momentum)
    return rates + momentum * reach if group.get("nesterov") else reach
