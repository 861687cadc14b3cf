"""The step that an optimizer would make now: what PyTorch's own made of a parameter, and its arithmetic beside it."""

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
    """One parameter's step: the op of each of its numbers, what it goes in with, and what PyTorch made of it."""

    op: Op | None
    """None where the optimizer's arithmetic is not written: then `after` is shown alone."""
    optimizer: str
    before: NDArray[Any]
    remembered: Mapping[str, NDArray[Any]]
    after: NDArray[Any]
    settings: Mapping[str, Any]
    """The optimizer's settings for this parameter that are not 0; "step", where it counts them, is this one, from 1."""
    gradient: NDArray[Any] | None = None
    """What the step used, where a hook of the optimizer has changed the gradient (clipped it, say); else None."""
    hooked: str = ""
    """The hook that changed the weight beside the optimizer's arithmetic, where one did: that is not written."""
    unwritten: str = ""
    """Why there is no op: a sentence."""


def check(optimizer: Any, parameters: Collection[Tensor]) -> None:
    """Raises TraceError where this is no optimizer, or one of another module's parameters."""
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
    """Of every parameter that the step changed or could have changed.

    `step`: as it was made on copies. `parameters` by name, `gradients` those of the loss.
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
            {local: array.copy() for local, array in remembered.items()},  # the optimizer may go on meanwhile
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
