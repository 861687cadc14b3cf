"""The operators that a module runs, in order, read from torch.export's program (exporting.py).

The calls have the names that users know from their module: `layer1.0.conv1` for that module's output, `layer1.0.add`
for an addition in a forward(), `layer1.0.relu@2` for a module's second use (naming.py).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from pellucid.errors import TraceError
from pellucid.glassbox.arithmetic.ops import aten
from pellucid.glassbox.trace import changes, marks, naming
from pellucid.glassbox.trace.lines import line
from pellucid.glassbox.trace.marks import Mark
from pellucid.glassbox.trace.naming import INPUT, LOSS
from pellucid.glassbox.trace.regions import GRADED, MEASURING

if TYPE_CHECKING:
    import torch
    from torch import Tensor, fx


class Ref(NamedTuple):
    """Stands for the tensor with this name in a call's arguments."""

    name: str


@dataclass(frozen=True)
class Call:
    """The call of one operator."""

    name: str
    operator: str
    """PyTorch's name, "conv2d", the key of its declaration (ops/aten.py)."""
    run: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    arguments: Mapping[str, Any]
    """The arguments by name, with defaults filled in; tensors are Refs."""
    source: str
    """The line of the module's own code that made the call, or ""."""
    graded: bool = True
    """False if it runs under torch.no_grad()."""
    mark: str = ""
    """marks.FUNCTION or marks.HOOKS, if it is not an operator of PyTorch's."""


@dataclass(frozen=True)
class Graph:
    """A module's calls in their order of execution; `output` is the name of its result."""

    calls: tuple[Call, ...]
    parameters: tuple[str, ...]
    buffers: tuple[str, ...]
    constants: Mapping[str, Tensor]
    output: str
    shape: tuple[int, ...]
    """Shape of the module's result."""
    roles: Mapping[str, str]
    """The beginning and end of a run (naming.ROLES) -> its unique name here."""
    hooks: Mapping[str, tuple[Mark, ...]] = field(default_factory=dict)
    """Array -> the hooks that the module sets on its gradient while it runs."""
    loss: str = ""
    """The name of the user's loss, if it was traced too."""

    def scored(self) -> Graph:
        """The graph without its loss."""
        needed, calls = {self.output}, []
        for call in reversed(self.calls):
            if call.name in needed:
                calls.append(call)
                _mapped((call.args, dict(call.kwargs)), lambda ref: needed.add(ref.name))
        return replace(self, calls=tuple(reversed(calls)), loss="")


def read(
    program: torch.export.ExportedProgram,
    flat: fx.Graph,
    placed: Sequence[Mark],
    first_names: Mapping[str, str],
    beside: Collection[str] = (),
) -> Graph:
    """The calls of an exported program. `flat`: its graph without regions. `placed`: the marks in it, by number.

    `first_names`: every name of a parameter, buffer or constant -> its name in the trace. `beside`: the loss's names,
    which do not change. Raises TraceError.
    """
    names: dict[str, str] = {}
    parameters, buffers, constants = [], [], {}
    placeholders = [node for node in flat.nodes if node.op == "placeholder"]  # a copy may have another name
    kinds = [spec.kind.name for spec in program.graph_signature.input_specs]
    graded = {"PARAMETER", "USER_INPUT"}
    changes.followed(flat, {node for node, kind in zip(placeholders, kinds, strict=True) if kind in graded})
    nodes, hooks = _needed(flat)
    for spec, node in zip(program.graph_signature.input_specs, placeholders, strict=True):
        kind, own = spec.kind.name, str(spec.target)
        target = first_names.get(own, own)
        names[node.name] = _UNNAMED + INPUT if kind == "USER_INPUT" else target
        if kind == "USER_INPUT" or target in (*parameters, *buffers):
            continue
        if kind == "CONSTANT_TENSOR" or own in beside:
            value: Any = program.state_dict[own] if own in program.state_dict else program.constants[own]
            constants[target] = value.detach()
        else:
            (parameters if kind == "PARAMETER" else buffers).append(target)
    calls: list[Call] = []
    for group in _grouped(nodes):
        call = _norm_pooling(group, names) if len(group) > 1 else _call(group[0], names, placed)
        names[group[-1].name] = _UNNAMED + group[-1].name
        calls.append(replace(call, graded=group[-1].meta.get(GRADED, True)))
    results: Any = next(node for node in flat.nodes if node.op == "output").args[0]
    measured = results[1] if any(MEASURING in node.meta for node in nodes) else None
    if len(results) != (1 if measured is None else 2) or not hasattr(results[0], "name"):
        what = f"{len(results)} results" if len(results) != 1 else f"{results[0]!r}"
        raise TraceError(f"The module returns {what}; it must return one tensor of class scores.")
    shape = tuple(results[0].meta["val"].shape) if "val" in results[0].meta else ()
    on: dict[str, tuple[Mark, ...]] = {}
    for hook in hooks:
        source: Any = hook.args[0]
        on[names[source.name]] = (*on.get(names[source.name], ()), placed[hook.args[1]])  # type: ignore[index]
    graph = Graph((), tuple(parameters), tuple(buffers), constants, names[results[0].name], shape, {}, on)
    graph = replace(graph, loss=names[measured.name] if measured is not None else "")
    return _named(calls, nodes, graph, {*first_names, *constants})


