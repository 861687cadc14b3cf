"""The optimizer that a recipe names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pellucid.engine.uncompiled import uncompiled
from pellucid.errors import NetworkError
from pellucid.training.recipe import Recipe

if TYPE_CHECKING:
    import torch
    from torch import Tensor


def optimizer(recipe: Recipe, module: torch.nn.Module) -> torch.optim.Optimizer:
    """SGD with Nesterov momentum, Adam, AdamW or RMSprop over the module's parameters.

    Weight decay acts on filters and weight matrices only: biases and batch norm have one dimension. A group's `factor`
    is the fraction of the learning rate for its layers: see `shares`. Raises NetworkError if there is nothing to train.
    """
    import torch

    parameters = [p for p in module.parameters() if p.requires_grad]
    if not parameters:
        raise NetworkError("The network has no weights to train. Give it a conv or a dense layer.")
    groups = [
        {"params": [p for p in some if (p.ndim > 1) == decays], "weight_decay": decay, "factor": factor}
        for factor, some in shares(module, recipe.lowest_rate)
        for decays, decay in ((True, recipe.weight_decay), (False, 0.0))
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


def shares(module: torch.nn.Module, lowest: float) -> list[tuple[float, list[torch.nn.Parameter]]]:
    """The fraction of the learning rate for each layer, with the layer's trainable parameters.

    They rise from `lowest` at the first layer to 1 at the last by equal factors (Howard & Ruder 2018, "Universal
    language model fine-tuning", section 3.2). Layers are the module's children that have parameters.
    """
    if lowest == 1:
        return [(1.0, [p for p in module.parameters() if p.requires_grad])]
    layers = [[p for p in child.parameters() if p.requires_grad] for child in module.children()]
    layers = [layer for layer in layers if layer]
    last = max(1, len(layers) - 1)
    return [(lowest ** ((last - number) / last), layer) for number, layer in enumerate(layers)]


def remembering(
    recipe: Recipe, module: torch.nn.Module, learning_rate: float, tensors: Mapping[str, Tensor]
) -> torch.optim.Optimizer:
    """The recipe's optimizer with its saved state `tensors`, by parameter and key: "conv1.weight/exp_avg"."""
    import torch

    restored = optimizer(recipe, module)
    parameters = dict(module.named_parameters())
    for group in restored.param_groups:
        group["lr"] = learning_rate * group["factor"]
    for name, tensor in tensors.items():
        parameter, key = name.rsplit("/", 1)
        target = parameters[parameter]
        same = tensor.shape == target.shape
        restored.state[target][key] = torch.empty_like(target).copy_(tensor) if same else tensor.clone()
    return restored


def of_head(layer: torch.nn.Linear, learning_rate: float, weight_decay: float) -> torch.optim.Optimizer:
    """Plain gradient descent on a head alone: the layers before it are frozen, and no step changes them."""
    import torch

    groups = [{"params": [layer.weight], "weight_decay": weight_decay}]
    if layer.bias is not None:
        groups.append({"params": [layer.bias], "weight_decay": 0.0})
    return uncompiled(torch.optim.SGD)(groups, learning_rate)
