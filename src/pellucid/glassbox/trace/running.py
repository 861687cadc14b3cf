"""Run a graph's calls in order on real arrays, with PyTorch's own operators."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pellucid.errors import TraceError
from pellucid.glassbox.trace.graph import Call, Ref
from pellucid.glassbox.trace.marks import Mark

if TYPE_CHECKING:
    from torch import Tensor


def run(calls: Iterable[Call], hooks: Mapping[str, tuple[Mark, ...]], tensors: dict[str, Any]) -> dict[str, Tensor]:
    """Add the result of each call to `tensors`: an array, or several if the call returns several.

    `hooks`: those that the module sets on the gradients of arrays. Returns a dictionary that backward fills with the
    gradient of each of these arrays after its hooks. Raises TraceError if a call fails, or computes something that
    cannot be traced.
    """
    left: dict[str, Tensor] = {}
    for name in hooks:
        if name in tensors:
            _set_hooks(name, tensors[name], hooks[name], left)
    for call in calls:
        tensors[call.name] = _result(call, tensors)
        _check_numbers(call, tensors[call.name])
        if call.name in hooks:
            _set_hooks(call.name, tensors[call.name], hooks[call.name], left)
    return left


def filled(value: Any, tensors: Mapping[str, Any]) -> Any:
    """Arguments with Refs replaced by their tensors."""
    if isinstance(value, Ref):
        return tensors[value.name]
    if isinstance(value, dict):
        return {name: filled(each, tensors) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(filled(each, tensors) for each in value)
    return value


def first_line(error: Exception) -> str:
    """The first line of an error's text, without the final full stop."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")


def _set_hooks(name: str, tensor: Tensor, marks: tuple[Mark, ...], left: dict[str, Tensor]) -> None:
    if not tensor.requires_grad:
        return
    for mark in marks:
        mark.run([tensor])
    # last: torch.autograd.grad may give an array's gradient before its hooks or after them
    tensor.register_hook(lambda gradient: left.__setitem__(name, gradient))


def _result(call: Call, tensors: Mapping[str, Any]) -> Any:
    """A call's result; if it is another call's array, a view of it, because each of the two needs its own gradient."""
    import torch

    try:
        with torch.set_grad_enabled(call.graded):
            result = call.run(*filled(call.args, tensors), **filled(dict(call.kwargs), tensors))
    except (
        Exception
    ) as error:  # torch.export ran it too, but without numbers; a function of the module's may do anything
        if isinstance(error, TraceError):
            raise
        raise TraceError(f"{call.name}{_where(call)} cannot be followed: {first_line(error)}.") from error
    known = {id(tensor) for tensor in tensors.values()}

    def own(value: Any) -> Any:
        if isinstance(value, list | tuple):
            return list(map(own, value))
        return value.view_as(value) if isinstance(value, torch.Tensor) and id(value) in known else value

    return own(result)


def _where(call: Call) -> str:
    return f" ({call.source})" if call.source else ""


def _check_numbers(call: Call, value: Any) -> None:
    import torch

    if not isinstance(value, torch.Tensor | list | tuple):
        raise TraceError(
            f"{call.name}{_where(call)} takes a number out of an array and computes with it outside of PyTorch, "
            "which cannot be followed. Compute with the array instead."
        )
    if isinstance(value, torch.Tensor) and value.is_complex():
        raise TraceError(f"{call.name}{_where(call)} computes complex numbers; only real ones can be followed.")
