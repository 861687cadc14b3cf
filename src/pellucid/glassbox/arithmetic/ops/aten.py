"""From a call of one of PyTorch's operators (torch.ops.aten) to its declaration in the table."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from pellucid.glassbox.arithmetic.declaration import Op, Shape
from pellucid.glassbox.arithmetic.ops.table import DECLARATIONS

if TYPE_CHECKING:
    from torch._ops import OpOverload


def name_of(target: OpOverload) -> str:
    """`conv2d` for aten.conv2d.default; for an in-place operator, the name of the one that is not in place."""
    name = target._schema.name.split("::")[-1]
    return name if name.endswith("__") else name.removesuffix("_")  # __and__ is the name of &


def bound(target: OpOverload, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The call's arguments by name, defaults filled in, `self` called `input` and `mat2` called `other`."""
    schema = target._schema.arguments
    bound_arguments = {argument.name: value for argument, value in zip(schema, args, strict=False)} | dict(kwargs)
    values = {a.name: bound_arguments.get(a.name, a.default_value if a.has_default_value() else None) for a in schema}
    return {{"self": "input", "mat2": "other"}.get(name, name): value for name, value in values.items()}


def declare(name: str, arguments: Mapping[str, Any], out: Shape, arrays: Mapping[str, Any] | None = None) -> Op | None:
    """The declaration of a call whose tensors have been replaced by shapes; None if there is none.

    It is also None if an argument has a meaning that the declaration does not know (rounding, another reduction).
    `arrays`: the same arguments with their tensors, and the result as "out"; an op that depends on an array's numbers,
    or on its dtype, needs them.
    """
    function = DECLARATIONS.get(name)
    if function is None:
        return None
    arrays = arrays or {}
    types = {local: str(each.dtype).removeprefix("torch.") for local, each in arrays.items() if hasattr(each, "dtype")}
    known = _parameters(function)
    more = {**arrays, **arguments, "out": out, "types": types, "operator": name}
    if "out" in arrays:
        more["device"] = str(arrays["out"].device)
    usable = {key: more[key] for key in known if more.get(key) is not None}
    numbers = [key for key in usable if "Indices" in str(known[key].annotation) and not isinstance(usable[key], int)]
    if arguments.get("piece") and "piece" not in known:
        return None  # the declaration makes only the first result
    try:
        op = function(**{**usable, **{key: _numbers(arrays[key]) for key in numbers}})
    except (TypeError, ValueError, IndexError, KeyError, ZeroDivisionError):
        return None  # an argument of an unsupported kind
    if op is None or op.shapes["out"] != out or (types.get("out") == "bool" and not _of_truths(op)):
        return None
    return op


@cache
def _parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(function).parameters


def _numbers(value: Any) -> Any:
    """Tensors as arrays, also in lists; None and whole numbers unchanged."""
    if isinstance(value, list | tuple):
        return [_numbers(each) for each in value]
    return value.detach().cpu().numpy() if hasattr(value, "detach") else value


def _of_truths(op: Op) -> bool:
    """Whether arrays of 1 and 0 become one of 1 and 0; true + true is true in PyTorch, but 2 here."""
    for stage in op.stages:
        names = list(stage.term.names())
        for corner in itertools.product((0.0, 1.0), repeat=len(names)):
            values = {name: np.asarray(value) for name, value in zip(names, corner, strict=True)}
            if stage.term.evaluate(values) not in (0, 1):
                return False
        if stage.pick == "sum" and prod(stage.ranges.values()) > prod(op.shapes[stage.out]):
            return False
    return True