_UNNAMED = "%"
"""Temporary prefix of the names of calls and of the input: no parameter's name begins with it."""


def _needed(graph: fx.Graph) -> tuple[list[fx.Node], list[fx.Node]]:
    """(the calls that the output depends on, the hooks on what they return)"""
    output = next(node for node in graph.nodes if node.op == "output")
    needed, waiting = set(), list(output.all_input_nodes)
    while waiting:
        node = waiting.pop()
        if node not in needed:
            needed.add(node)
            waiting.extend(node.all_input_nodes)
    calls = [node for node in graph.nodes if node.op == "call_function"]
    hooks = [node for node in calls if _name_of(node) == marks.HOOKED and node.args[0] in needed]
    return [node for node in calls if node in needed], hooks


def _name_of(node: fx.Node) -> str:
    target: Any = node.target
    return aten.name_of(target) if hasattr(target, "_schema") else ""


def _grouped(nodes: list[fx.Node]) -> list[list[fx.Node]]:
    """Single calls, but the eight of which F.lp_pool2d consists together: users know it as one."""
    groups, start = [], 0
    while start < len(nodes):
        run = nodes[start : start + len(_LP_POOL)]
        whole = [_name_of(node) for node in run] == _LP_POOL
        whole = whole and len({_module(n)[0] for n in run}) == 1 and run[0].args[1] == 2 and run[-1].args[1] == 0.5
        groups.append(run if whole else nodes[start : start + 1])
        start += len(groups[-1])
    return groups


_LP_POOL = ["pow", "avg_pool2d", "sign", "abs", "relu", "mul", "mul", "pow"]


def _norm_pooling(group: list[fx.Node], names: Mapping[str, str]) -> Call:
    import torch.nn.functional as F

    pool = aten.bound(group[1].target, group[1].args, group[1].kwargs)  # type: ignore[arg-type]
    settings = {"norm_type": 2.0, "kernel_size": tuple(pool["kernel_size"]), "stride": tuple(pool["stride"]) or None}
    source = Ref(names[group[0].args[0].name])  # type: ignore[union-attr]
    arguments = {"input": source, **settings, "stride": settings["stride"] or ()}
    settings["ceil_mode"] = bool(pool["ceil_mode"])
    return Call(
        "", "lp_pool2d", F.lp_pool2d, (source,), settings, arguments | {"ceil_mode": pool["ceil_mode"]}, line(group[0])
    )


def _call(node: fx.Node, names: Mapping[str, str], placed: Sequence[Mark]) -> Call:
    def referred(node: fx.Node) -> Ref:
        return Ref(names[node.name])

    args, kwargs = _mapped(tuple(node.args), referred), _mapped(dict(node.kwargs), referred)
    target: Any = node.target
    if not hasattr(target, "_schema"):  # operator.getitem on several results
        return Call("", "getitem", target, args, kwargs, {"input": args[0], "index": args[1]}, line(node))
    if _name_of(node) == marks.MARKED:
        mark, tensors = placed[args[1]], args[0]
        return Call("", mark.called, mark.run, (tensors,), {}, {"tensors": tensors}, line(node), mark=mark.kind)
    if _name_of(node) == changes.OVERWRITTEN:
        arguments = {"input": args[0], "value": args[1]}
        return Call("", changes.OVERWRITTEN, changes.overwritten, args, kwargs, arguments, line(node))
    run = target
    if changes.written(target) and not changes.alone(target):
        run = changes.on_copies(target)
    elif changes.written(target):
        run = _without_change(target)
        kwargs = {name: value for name, value in kwargs.items() if name != changes.OUT}
    named = run if hasattr(run, "_schema") else target
    return Call("", aten.name_of(target), run, args, kwargs, aten.bound(named, args, kwargs), line(node))


