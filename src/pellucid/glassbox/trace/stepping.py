"""One real step of the user's optimizer, including its hooks, with its inputs and outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pellucid.errors import TraceError
from pellucid.glassbox.trace.running import first_line

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class Moment:
    """One parameter's input to the optimizer's own arithmetic, and the output."""

    group: Mapping[str, Any]
    """The parameter's group with its settings."""
    standing: Tensor
    """The value before the step and its hooks. The module may have changed it while it ran."""
    before: Tensor
    gradient: Tensor
    made: Tensor
    """The result of the optimizer's arithmetic alone."""
    after: Tensor
    """The value after the step's hooks."""


@dataclass(frozen=True)
class OptimizerStep:
    """The step. Parameters without a gradient are left out: the optimizer skips them."""

    of: Mapping[str, Moment]
    hooked: bool
    """Whether hooks run with the step, the optimizer's own or those of every optimizer."""


def step(optimizer: torch.optim.Optimizer, parameters: Mapping[str, Tensor]) -> OptimizerStep:
    """Let the optimizer make its step with the current gradients of its parameters.

    `parameters`: by name. They, and the optimizer's state, change: see `borrowed`. Raises TraceError if the step
    raises, as that of an optimizer that wants to compute the loss again.
    """
    import torch

    names = {id(parameter): name for name, parameter in parameters.items()}
    entering: dict[str, tuple[dict[str, Any], Tensor, Tensor]] = {}
    made: dict[str, Tensor] = {}
    if not hasattr(optimizer, "_optimizer_step_pre_hooks"):
        raise TraceError(
            f"{type(optimizer).__name__} does not call torch.optim.Optimizer.__init__, and its step cannot be "
            "followed. Leave the optimizer out."
        )
    pre, post = _hooks(optimizer)

    def enter(*_: Any) -> None:
        for group in optimizer.param_groups:
            settings = {key: value for key, value in group.items() if key != "params"}
            for parameter in group["params"]:
                name = names.get(id(parameter))
                if name is not None and parameter.grad is not None:
                    entering[name] = settings, _taken(parameter), _taken(parameter.grad)

    def leave(*_: Any) -> None:
        made.update({name: _taken(parameters[name]) for name in entering})

    standing = {name: _taken(each) for name, each in parameters.items() if each.grad is not None} if pre else {}
    first = optimizer.register_step_pre_hook(enter)  # after the existing hooks
    last = optimizer.register_step_post_hook(leave)
    optimizer._optimizer_step_post_hooks.move_to_end(last.id, last=False)  # type: ignore[attr-defined]
    try:
        with torch.enable_grad():
            optimizer.step()
    except Exception as error:  # a user's own optimizer, or LBFGS, which wants to compute the loss again
        raise TraceError(
            f"A step of {type(optimizer).__name__} cannot be tried on a copy of the weights: {first_line(error)}. "
            "Leave the optimizer out."
        ) from error
    finally:
        first.remove()
        last.remove()
    if not entering:  # a step() without PyTorch's wrapper runs no hooks
        enter()
    of = {
        name: Moment(
            group,
            standing.get(name, before),
            before,
            gradient,
            made.get(name, parameters[name].detach()),
            _taken(parameters[name]),
        )
        for name, (group, before, gradient) in entering.items()
    }
    return OptimizerStep(of, bool(pre or post))


def _taken(tensor: Tensor) -> Tensor:
    return tensor.detach().clone()


def _hooks(optimizer: torch.optim.Optimizer) -> tuple[bool, bool]:
    """Whether there are hooks before and after each step."""
    from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks

    before = _global_optimizer_pre_hooks or optimizer._optimizer_step_pre_hooks
    after = _global_optimizer_post_hooks or optimizer._optimizer_step_post_hooks
    return bool(before), bool(after)
