"""PyTorch's optimizers without its compiler, which their first step imports needlessly: 0.7 to 1 s."""

from __future__ import annotations

from inspect import unwrap
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import torch

Optimizer = TypeVar("Optimizer", bound="torch.optim.Optimizer")

_WRAPPED = ("add_param_group", "zero_grad", "step")  # with wrappers that tell the compiler to ignore them


def uncompiled(kind: type[Optimizer]) -> type[Optimizer]:
    """A class of torch.optim with its methods unwrapped: the same arithmetic, bit for bit.

    It has the name and the module of `kind`. If a version of PyTorch wraps nothing, nothing changes.
    """
    import torch

    own = {name: unwrap(getattr(kind, name)) for name in _WRAPPED}
    step = torch.no_grad()(own["step"])  # one of the wrappers did this too
    made: Any = type(kind.__name__, (kind,), {**own, "step": step, "__module__": kind.__module__})
    return made  # type: ignore[no-any-return]