def _without_change(target: torch._ops.OpOverload) -> Any:
    """aten.relu.default for aten.relu_.default, aten.div.Tensor for aten.div.out."""
    import torch

    if aten.name_of(target) == "copy":  # PyTorch has an out-of-place one, without a derivative
        return lambda shape, src, *_: torch.empty_like(shape, requires_grad=False).copy_(src)
    packet = getattr(torch.ops.aten, aten.name_of(target), None)
    overload = getattr(packet, target._overloadname, None)
    if any(argument.name == changes.OUT for argument in target._schema.arguments):
        taken = [argument.name for argument in target._schema.arguments if argument.name != changes.OUT]
        every = [getattr(packet, name) for name in packet.overloads()] if packet is not None else []
        overload = next((each for each in every if [a.name for a in each._schema.arguments] == taken), None)
    if overload is not None:
        return overload
    if target._schema.arguments[0].alias_info is None:
        raise TraceError(f"The module changes an array in place by {target}, which cannot be followed.")
    # such as bernoulli_, which fills an array: it runs on a copy instead
    return lambda array, *args, **kwargs: target(array.clone(), *args, **kwargs)


def _named(calls: Sequence[Call], nodes: list[fx.Node], graph: Graph, others: set[str]) -> Graph:
    """Rename the calls, and all references to them, to the names that users know.

    `others`: the names of the module's parameters and buffers, used or not.
    """
    ids = [_UNNAMED + group[-1].name for group in _grouped(nodes)]
    made = dict(zip(ids, calls, strict=True))
    several = {call.args[0].name for call in calls if call.operator == "getitem"}
    places = []
    for group, each, call in zip(_grouped(nodes), ids, calls, strict=True):
        # a call with several results is not shown; each piece takes its name
        if each not in several and each != graph.loss:
            maker = made[call.args[0].name] if call.operator == "getitem" else call
            beside = maker.mark == marks.HOOKS or group[-1].meta.get(MEASURING, False)
            places.append(naming.Place(each, _module(group[-1])[0], maker.operator, beside))
    names, roles = naming.names(places, others)
    names |= {each: f"{each.removeprefix(_UNNAMED)} (all)" for each in several}
    names |= {_UNNAMED + INPUT: roles[INPUT], **({graph.loss: roles[LOSS]} if graph.loss else {})}

    identified = tuple(replace(call, name=each) for each, call in made.items())
    return replace(renamed(replace(graph, calls=identified), names), roles=roles)


def renamed(graph: Graph, names: Mapping[str, str]) -> Graph:
    """The same graph with other names for its arrays, everywhere."""

    def ref(old: Ref) -> Ref:
        return Ref(names.get(old.name, old.name))

    calls = tuple(
        replace(
            call,
            name=names.get(call.name, call.name),
            args=_mapped(call.args, ref),
            kwargs=_mapped(call.kwargs, ref),
            arguments=_mapped(call.arguments, ref),
        )
        for call in graph.calls
    )
    hooks = {names.get(name, name): on for name, on in graph.hooks.items()}
    output, loss = (names.get(name, name) for name in (graph.output, graph.loss))
    return replace(graph, calls=calls, output=output, loss=loss, hooks=hooks)


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """A call's arguments with every node or Ref in them replaced."""
    if isinstance(value, Ref) or hasattr(value, "all_input_nodes"):
        return change(value)
    if isinstance(value, dict):
        return {key: _mapped(each, change) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_mapped(each, change) for each in value)
    return value


def _module(node: fx.Node) -> tuple[str, str]:
    """(path, class name) of the innermost module that the call was made in."""
    stack = node.meta.get("nn_module_stack") or {"": ("", "")}
    path, kind = list(stack.values())[-1]
    return path.split("@")[0], kind if isinstance(kind, str) else kind.__name__
