"""The user's own module and optimizer, run on copies of all that they hold.

A copy of the module would not do: hooks, closures and optimizers hold the module's own parameters, and a copy lacks
some of them. Here the objects stay, and only what they hold is replaced for a while.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from types import FunctionType, NoneType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

_PLAIN = (bool, int, float, complex, str, bytes, NoneType, FunctionType, type)
_CONTENTS = ("_parameters", "_buffers", "_modules")


@contextmanager
def borrowed(module: torch.nn.Module, optimizer: torch.optim.Optimizer | None = None) -> Iterator[None]:
    """Within it, parameters and buffers hold copies of their numbers, and no parameter has a gradient.

    Afterwards the module, the optimizer, and every gradient are as before, whatever was done: training, a step, an
    exception. Other attributes are copied too, where they can be. The module must not be used by another thread
    meanwhile.
    """
    held = {id(tensor): tensor for tensor in (*module.parameters(), *module.buffers())}
    for group in optimizer.param_groups if optimizer is not None else ():
        held |= {id(parameter): parameter for parameter in group["params"]}
    data = [(tensor, tensor.data, tensor.grad) for tensor in held.values()]
    stays = dict[int, Any](held) | {id(part): part for part in module.modules()}
    if optimizer is not None:
        stays[id(optimizer)] = optimizer
    parts = [(part, dict(vars(part)), [dict(vars(part)[name]) for name in _CONTENTS]) for part in module.modules()]
    optimizing = dict(vars(optimizer)) if optimizer is not None else {}
    try:
        for tensor, own, _ in data:
            tensor.data = own.clone()
            tensor.grad = None
        for part, attributes, _ in parts:
            vars(part).update(_copied(attributes, stays))
        if optimizer is not None:
            vars(optimizer).update(_copied(optimizing, stays))
        yield
    finally:
        for part, attributes, contents in parts:
            vars(part).clear()
            vars(part).update(attributes)
            for name, content in zip(_CONTENTS, contents, strict=True):
                vars(part)[name].clear()
                vars(part)[name].update(content)
        if optimizer is not None:
            vars(optimizer).clear()
            vars(optimizer).update(optimizing)
        for tensor, own, gradient in data:
            tensor.data = own
            tensor.grad = gradient


def _copied(attributes: dict[str, Any], stays: dict[int, Any]) -> dict[str, Any]:
    """Copies of what may be changed in place; `stays`: what a copy goes on to refer to, by id."""
    found = {}
    for name, value in attributes.items():
        if name in _CONTENTS or isinstance(value, _PLAIN):
            continue
        try:
            found[name] = deepcopy(value, dict(stays))
        except Exception:  # a lock, a file, an array on its way to a gradient: it is used as it is
            continue
    return found
