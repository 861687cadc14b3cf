"""The operators that a module runs, one after the other, taken by torch.export: any torch.nn.Module, nothing inherited.

The calls are named as people find them in their module: `layer1.0.conv1` for what that module computes,
`layer1.0.add` for an addition in a forward(), `layer1.0.relu@2` for a module's second use.
"""

from __future__ import annotations

import io
import logging
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from pellucid.errors import TraceError
from pellucid.glassbox.ops import aten

if TYPE_CHECKING:
    import torch
    from torch import Tensor, fx

INPUT = "input"
_exporting = threading.Lock()  # what silences torch.export is the process's, and two would undo each other's


class Ref(NamedTuple):
    """Stands for the tensor of this name in a call's arguments."""

    name: str


@dataclass(frozen=True)
class Call:
    """One operator's call."""

    name: str
    operator: str
    """PyTorch's name, "conv2d", by which its declaration is found (ops/aten.py)."""
    run: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    arguments: Mapping[str, Any]
    """The same by name with defaults filled in; tensors are Refs."""
    source: str
    """The line of the module's own code that made the call, or ""."""


@dataclass(frozen=True)
class Graph:
    """A module's calls in the order in which they run; `output` is the name of what it returns."""

    calls: tuple[Call, ...]
    parameters: tuple[str, ...]
    buffers: tuple[str, ...]
    constants: Mapping[str, Tensor]
    output: str


def capture(module: torch.nn.Module, input: Tensor) -> Graph:
    """Follow a module on an input (N, ...) of the shape that it will be run on; weights may change afterwards.

    Raises TraceError where torch.export cannot follow it, with the reason and the line of the module's code.
    """
    import torch

    try:
        with _exporting, _silence(), torch.no_grad():
            program = torch.export.export(module, (input,))
    except Exception as error:  # torch.export raises whatever the module's code raises, and some ten types of its own
        raise TraceError(_reason(module, input, error)) from error
    return _graph(program, _first_names(module))


@contextmanager
def _silence() -> Iterator[None]:
    """What torch.export logs and prints on failing is in the error, said shorter."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(before)


def _first_names(module: torch.nn.Module) -> dict[str, str]:
    """Every name of a parameter or buffer -> the first name of the same one: parts may be shared."""
    everything = [
        *module.named_parameters(remove_duplicate=False),
        *module.named_buffers(remove_duplicate=False),
    ]
    first: dict[int, str] = {}
    for name, tensor in everything:
        first.setdefault(id(tensor), name)
    return {name: first[id(tensor)] for name, tensor in everything}


def _graph(program: torch.export.ExportedProgram, first_names: Mapping[str, str]) -> Graph:
    nodes = _needed(program.graph)
    names: dict[str, str] = {}
    parameters, buffers, constants = [], [], {}
    for spec in program.graph_signature.input_specs:
        kind, target = spec.kind.name, first_names.get(str(spec.target), str(spec.target))
        names[spec.arg.name] = INPUT if kind == "USER_INPUT" else target
        if kind == "PARAMETER" and target not in parameters:
            parameters.append(target)
        elif kind == "BUFFER" and target not in buffers:
            buffers.append(target)
        elif kind == "CONSTANT_TENSOR":
            constants[target] = program.constants[target]
    calls: list[Call] = []
    for group in _grouped(nodes):
        call = _norm_pooling(group, names) if len(group) > 1 else _call(group[0], names)
        names[group[-1].name] = group[-1].name
        calls.append(call)
    results = next(node for node in program.graph.nodes if node.op == "output").args[0]
    if len(results) != 1 or not hasattr(results[0], "name"):
        what = f"{len(results)} results" if len(results) != 1 else f"{results[0]!r}"
        raise TraceError(f"The module returns {what}; one tensor of class scores can be followed.")
    return _named(calls, nodes, Graph((), tuple(parameters), tuple(buffers), constants, names[results[0].name]))


def _needed(graph: fx.Graph) -> list[fx.Node]:
    """The calls that the output depends on, with every change in place turned into a new value."""
    current: dict[fx.Node, fx.Node] = {}
    places: dict[fx.Node, _Place] = {}
    order = {node: number for number, node in enumerate(graph.nodes)}
    last_read = {node: max((order[user] for user in node.users), default=-1) for node in graph.nodes}
    for node in list(graph.nodes):
        if node.op != "call_function":
            places[node] = _Place(node)
            node.args = _mapped(node.args, lambda arg: current.get(arg, arg))
            continue
        node.args = _mapped(node.args, lambda arg: current.get(arg, arg))
        node.kwargs = _mapped(node.kwargs, lambda arg: current.get(arg, arg))
        changed = _changed(node)
        places[node] = places[changed] if changed is not None else _place(node, places)
        if changed is not None:
            # whoever reads it from here on reads what the change has made of it
            for name in [changed, *(old for old, new in current.items() if new is changed)]:
                current[name] = node
            for other, place in places.items():
                stale = other is not node and current.get(other) is not node and last_read[other] > order[node]
                if stale and place.overlaps(places[node]):
                    raise TraceError(
                        f"The module changes an array in place ({_line(node) or node.name}) that it reads in another "
                        "form as well, a part or a view, which cannot be followed. Write the result to a new array."
                    )
    output = next(node for node in graph.nodes if node.op == "output")
    needed, waiting = set(), list(output.all_input_nodes)
    while waiting:
        node = waiting.pop()
        if node not in needed:
            needed.add(node)
            waiting.extend(node.all_input_nodes)
    return [node for node in graph.nodes if node.op == "call_function" and node in needed]


class _Place(NamedTuple):
    """Where an array's numbers lie in memory."""

    owner: fx.Node
    """The call that made them; views of its result have the same."""
    pieces: Mapping[fx.Node, int] = MappingProxyType({})
    """Where they are a piece of what a chunk or split made: that call -> which piece."""

    def overlaps(self, other: _Place) -> bool:
        same = all(other.pieces.get(call, piece) == piece for call, piece in self.pieces.items())
        return self.owner is other.owner and same


