"""The optimizers' updates of one weight as formulas, in float64: to check each step, and to split the sum by gradients.

An update is linear in the gradients once the denominators of Adam and RMSprop are taken as they were. Then

    w_T - w_0  =  sum over t of a_t g_t  +  weight decay  +  momentum from before the first step  +  rounding

where a_t holds what gradient g_t does at step t and, through the momentum, at every later one. With the rate r_t, the
momentum m and B_t = r_t + m B_(t+1), the sum of the rates behind a gradient:

    SGD               a_t = -B_t          with Nesterov momentum  a_t = -(r_t + m B_t)
    Adam, AdamW       a_t = -(1 - b1) D_t,  D_t = k_t + b1 D_(t+1),  k_t = r_t / (1 - b1^t) / (root of the mean square)
    RMSprop           a_t = -B_t / (root of the mean square + epsilon)

The formulas are those of glassbox/arithmetic/ops/optimizers, where their sources stand; here they take whole arrays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

Floats = NDArray[np.float64]
SETTINGS = ("momentum", "nesterov", "dampening", "betas", "eps", "alpha", "weight_decay")
STATES = ("momentum_buffer", "exp_avg", "exp_avg_sq", "square_avg", "step")
"""PyTorch's names of an optimizer's settings, and of what it keeps for each weight."""


@dataclass(frozen=True)
class Rule:
    """An optimizer's rule for one weight: `name` as in a recipe ("sgd", "adam", "adamw", "rmsprop"), and its settings.

    The settings have PyTorch's names; `weight_decay` is that of the weight's group.
    """

    name: str
    settings: Mapping[str, Any]

    @classmethod
    def of(cls, optimizer: torch.optim.Optimizer, parameter: torch.Tensor) -> Rule:
        """The rule of the group that holds `parameter`."""
        group = group_of(optimizer, parameter)
        return cls(type(optimizer).__name__.lower(), {name: group[name] for name in SETTINGS if name in group})

    @property
    def decay(self) -> float:
        return float(self.settings["weight_decay"])

    @property
    def beta(self) -> float:
        """The share of a momentum that stays from step to step."""
        return float(self.settings["betas"][0] if "betas" in self.settings else self.settings["momentum"])


@dataclass(frozen=True)
class Moves:
    """A weight's steps in order, all float64 (T,): its value before each, its gradient and its rate.

    `state`: the optimizer's before each step, by PyTorch's names; zeros where there was none yet.
    """

    before: Floats
    gradients: Floats
    rates: Floats
    state: Mapping[str, Floats]


@dataclass(frozen=True)
class Formula:
    """What the optimizer's formula makes of each step, all (T,).

    * update: what it adds to the weight
    * size: the sum of the absolute terms, which bounds the rounding
    * divisor: of the momentum in `update`; 1 for SGD
    * state: the optimizer's state after the step
    """

    update: Floats
    size: Floats
    divisor: Floats
    state: Mapping[str, Floats]


@dataclass(frozen=True)
class Split:
    """How far a weight moved, linear in its gradients.

    * coefficients: (T,), of each step's gradient, over this step and all later ones
    * decay: the share of weight decay
    * earlier: the share of the momentum from before the first of these steps
    """

    coefficients: Floats
    decay: float
    earlier: float


def group_of(optimizer: torch.optim.Optimizer, parameter: torch.Tensor) -> dict[str, Any]:
    """The optimizer's group that holds `parameter`."""
    return next(group for group in optimizer.param_groups if any(each is parameter for each in group["params"]))


