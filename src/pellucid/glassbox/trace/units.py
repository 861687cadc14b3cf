"""Units in the user's notation, "conv1[3, 10, 12]" -> an array and a place in it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pellucid.errors import TraceError, nearest
from pellucid.glassbox.arithmetic.declaration import Shape
from pellucid.glassbox.arithmetic.evaluator import Index
from pellucid.texts import listed

if TYPE_CHECKING:
    from pellucid.glassbox.trace.trace import Trace


def locate(trace: Trace, unit: str, parameters_only: bool = False) -> tuple[str, Index]:
    """(array, index in it, with the batch axis) of "conv1[3, 10, 12]".

    Raises TraceError with the nearest names or the valid ranges.
    """
    if not isinstance(unit, str):
        raise TraceError(f"{unit!r} names no unit. Write the layer and its index as a text: 'conv1[3, 10, 12]'.")
    name = named(unit)
    names = list(trace.parameters) if parameters_only else _names(trace)
    if name not in names:
        some = names if parameters_only else [node.name for node in trace.nodes]
        raise TraceError(_unknown(name, names, some, parameters_only))
    index = _index(unit, name, trace.shape(name), trace.batched(name))
    return name, trace.whole_index(name, index)


def named(unit: str) -> str:
    """The array of a unit. Raises TraceError if the text is not a unit."""
    return _taken_apart(unit)[0]


def check(
    unit: str,
    shapes: Mapping[str, Shape],
    names: Sequence[str],
    shown: Sequence[str],
    weights: bool = False,
) -> None:
    """As `locate`, before there is a trace. `shapes`: the known shapes of arrays, without a batch axis.

    `names`: of all arrays; `shown`: those that an error lists. `weights`: only weights are allowed. Raises TraceError.
    """
    name = named(unit)
    if name not in names:
        raise TraceError(_unknown(name, names, shown, weights))
    if name in shapes:
        _index(unit, name, shapes[name], batched=not weights)


def weight(text: str, shapes: Mapping[str, Shape]) -> tuple[str, Index]:
    """(parameter, index in it) of "conv1.weight[3, 0, 2, 2]". `shapes`: of all parameters.

    Raises TraceError with the nearest names, or the valid ranges.
    """
    if _parted(text) is None:
        raise TraceError(f"{text!r} names no weight. Write the parameter and its index: conv1.weight[2, 1, 1, 1].")
    name = named(text)
    if name not in shapes:
        raise TraceError(_unknown(name, list(shapes), list(shapes), parameters_only=True))
    return name, _index(text, name, shapes[name], batched=False, word="weight")


def _parted(text: str) -> re.Match[str] | None:
    """The name and what is in brackets behind it; None if the text is not made so."""
    return re.fullmatch(r"\s*([^\[\]]+?)\s*(?:\[([^\[\]]*)\])?\s*", text)


def _taken_apart(unit: str) -> tuple[str, str | None]:
    match = _parted(unit)
    if match is None:
        raise TraceError(f"{unit!r} names no unit. Write the layer and its index: conv1[3, 10, 12].")
    return match[1], match[2]


def _index(unit: str, name: str, shape: Shape, batched: bool, word: str = "unit") -> Index:
    """The index of a unit without the batch axis, whose leading 0 may be left out. `word`: what an error calls it."""
    _, inside = _taken_apart(unit)
    try:
        index = [int(number) for number in inside.split(",")] if inside and inside.strip() else []
    except ValueError:
        raise TraceError(f"{unit!r}: an index consists of whole numbers, {_example(name, shape)}.") from None
    if batched and len(index) == len(shape) + 1 and index[0] == 0:
        del index[0]
    if len(index) != len(shape) or not all(0 <= i < size for i, size in zip(index, shape, strict=True)):
        what = f"is not a {word}" if inside is not None or batched else "has no index"
        ranges = _ranges(shape, word == "weight")
        raise TraceError(f"{unit!r} {what}: {name} has {ranges}, such as {_example(name, shape)}.")
    return tuple(index)


def _names(trace: Trace) -> list[str]:
    """Everything that has numbers, layers first."""
    nodes = [node.name for node in trace.nodes]
    return [*nodes, *(name for name in trace.values if name not in nodes and trace.values[name].dtype.kind == "f")]


def _unknown(name: str, names: Sequence[str], some: Sequence[str], parameters_only: bool) -> str:
    what = "weight" if parameters_only else "layer or weight"
    near = nearest(name, names, 3, 0.5) or [each for each in names if name.lower() in each.lower()][:3]
    hint = f" Nearest: {', '.join(near)}." if near else ""
    return f"There is no {what} {name!r}.{hint} There are {listed(some, 12)}."


def _ranges(shape: Shape, weights: bool) -> str:
    if not shape:
        return "a single number and no index"
    words = {1: ("units",), 3: ("channels", "rows", "columns")}
    if weights:
        words = {1: ("outputs",), 2: ("outputs", "inputs"), 4: ("filters", "channels", "rows", "columns")}
    each = zip(words.get(len(shape), ("",) * len(shape)), shape, strict=True)
    return ", ".join(f"{word} 0 to {size - 1}".strip() for word, size in each)


def _example(name: str, shape: Shape) -> str:
    return f"{name}[{', '.join(str(size // 2) for size in shape)}]" if shape else name
