"""Run the user's own module and optimizer on copies of all their state.

A copy of the module would not do: hooks, closures and optimizers hold the module's own parameters, and a copy lacks
some of them. Here the objects stay, and only their contents are replaced for a while.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from types import FunctionType, NoneType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_PLAIN = (bool, int, float, complex, str, bytes, NoneType, FunctionType, type)
_CONTENTS = ("_parameters", "_buffers", "_modules")


@contextmanager
def borrowed(module: torch.nn.Module, optimizer: torch.optim.Optimizer | None = None) -> Iterator[None]:
    """Within the context, parameters and buffers hold copies of their numbers, and no parameter has a gradient.

    Afterwards the module, the optimizer, and every gradient are as before, even after training, a step, or an
    exception. Other attributes are copied too, if possible. No other thread may use the module meanwhile.
    """
    import torch
    from torch.autograd.grad_mode import _unsafe_preserve_version_counter

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
        for (tensor, _, _), copy in zip(data, _copies([own for _, own, _ in data]), strict=True):
            tensor.data = copy
            tensor.grad = None
        internal = vars(torch.nn.Module())  # in every module: hooks and mode
        for part, attributes, _ in parts:
            mine = {name: value for name, value in attributes.items() if name not in internal}
            vars(part).update(_copied(mine, stays))
        if optimizer is not None:
            vars(optimizer).update(_copied(optimizing, stays))
        with _unsafe_preserve_version_counter(tuple(tensor for tensor in held.values() if not tensor.is_inference())):
            yield
    finally:
        for tensor, own, gradient in data:
            tensor.data = own
            tensor.grad = gradient
        if optimizer is not None:
            vars(optimizer).clear()
            vars(optimizer).update(optimizing)
        for part, attributes, contents in parts:
            vars(part).clear()
            vars(part).update(attributes)
            for name, content in zip(_CONTENTS, contents, strict=True):
                vars(part)[name].clear()
                vars(part)[name].update(content)


def _copies(tensors: list[Tensor]) -> Iterator[Tensor]:
    """A copy of each tensor, and one copy of numbers that several tensors share."""
    places = [tensor.untyped_storage().data_ptr() for tensor in tensors]
    shared: dict[int, Any] = {}
    for tensor, place in zip(tensors, places, strict=True):
        if not place or places.count(place) == 1:
            yield tensor.clone()
            continue
        if place not in shared:
            shared[place] = tensor.untyped_storage().clone()
        empty = tensor.new_empty(0)
        yield empty.set_(shared[place], tensor.storage_offset(), tensor.size(), tensor.stride())


def _copied(attributes: dict[str, Any], stays: dict[int, Any]) -> dict[str, Any]:
    """Copies of attributes that may change in place; `stays`: objects that copies still refer to, by id."""
    copies = {}
    for name, value in attributes.items():
        if name in _CONTENTS or isinstance(value, _PLAIN):
            continue
        before = {*stays, id(stays)}  # deepcopy keeps copied objects alive under its memo's own id
        try:
            copies[name] = deepcopy(value, stays)  # one memo: attributes that share an object share its copy
        except Exception:  # a lock, a file, an array on its way to a gradient: used as it is
            for half in stays.keys() - before:
                del stays[half]
    return copies
