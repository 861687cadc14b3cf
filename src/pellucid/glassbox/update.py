"""The step that an optimizer would make now: PyTorch's own on copies of the weights, and its arithmetic beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import TraceError
from pellucid.glassbox.declaration import Op
from pellucid.glassbox.ops import optimizers

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


@dataclass(frozen=True)
class Update:
    """One parameter's step: the op of each of its numbers, what it goes in with, and what PyTorch made of it."""

    op: Op | None
    """None where the optimizer's arithmetic is not written: then `after` is shown alone."""
    optimizer: str
    before: NDArray[Any]
    remembered: Mapping[str, NDArray[Any]]
    after: NDArray[Any]
    settings: Mapping[str, Any]
    """The optimizer's settings for this parameter that are not 0; "step", where it counts them, is this one, from 1."""


def updates(
    optimizer: torch.optim.Optimizer,
    names: Mapping[int, str],
    weights: Mapping[str, Tensor],
    gradients: Mapping[str, Tensor],
) -> dict[str, Update]:
    """What one step would do to each parameter that has a gradient. The optimizer and its parameters stay as they are.

    `names`: id of the optimizer's parameter -> name. `weights` and `gradients` by name, as they stand now.
    """
    import torch

    if not any(id(parameter) in names for group in optimizer.param_groups for parameter in group["params"]):
        raise TraceError(
            "The optimizer holds none of the module's parameters. Make it from this module: "
            "torch.optim.SGD(module.parameters(), lr=0.01)."
        )
    groups, copies, states = [], {}, {}
    for group in optimizer.param_groups:
        known = [p for p in group["params"] if p.requires_grad and names.get(id(p)) in gradients]
        clones = []
        for parameter in known:
            name = names[id(parameter)]
            clone = weights[name].detach().clone().requires_grad_()
            clone.grad = gradients[name].detach().clone()
            clones.append(clone)
            copies[name] = clone
            states[clone] = {key: _copied(value) for key, value in optimizer.state.get(parameter, {}).items()}
        groups.append({**{key: value for key, value in group.items() if key != "params"}, "params": clones})
    groups = [group for group in groups if group["params"]]
    if not groups:
        return {}
    kind = type(optimizer).__name__
    make: Any = type(optimizer)  # whose settings are all in the groups
    try:
        twin = make(groups)
    except Exception as error:  # somebody's own optimizer, which may need anything else
        raise _untried(kind, error) from error
    described: dict[str, tuple[Op | None, dict[str, NDArray[Any]], dict[str, Any]]] = {}
    by_clone = {id(clone): name for name, clone in copies.items()}
    for group in twin.param_groups:
        for clone in group["params"]:
            state = states[clone]
            described[by_clone[id(clone)]] = _described(type(optimizer), group, state, clone)
            if state:
                twin.state[clone] = {key: _copied(value) for key, value in state.items()}
    try:
        with torch.enable_grad():
            twin.step()
    except Exception as error:  # likewise, or LBFGS, which wants to compute the loss again
        raise _untried(kind, error) from error
    return {
        name: Update(op, kind, to_numpy(weights[name]), remembered, to_numpy(copies[name]), settings)
        for name, (op, remembered, settings) in described.items()
    }


def _untried(kind: str, error: Exception) -> TraceError:
    return TraceError(f"A step of {kind} cannot be tried on a copy of the weights: {error}. Leave the optimizer out.")


def _described(
    kind: type[torch.optim.Optimizer], group: Mapping[str, Any], state: Mapping[str, Any], parameter: Tensor
) -> tuple[Op | None, dict[str, NDArray[Any]], dict[str, Any]]:
    """(the op, what it remembers, its settings with the number of this step)."""
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


def _copied(value: Any) -> Any:
    return value.detach().clone() if hasattr(value, "detach") else value


def to_numpy(tensor: Tensor) -> NDArray[Any]:
    """On any device, with or without a gradient -> an array; one of 16 bits, exactly, in float32."""
    import torch

    detached = tensor.detach().cpu()
    return (detached.float() if detached.dtype in (torch.bfloat16, torch.float16) else detached).numpy()