def _place(node: fx.Node, places: Mapping[fx.Node, _Place]) -> _Place:
    """A view lies where what it views lies, and so may what some operators return that need not change anything."""
    source: Any = node.args[0] if node.args else None
    piece: Any = node.args[1] if len(node.args) > 1 else None
    if not hasattr(source, "all_input_nodes"):
        return _Place(node)
    target: Any = node.target
    if not hasattr(target, "_schema"):  # an element of several results
        whole = places[source]
        return _Place(node) if whole.owner is source else _Place(whole.owner, {**whole.pieces, source: piece})
    views = any(each.alias_info is not None for each in target._schema.returns)
    return places[source] if views or aten.name_of(target).endswith("dropout") else _Place(node)


def _changed(node: fx.Node) -> fx.Node | None:
    """The array that a call changes in place, if it does. Raises TraceError: it is not the one that is returned."""
    schema = getattr(node.target, "_schema", None)
    if schema is None or not schema.is_mutable:
        return None
    written = [a.name for a in schema.arguments if a.alias_info is not None and a.alias_info.is_write]
    first: Any = node.args[0] if node.args else None
    if written != [schema.arguments[0].name] or not hasattr(first, "all_input_nodes"):
        raise TraceError(
            f"The module writes into another array ({_line(node) or node.name}), which cannot be followed. "
            "Use what the operator returns."
        )
    return first


def _grouped(nodes: list[fx.Node]) -> list[list[fx.Node]]:
    """Each call alone, but the eight of which F.lp_pool2d is made together: people know it as one."""
    groups, start = [], 0
    while start < len(nodes):
        run = nodes[start : start + len(_LP_POOL)]
        targets: list[Any] = [node.target for node in run]
        whole = [aten.name_of(target) if hasattr(target, "_schema") else "" for target in targets] == _LP_POOL
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
        "", "lp_pool2d", F.lp_pool2d, (source,), settings, arguments | {"ceil_mode": pool["ceil_mode"]}, _line(group[0])
    )