def formula(rule: Rule, moves: Moves) -> Formula:
    """Each step by the rule, from the numbers before it, in float64.

    SGD: Sutskever et al. 2013, eq. 1 to 4, in PyTorch's form. Adam: Kingma & Ba 2015, algorithm 1. AdamW: Loshchilov &
    Hutter 2019, algorithm 2. RMSprop: Tieleman & Hinton 2012, lecture 6.5, with a momentum of the divided gradients.
    """
    settings, before, rates, state = rule.settings, moves.before, moves.rates, moves.state
    pull = rule.decay * before if rule.name != "adamw" else np.zeros_like(before)  # L2: part of the gradient
    gradients, size = moves.gradients + pull, np.abs(moves.gradients) + np.abs(pull)
    if rule.name == "sgd":
        momentum = rule.beta
        if not momentum:
            return Formula(-rates * gradients, rates * size, np.ones_like(rates), {})
        velocity = momentum * state["momentum_buffer"] + gradients
        length = momentum * np.abs(state["momentum_buffer"]) + size
        step = gradients + momentum * velocity if settings["nesterov"] else velocity
        after = {"momentum_buffer": velocity}
        return Formula(-rates * step, rates * (size + length), np.ones_like(rates), after)
    if rule.name == "rmsprop":
        alpha, momentum = float(settings["alpha"]), rule.beta
        square = alpha * state["square_avg"] + (1 - alpha) * gradients**2
        divisor = np.sqrt(square) + settings["eps"]
        velocity = momentum * state["momentum_buffer"] + gradients / divisor
        length = momentum * np.abs(state["momentum_buffer"]) + size / divisor
        after = {"square_avg": square, "momentum_buffer": velocity}
        return Formula(-rates * velocity, rates * length, divisor, after)
    first, second = (float(beta) for beta in settings["betas"])
    count = state["step"] + 1
    mean = first * state["exp_avg"] + (1 - first) * gradients
    square = second * state["exp_avg_sq"] + (1 - second) * gradients**2
    divisor = (1 - first**count) * (np.sqrt(square / (1 - second**count)) + settings["eps"])
    length = first * np.abs(state["exp_avg"]) + (1 - first) * size
    decay = -rates * rule.decay * before if rule.name == "adamw" else np.zeros_like(before)
    after = {"exp_avg": mean, "exp_avg_sq": square, "step": count}
    return Formula(decay - rates * mean / divisor, rates * length / divisor + np.abs(decay), divisor, after)


def split(rule: Rule, moves: Moves, made: Formula) -> Split:
    """The sum of the updates as one coefficient for each gradient, as above. `made`: of the same steps."""
    beta, rates = rule.beta, moves.rates
    adam = rule.name in ("adam", "adamw")
    behind = sums_behind(rates / made.divisor if adam else rates, beta)
    match rule.name:
        case "sgd":
            nesterov = bool(rule.settings["nesterov"])
            coefficients = -(rates + beta * behind) if nesterov else -behind
            carried, name = beta**2 if nesterov else beta, "momentum_buffer"
        case "rmsprop":
            coefficients, carried, name = -behind / made.divisor, beta, "momentum_buffer"
        case _:
            coefficients, carried, name = -(1 - beta) * behind, beta, "exp_avg"
    remembered = moves.state.get(name)
    earlier = -carried * behind[0] * remembered[0] if len(rates) and remembered is not None else 0.0
    pull = -rates * rule.decay * moves.before if rule.name == "adamw" else coefficients * rule.decay * moves.before
    return Split(coefficients, float(pull.sum()), float(earlier))


def at_once(rule: Rule, moves: Moves, made: Formula) -> Floats:
    """What a gradient of 1 adds to the weight in its own step, (T,): the first term of its coefficient."""
    beta, rates = rule.beta, moves.rates
    match rule.name:
        case "sgd":
            return -rates * (1 + beta) if rule.settings["nesterov"] else -rates
        case "rmsprop":
            return -rates / made.divisor
    return -rates * (1 - beta) / made.divisor


def sums_behind(rates: Floats, beta: float) -> Floats:
    """B_t = r_t + beta B_(t+1), for every t."""
    sums, last = np.empty_like(rates), 0.0
    for at in range(len(rates) - 1, -1, -1):
        last = sums[at] = rates[at] + beta * last
    return sums
