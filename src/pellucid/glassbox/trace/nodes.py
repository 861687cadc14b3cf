"""The nodes of a trace: the op of each array, bound to the arrays that it read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pellucid.glassbox.arithmetic.declaration import OUT, Op
from pellucid.glassbox.arithmetic.ops import aten, shaping
from pellucid.glassbox.trace import marks, naming
from pellucid.glassbox.trace.graph import Call, Graph, Ref
from pellucid.glassbox.trace.naming import INPUT, PICTURE
from pellucid.glassbox.trace.trace import Node


def first(roles: Mapping[str, str], prepared: Op | None, used: set[str]) -> Iterator[Node]:
    """The start of a run: the network's input, or the picture's pixels and their preparation.

    `roles`: the names of the two. `used`: the names of all arrays, which the preparation's arrays must not take.
    """
    if prepared is None:
        yield Node(roles[INPUT], "the network's input", None, {})
    else:
        yield Node(roles[PICTURE], "the picture's pixels", None, {})
        others = {name: naming.free(name, used) for name in prepared.inputs if name != PICTURE}
        yield Node(roles[INPUT], prepared.kind, prepared, {PICTURE: roles[PICTURE], **others})


def of(graph: Graph, tensors: Mapping[str, Any]) -> Iterator[Node]:
    """A node for each array that the graph's calls made, in their order. `tensors`: their results, by name."""
    yield from (node for call in graph.calls if (node := _node(call, graph, tensors)) is not None)


def ended(graph: Graph, tensors: Mapping[str, Any], ends: Sequence[Node]) -> Iterator[Node]:
    """As `of`, with the nodes of a trace's `ends`; the last one is the loss."""
    every = list(of(graph, tensors))
    if not graph.loss:
        yield from (*every, *ends)
        return
    for node in every:
        if node.name != graph.loss:
            yield node
        if node.name == graph.output:
            yield from ends
    yield next(node for node in every if node.name == graph.loss)


def _node(call: Call, graph: Graph, tensors: Mapping[str, Any]) -> Node | None:
    """The call's node; None for one that returns several arrays, each of which has its own node."""
    if not hasattr(tensors[call.name], "shape"):
        return None
    last = any(mark.kind == marks.LAST for mark in graph.hooks.get(call.name, ()))
    hooked = f"the backward hook at {call.name}" if last else ""
    if call.operator != "getitem":
        return replace(_declared(call.name, call, tensors), graded=call.graded, hooked=hooked)
    maker = next(each for each in graph.calls if each.name == call.arguments["input"].name)
    number = call.arguments["index"] % len(tensors[maker.name])
    if maker.mark:
        return _marked(call.name, maker, number, tensors)
    return replace(_declared(call.name, maker, tensors, number), graded=maker.graded, hooked=hooked)


def _declared(name: str, call: Call, tensors: Mapping[str, Any], piece: int | None = None) -> Node:
    """The node, called `name`, of a call's result, or of the piece of it with this number."""
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
        arguments |= {"piece": piece, "pieces": [_shape(each) for each in several]}
        arrays |= {f"result{number}": each for number, each in enumerate(several)}
    op = aten.declare(call.operator, arguments, tuple(tensors[name].shape), arrays)
    if op is None:
        return Node(name, call.operator, None, reads, call.source)
    return Node(name, op.kind, op, {local: reads[local] for local in op.inputs}, call.source)


def _marked(name: str, maker: Call, number: int, tensors: Mapping[str, Any]) -> Node:
    """The output of a module's own autograd.Function, or of an end of a module with backward hooks."""
    reads = [each.name for each in maker.arguments["tensors"]]
    if maker.mark == marks.HOOKS:
        op = shaping.copied(tuple(tensors[name].shape), tuple(tensors[name].shape))
        return Node(name, op.kind, op, {"input": reads[number]}, maker.source, hooked=f"the backward hook at {name}")
    kind = f"{maker.operator}, an autograd.Function"
    return Node(name, kind, None, {f"tensors{place}": each for place, each in enumerate(reads)}, maker.source)


def _shape(piece: Any) -> tuple[int, ...]:
    """The shape of one of several results; some operators return None for one, such as an unwanted gradient."""
    return tuple(piece.shape) if piece is not None else ()


def _mapped(value: Any, change: Callable[[str], Any]) -> Any:
    """A call's arguments with every array's name replaced."""
    if isinstance(value, Ref):
        return change(value.name)
    if isinstance(value, Mapping):
        return {name: _mapped(each, change) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_mapped(each, change) for each in value]
    return value
