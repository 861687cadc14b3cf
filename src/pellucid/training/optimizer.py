"""The optimizer that a recipe names, and the loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pellucid.engine.uncompiled import uncompiled
from pellucid.errors import NetworkError
from pellucid.network.loss import mean_loss
from pellucid.training.recipe import Recipe

if TYPE_CHECKING:
    import torch
    from torch import Tensor


def optimizer(recipe: Recipe, module: torch.nn.Module) -> torch.optim.Optimizer:
    """SGD with Nesterov momentum, Adam, AdamW or RMSprop over the module's parameters.

    Weight decay acts on filters and weight matrices only: biases and batch norm have one dimension.
    Raises NetworkError where there is nothing to train.
    """
    import torch

    parameters = [p for p in module.parameters() if p.requires_grad]
    if not parameters:
        raise NetworkError("The network has no weights to train. Give it a conv or a dense layer.")
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    rate, momentum = recipe.learning_rate, recipe.momentum
    fused = all(p.device.type in ("cpu", "cuda") for p in parameters)  # one pass over the weights instead of ten
    match recipe.optimizer:
        case "sgd":
            return uncompiled(torch.optim.SGD)(groups, rate, momentum=momentum, nesterov=momentum > 0, fused=fused)
        case "adam":
            return uncompiled(torch.optim.Adam)(groups, rate, betas=(momentum, 0.999), fused=fused)
        case "adamw":
            return uncompiled(torch.optim.AdamW)(groups, rate, betas=(momentum, 0.999), fused=fused)
        case "rmsprop":
            return uncompiled(torch.optim.RMSprop)(groups, rate, alpha=0.99, momentum=momentum)


def remembering(
    recipe: Recipe, module: torch.nn.Module, learning_rate: float, tensors: Mapping[str, Tensor]
) -> torch.optim.Optimizer:
    """The recipe's optimizer as it was when `tensors` were kept: by parameter and key, "conv1.weight/exp_avg"."""
    import torch

    restored = optimizer(recipe, module)
    parameters = dict(module.named_parameters())
    for group in restored.param_groups:
        group["lr"] = learning_rate
    for name, tensor in tensors.items():
        parameter, key = name.rsplit("/", 1)
        target = parameters[parameter]
        same = tensor.shape == target.shape
        restored.state[target][key] = torch.empty_like(target).copy_(tensor) if same else tensor.clone()
    return restored


def loss(recipe: Recipe, logits: Tensor, labels: Tensor, weights: Sequence[float] | None = None) -> Tensor:
    """Mean loss of a batch: logits float32 (n, classes), labels int64 (n,) -> scalar. See network/loss.py.

    `weights`: one for each class, where classes are weighted (weighting.py).
    """
    return mean_loss(recipe.loss, logits, labels, recipe.label_smoothing, weights)
