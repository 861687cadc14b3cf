"""The nodes of a trace: which op made each array, bound to the arrays that it read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from pellucid.glassbox.declaration import Op, typed
from pellucid.glassbox.graph import INPUT, Call, Graph, Ref
from pellucid.glassbox.ops import aten, shaping
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
    value = tensors[call.name]
    if not hasattr(value, "shape"):
        return None
    if call.operator == "getitem":
        return _piece(call, graph, tensors)
    return _declared(call.name, call, tensors)


def _declared(name: str, call: Call, tensors: Mapping[str, Any]) -> Node:
    """The node of what a call returns, called `name`."""
    import torch

    reads: dict[str, str] = {}
    for local, argument in call.arguments.items():
        if isinstance(argument, Ref):
            reads[local] = argument.name
        elif isinstance(argument, list | tuple):
            reads |= {f"{local}{n}": each.name for n, each in enumerate(argument) if isinstance(each, Ref)}
    value = tensors[name]
    op = aten.declare(call.operator, _shapes(call.arguments, tensors), tuple(value.shape))
    if op is None or value.dtype == torch.bool:  # true + true is true
        return Node(name, call.operator, None, reads, call.source)
    return Node(name, op.kind, op, {local: reads[local] for local in op.inputs}, call.source)


def _piece(call: Call, graph: Graph, tensors: Mapping[str, Any]) -> Node:
    """One of several results: a slice of what is split, an array that is broadcast, or the first of an operator's."""
    maker = next(each for each in graph.calls if each.name == call.arguments["input"].name)
    several, number = tensors[maker.name], call.arguments["index"]
    if maker.operator in ("chunk", "split", "split_with_sizes"):
        source, dim = maker.arguments["input"].name, maker.arguments["dim"]
        start = sum(part.shape[dim] for part in several[:number])
        op = shaping.slice_of(tuple(tensors[source].shape), dim, start, start + several[number].shape[dim])
    elif maker.operator == "broadcast_tensors":
        source = maker.arguments["tensors"][number].name
        op = shaping.expand(tuple(tensors[source].shape), tuple(several[number].shape))
    else:
        node = _declared(call.name, maker, tensors)  # a pooling's places of the largest are behind the largest
        return node if number == 0 else replace(node, kind=maker.operator, op=None)
    return Node(call.name, op.kind, op, {"input": source}, maker.source)


def _shapes(arguments: Mapping[str, Any], tensors: Mapping[str, Any]) -> dict[str, Any]:
    def shape(value: Any) -> Any:
        if isinstance(value, Ref):
            tensor = tensors[value.name]
            return typed(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))
        if isinstance(value, list | tuple):
            return [shape(each) for each in value]
        return value

    return {name: shape(value) for name, value in arguments.items()}
