"""The operators that a module runs, one after the other, taken by torch.export: any torch.nn.Module, nothing inherited.

The calls are named as people find them in their module: `layer1.0.conv1` for what that module computes,
`layer1.0.add` for an addition in a forward(), `layer1.0.relu@2` for a module's second use.
"""

from __future__ import annotations

import logging
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pellucid.errors import TraceError
from pellucid.glassbox.ops import aten

if TYPE_CHECKING:
    import torch
    from torch import Tensor, fx

INPUT = "input"


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

    logging.disable(logging.WARNING)  # what it logs on failing is in the error, said shorter
    try:
        with torch.no_grad():
            program = torch.export.export(module, (input,))
    except Exception as error:  # torch.export raises whatever the module's code raises, and some ten types of its own
        raise TraceError(_reason(module, error)) from error
    finally:
        logging.disable(logging.NOTSET)
    return _graph(program)


def _graph(program: torch.export.ExportedProgram) -> Graph:
    nodes = _needed(program.graph)
    names: dict[str, str] = {}
    parameters, buffers, constants = [], [], {}
    for spec in program.graph_signature.input_specs:
        kind, target = spec.kind.name, spec.target
        names[spec.arg.name] = INPUT if kind == "USER_INPUT" else str(target)
        if kind == "PARAMETER":
            parameters.append(target)
        elif kind == "BUFFER":
            buffers.append(target)
        elif kind == "CONSTANT_TENSOR":
            constants[str(target)] = program.constants[str(target)]
    calls: list[Call] = []
    for group in _grouped(nodes):
        call = _norm_pooling(group, names) if len(group) > 1 else _call(group[0], names)
        names[group[-1].name] = group[-1].name
        calls.append(call)
    results = next(node for node in program.graph.nodes if node.op == "output").args[0]
    if len(results) != 1 or not hasattr(results[0], "name"):
        raise TraceError(f"The module returns {len(results)} results; one tensor of class scores can be followed.")
    return _named(calls, nodes, Graph((), tuple(parameters), tuple(buffers), constants, names[results[0].name]))


def _needed(graph: fx.Graph) -> list[fx.Node]:
    """The calls that the output depends on, with every change in place turned into a new value."""
    current: dict[fx.Node, fx.Node] = {}
    for node in list(graph.nodes):
        if node.op != "call_function":
            node.args = _mapped(node.args, lambda arg: current.get(arg, arg))
            continue
        node.args = _mapped(node.args, lambda arg: current.get(arg, arg))
        node.kwargs = _mapped(node.kwargs, lambda arg: current.get(arg, arg))
        schema = getattr(node.target, "_schema", None)
        if schema is not None and schema.is_mutable and schema.arguments[0].alias_info is not None:
            changed = node.args[0]
            _refuse_views(changed, node, graph)
            # whoever reads it from here on reads what the change has made of it
            for name in [changed, *(old for old, new in current.items() if new is changed)]:
                current[name] = node
    output = next(node for node in graph.nodes if node.op == "output")
    needed, waiting = set(), list(output.all_input_nodes)
    while waiting:
        node = waiting.pop()
        if node not in needed:
            needed.add(node)
            waiting.extend(node.all_input_nodes)
    return [node for node in graph.nodes if node.op == "call_function" and node in needed]


_VIEWS = {"select", "slice", "view", "chunk", "split", "transpose", "permute", "squeeze", "unsqueeze", "expand"}


def _refuse_views(changed: fx.Node, node: fx.Node, graph: fx.Graph) -> None:
    """A change through a view changes the viewed array too, which a list of values in order cannot show."""
    target: Any = changed.target
    if hasattr(target, "_schema") and aten.name_of(target) in _VIEWS and len(changed.all_input_nodes[0].users) > 1:
        raise TraceError(
            f"The module changes part of an array in place ({_line(node) or node.name}), which cannot be followed. "
            "Write the result to a new array."
        )


def _grouped(nodes: list[fx.Node]) -> list[list[fx.Node]]:
    """Each call alone, but the eight of which torch.nn.LPPool2d is made together: people know it as one."""
    groups, start = [], 0
    while start < len(nodes):
        run = nodes[start : start + len(_LP_POOL)]
        targets: list[Any] = [node.target for node in run]
        whole = [aten.name_of(target) if hasattr(target, "_schema") else "" for target in targets] == _LP_POOL
        whole = whole and all(_module(n)[1].endswith("LPPool2d") for n in run) and run[0].args[1] == 2
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
    return Call("", "lp_pool2d", F.lp_pool2d, (source,), settings, arguments | {"ceil_mode": pool["ceil_mode"]}, "")


def _call(node: fx.Node, names: Mapping[str, str]) -> Call:
    def referred(node: fx.Node) -> Ref:
        return Ref(names[node.name])

    args, kwargs = _mapped(tuple(node.args), referred), _mapped(dict(node.kwargs), referred)
    target: Any = node.target
    if not hasattr(target, "_schema"):  # an element of several results, operator.getitem
        return Call("", "getitem", target, args, kwargs, {"input": args[0], "index": args[1]}, _line(node))
    if target._schema.is_mutable and target._schema.arguments[0].alias_info is not None:
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
    operators = [call.operator for call in calls]
    different: dict[str, set[str]] = {}
    for path, operator in zip(paths, operators, strict=True):
        different.setdefault(path, set()).add(operator)
    taken: Counter[str] = Counter()
    names: dict[str, str] = {}
    for group, path, operator in zip(groups, paths, operators, strict=True):
        alone = path and len(different[path]) == 1
        name = path if alone else f"{path}.{operator}" if path else operator
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


def _reason(module: torch.nn.Module, error: Exception) -> str:
    import torch

    home = str(Path(torch.__file__).parent)
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(home)]
    own = [frame for frame in own if Path(frame.filename).resolve() != Path(__file__).resolve()]
    said = str(error).strip().splitlines() or [type(error).__name__]
    where = f" At {Path(own[-1].filename).name}:{own[-1].lineno}: {own[-1].line}." if own else _quoted(str(error))
    name = type(module).__name__
    return f"{name} cannot be followed by torch.export: {said[0].rstrip('.')}.{where}"


def _quoted(message: str) -> str:
    """The line of the module's code that torch.export names in its message, where it names one."""
    lines = message.splitlines()
    for number, line in enumerate(lines[:-1]):
        if line.strip().startswith('File "') and "/torch/" not in line:
            return f" At {line.strip().removeprefix('File ')}: {lines[number + 1].strip()}."
    return ""
