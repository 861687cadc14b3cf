"""What an optimizer would do with a parameter, as data: its op, what it remembers, its settings in people's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pellucid.glassbox.declaration import Op
from pellucid.glassbox.ops import optimizers
from pellucid.glassbox.tensors import to_numpy

if TYPE_CHECKING:
    import torch
    from torch import Tensor

# what PyTorch calls what an optimizer remembers of a parameter -> what it is called here
REMEMBERED = {
    "momentum_buffer": "momentum",
    "exp_avg": "mean",
    "exp_avg_sq": "mean_square",
    "square_avg": "mean_square",
}

# the settings that matter to the arithmetic -> what people call them
SETTINGS = {
    "lr": "learning_rate",
    "momentum": "momentum",
    "nesterov": "nesterov",
    "dampening": "dampening",
    "betas": "betas",
    "alpha": "alpha",
    "eps": "epsilon",
    "weight_decay": "weight_decay",
}


def described(
    optimizer: torch.optim.Optimizer, group: Mapping[str, Any], state: Mapping[str, Any], parameter: Tensor
) -> tuple[Op | None, dict[str, NDArray[Any]], dict[str, Any]]:
    """(the op, what it remembers, its settings with the number of this step) of the optimizer's next step.

    `group` and `state` are those of the parameter as they stand before the step; an empty state is that of the first.
    The op is None where the optimizer's arithmetic is not written.
    """
    kind = type(optimizer)
    step = int(state.get("step", 0)) + 1
    # None: SGD before its first step
    remembered = {REMEMBERED[k]: to_numpy(v) for k, v in state.items() if k in REMEMBERED and v is not None}
    settings = {said: _plain(group[key]) for key, said in SETTINGS.items() if group.get(key)}
    known = kind.__module__.startswith("torch.optim.")  # another may have the same name
    op = _op(kind.__name__, group, step, first="momentum" not in remembered) if known else None
    if op is not None:
        for name in op.inputs[2:]:
            remembered.setdefault(name, np.zeros(tuple(parameter.shape), np.float32))
    counted = "step" in state or (op is not None and kind.__name__ != "SGD")  # SGD counts no steps
    return op, remembered, {**settings, **({"step": step} if counted else {})}


def _op(kind: str, group: Mapping[str, Any], step: int, first: bool) -> Op | None:
    if group.get("maximize") or group.get("amsgrad") or group.get("centered"):
        return None
    rate, decay = float(group["lr"]), float(group.get("weight_decay", 0.0))
    beta1, beta2 = map(float, group.get("betas", (0.0, 0.0)))
    match kind:
        case "SGD":
            return optimizers.sgd(rate, group["momentum"], group["dampening"], group["nesterov"], decay, first)
        case "AdamW":
            return optimizers.adamw(rate, beta1, beta2, group["eps"], step, decay)
        case "Adam" if group.get("decoupled_weight_decay"):
            return optimizers.adamw(rate, beta1, beta2, group["eps"], step, decay)
        case "Adam":
            return optimizers.adam(rate, beta1, beta2, group["eps"], step, decay)
        case "RMSprop":
            return optimizers.rmsprop(rate, group["alpha"], group["eps"], group["momentum"], decay)
    return None


def _plain(setting: Any) -> Any:
    """A rate that is a tensor as a number."""
    if isinstance(setting, list | tuple):
        return tuple(map(_plain, setting))
    return setting.item() if hasattr(setting, "item") else setting
