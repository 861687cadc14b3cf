"""An optimizer's update of one weight tensor, for backward.py: PyTorch operations, with a derivative by all inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pellucid.training.recipe import Recipe

if TYPE_CHECKING:
    from torch import Tensor

VALUES: Mapping[str, tuple[str, ...]] = {
    "sgd": ("momentum_buffer",),
    "adam": ("exp_avg", "exp_avg_sq"),
    "adamw": ("exp_avg", "exp_avg_sq"),
    "rmsprop": ("square_avg", "momentum_buffer"),
}
"""The numbers that each optimizer keeps for a weight, by their names in PyTorch."""
LEAST = 1e-30  # below it a mean square counts as 0: the square root has no slope there


def updated(
    recipe: Recipe,
    group: Mapping[str, Any],
    rate: float,
    step: int,
    weight: Tensor,
    gradient: Tensor,
    values: Mapping[str, Tensor],
) -> dict[str, Tensor]:
    """After step `step`, counted from 1: {"": the weight, "/exp_avg": ...}, as torch.optim computes them.

    `group`: the optimizer's, with weight decay and constants. `values`: the optimizer's numbers before, by VALUES;
    zeros at the first step.
    """
    rate = rate * group.get("factor", 1.0)
    decay = group["weight_decay"]
    if recipe.optimizer == "adamw":
        weight = weight * (1 - rate * decay)
    elif decay:
        gradient = gradient + decay * weight
    if recipe.optimizer == "sgd":
        momentum = group["momentum"]
        buffer = momentum * values["momentum_buffer"] + gradient
        return {"": weight - rate * (gradient + momentum * buffer), "/momentum_buffer": buffer}
    if recipe.optimizer == "rmsprop":
        alpha, momentum = group["alpha"], group["momentum"]
        square = alpha * values["square_avg"] + (1 - alpha) * gradient * gradient
        buffer = momentum * values["momentum_buffer"] + gradient / (square.clamp(min=LEAST).sqrt() + group["eps"])
        return {"": weight - rate * buffer, "/square_avg": square, "/momentum_buffer": buffer}
    first, second = group["betas"]
    mean = first * values["exp_avg"] + (1 - first) * gradient
    square = second * values["exp_avg_sq"] + (1 - second) * gradient * gradient
    length = square.clamp(min=LEAST).sqrt() / (1 - second**step) ** 0.5 + group["eps"]
    return {"": weight - rate / (1 - first**step) * mean / length, "/exp_avg": mean, "/exp_avg_sq": square}
