"""An optimizer's next step: PyTorch's own result for a parameter, and its arithmetic."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from pellucid.errors import TraceError
from pellucid.glassbox.arithmetic.declaration import Op
from pellucid.glassbox.arithmetic.tensors import to_numpy
from pellucid.glassbox.trace import optimizing
from pellucid.glassbox.trace.stepping import Moment, OptimizerStep

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class Update:
    """One parameter's step: the op of each of its numbers, the op's inputs, and PyTorch's result."""

    op: Op | None
    """None if the optimizer's arithmetic is not supported: then only `after` is shown."""
    optimizer: str
    before: NDArray[Any]
    remembered: Mapping[str, NDArray[Any]]
    after: NDArray[Any]
    settings: Mapping[str, Any]
    """The optimizer's nonzero settings for this parameter; "step", if it counts them, is this one, from 1."""
    gradient: NDArray[Any] | None = None
    """The gradient that the step used, if a hook of the optimizer changed it (clipped it, for example); else None."""
    hooked: str = ""
    """The hook that changed the weight besides the optimizer's arithmetic, if one did: its effect is not explained."""
    unwritten: str = ""
    """Why there is no op: a sentence."""


def check(optimizer: Any, parameters: Collection[Tensor]) -> None:
    """Raises TraceError if this is not an optimizer, or one of another module's parameters."""
    optimizing.check(optimizer)
    ids = {id(parameter) for parameter in parameters}
    if not any(id(parameter) in ids for group in optimizer.param_groups for parameter in group["params"]):
        raise TraceError(
            "The optimizer holds none of the module's parameters. Make it from this module: "
            "torch.optim.SGD(module.parameters(), lr=0.01)."
        )


def updates(
    optimizer: torch.optim.Optimizer,
    step: OptimizerStep,
    parameters: Mapping[str, Tensor],
    gradients: Mapping[str, Tensor],
) -> dict[str, Update]:
    """The updates of all parameters that the step changed or could have changed.

    `step`: made on copies. `parameters` by name, `gradients` those of the loss.
    """
    kind = type(optimizer).__name__
    steps = {}
    for name, moment in step.of.items():
        parameter = parameters[name]
        op, remembered, settings = optimizing.described(
            optimizer, moment.group, optimizer.state.get(parameter, {}), parameter
        )
        steps[name] = Update(
            op,
            kind,
            to_numpy(moment.standing),
            {local: array.copy() for local, array in remembered.items()},  # the optimizer may continue meanwhile
            to_numpy(moment.after),
            settings,
            to_numpy(moment.gradient) if _differs(moment.gradient, gradients.get(name)) else None,
            _hook(moment) if step.hooked else "",
            optimizing.unwritten(optimizer) if op is None else "",
        )
    return steps


def _differs(gradient: Tensor, other: Tensor | None) -> bool:
    import torch

    return other is None or not torch.equal(gradient, other)


def _hook(moment: Moment) -> str:
    if _differs(moment.before, moment.standing):
        return "a hook before the optimizer's step"
    return "a hook after the optimizer's step" if _differs(moment.after, moment.made) else ""
