"""The step that an optimizer would make now: PyTorch's own on copies of the weights, and its arithmetic beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from pellucid.errors import TraceError
from pellucid.glassbox.declaration import Op
from pellucid.glassbox.optimizing import described
from pellucid.glassbox.tensors import to_numpy

if TYPE_CHECKING:
    import torch
    from torch import Tensor


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
    arithmetic: dict[str, tuple[Op | None, dict[str, NDArray[Any]], dict[str, Any]]] = {}
    by_clone = {id(clone): name for name, clone in copies.items()}
    for group in twin.param_groups:
        for clone in group["params"]:
            state = states[clone]
            arithmetic[by_clone[id(clone)]] = described(optimizer, group, state, clone)
            if state:
                twin.state[clone] = {key: _copied(value) for key, value in state.items()}
    try:
        with torch.enable_grad():
            twin.step()
    except Exception as error:  # likewise, or LBFGS, which wants to compute the loss again
        raise _untried(kind, error) from error
    return {
        name: Update(op, kind, to_numpy(weights[name]), remembered, to_numpy(copies[name]), settings)
        for name, (op, remembered, settings) in arithmetic.items()
    }


def _untried(kind: str, error: Exception) -> TraceError:
    return TraceError(f"A step of {kind} cannot be tried on a copy of the weights: {error}. Leave the optimizer out.")


def _copied(value: Any) -> Any:
    return value.detach().clone() if hasattr(value, "detach") else value
