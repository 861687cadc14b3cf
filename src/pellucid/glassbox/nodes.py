"""The nodes of a trace: which op made each array, bound to the arrays that it read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pellucid.glassbox.declaration import OUT, Op
from pellucid.glassbox.graph import INPUT, Call, Graph, Ref
from pellucid.glassbox.ops import aten
from pellucid.glassbox.trace import PICTURE, Node


def first(prepared: Op | None) -> Iterator[Node]:
    """Where a run begins: the network's input, or the picture's pixels and what prepares them."""
    if prepared is None:
        yield Node(INPUT, "the network's input", None, {})
    else:
        yield Node(PICTURE, "the picture's pixels", None, {})
        yield Node(INPUT, prepared.kind, prepared, {name: name for name in prepared.inputs})


def of(graph: Graph, tensors: Mapping[str, Any]) -> Iterator[Node]:
    """A node for each array that the graph's calls made, in their order. `tensors`: what they returned, by name."""
    yield from (node for call in graph.calls if (node := _node(call, graph, tensors)) is not None)


def _node(call: Call, graph: Graph, tensors: Mapping[str, Any]) -> Node | None:
    """The call's node; None for one that returns several arrays, each of which has a node of its own."""
    if not hasattr(tensors[call.name], "shape"):
        return None
    if call.operator != "getitem":
        return _declared(call.name, call, tensors)
    maker = next(each for each in graph.calls if each.name == call.arguments["input"].name)
    return _declared(call.name, maker, tensors, call.arguments["index"] % len(tensors[maker.name]))


def _declared(name: str, call: Call, tensors: Mapping[str, Any], piece: int | None = None) -> Node:
    """The node of what a call returns, or of the piece of this number of it, called `name`."""
    reads: dict[str, str] = {}
    for local, argument in call.arguments.items():
        if isinstance(argument, Ref):
            reads[local] = argument.name
        elif isinstance(argument, list | tuple):
            reads |= {f"{local}{n}": each.name for n, each in enumerate(argument) if isinstance(each, Ref)}
    arguments = _mapped(call.arguments, lambda name: tuple(tensors[name].shape))
    arrays = {**_mapped(call.arguments, lambda name: tensors[name]), OUT: tensors[name]}
    if piece is not None:
        several = tensors[call.name]
        arguments |= {"piece": piece, "pieces": [tuple(each.shape) for each in several]}
        arrays |= {f"result{number}": each for number, each in enumerate(several)}
    op = aten.declare(call.operator, arguments, tuple(tensors[name].shape), arrays)
    if op is None:
        return Node(name, call.operator, None, reads, call.source)
    return Node(name, op.kind, op, {local: reads[local] for local in op.inputs}, call.source)


def _mapped(value: Any, change: Callable[[str], Any]) -> Any:
    """A call's arguments with something in the place of every name of an array."""
    if isinstance(value, Ref):
        return change(value.name)
    if isinstance(value, Mapping):
        return {name: _mapped(each, change) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_mapped(each, change) for each in value]
    return value