def _call(node: fx.Node, names: Mapping[str, str]) -> Call:
    def referred(node: fx.Node) -> Ref:
        return Ref(names[node.name])

    args, kwargs = _mapped(tuple(node.args), referred), _mapped(dict(node.kwargs), referred)
    target: Any = node.target
    if not hasattr(target, "_schema"):  # an element of several results, operator.getitem
        return Call("", "getitem", target, args, kwargs, {"input": args[0], "index": args[1]}, _line(node))
    if target._schema.is_mutable:
        target = _without_change(target)
    return Call("", aten.name_of(target), target, args, kwargs, aten.bound(target, args, kwargs), _line(node))


def _without_change(target: torch._ops.OpOverload) -> Any:
    """aten.relu.default for aten.relu_.default."""
    import torch

    packet = getattr(torch.ops.aten, aten.name_of(target), None)
    overload = getattr(packet, target._overloadname, None)
    if overload is None:
        raise TraceError(f"The module changes an array in place by {target}, which cannot be followed.")
    return overload


def _named(calls: Sequence[Call], nodes: list[fx.Node], graph: Graph) -> Graph:
    """Calls under the names that people look for, and every reference to them likewise."""
    groups = _grouped(nodes)
    paths = [_module(group[-1])[0] for group in groups]
    made = {group[-1].name: call for group, call in zip(groups, calls, strict=True)}
    several = {call.args[0].name for call in calls if call.operator == "getitem"}
    # a piece is known by what made it; what returns several pieces is not shown itself
    operators = [made[call.args[0].name].operator if call.operator == "getitem" else call.operator for call in calls]
    different: dict[str, set[str]] = {}
    for path, operator in zip(paths, operators, strict=True):
        different.setdefault(path, set()).add(operator)
    taken: Counter[str] = Counter()
    names: dict[str, str] = {}
    for group, path, operator in zip(groups, paths, operators, strict=True):
        alone = path and len(different[path]) == 1
        name = path if alone else f"{path}.{operator}" if path else operator
        if group[-1].name in several:
            names[group[-1].name] = f"{group[-1].name} (all)"
            continue
        taken[name] += 1
        names[group[-1].name] = name if taken[name] == 1 else f"{name}@{taken[name]}"

    def renamed(ref: Ref) -> Ref:
        return Ref(names.get(ref.name, ref.name))

    done = tuple(
        replace(
            call,
            name=names[group[-1].name],
            args=_mapped(call.args, renamed),
            kwargs=_mapped(call.kwargs, renamed),
            arguments=_mapped(call.arguments, renamed),
        )
        for group, call in zip(groups, calls, strict=True)
    )
    return replace(graph, calls=done, output=names.get(graph.output, graph.output))


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


def _line(node: fx.Node) -> str:
    """`model.py:12: x = self.conv(x)`: the innermost line that is not PyTorch's own."""
    lines = (node.meta.get("stack_trace") or "").strip().splitlines()
    places = [(where.strip(), code.strip()) for where, code in zip(lines[::2], lines[1::2], strict=False)]
    own = [(where, code) for where, code in places if "/torch/" not in where.replace("\\", "/")]
    if not own:
        return ""
    where, code = own[-1]
    parts = where.split('"')
    number = parts[2].split(",")[1].replace("line", "").strip() if len(parts) > 2 else "?"
    return f"{Path(parts[1]).name if len(parts) > 1 else where}:{number}: {code}"


def _reason(module: torch.nn.Module, input: Tensor, error: Exception) -> str:
    import torch

    home = str(Path(torch.__file__).parent)
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(home)]
    own = [frame for frame in own if Path(frame.filename).resolve() != Path(__file__).resolve()]
    own = [frame for frame in own if frame.line]  # code that was made while running has none
    said = str(error).strip().splitlines() or [type(error).__name__]
    where = f" At {Path(own[-1].filename).name}:{own[-1].lineno}: {own[-1].line}." if own else _quoted(str(error))
    name = type(module).__name__
    shape = "x".join(map(str, input.shape))
    return f"{name} cannot be followed by torch.export on an input of {shape}: {said[0].rstrip('.')}.{where}"


def _quoted(message: str) -> str:
    """The line of the module's code that torch.export names in its message, where it names one."""
    lines = message.splitlines()
    for number, line in enumerate(lines[:-1]):
        if line.strip().startswith('File "') and "/torch/" not in line:
            return f" At {line.strip().removeprefix('File ')}: {lines[number + 1].strip()}."
    return ""
