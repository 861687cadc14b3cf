"""A graph without regions, which torch.export keeps as separate graphs, for example code under torch.no_grad().

Their calls move up among the others, each with the mode in which it runs. For torch.cond, the branch that the input
takes is traced. Implicit casts of torch.autocast become calls, because they round, and gradients pass through them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pellucid.errors import TraceError
from pellucid.glassbox.trace.lines import line
from pellucid.glassbox.trace.marks import Mark

if TYPE_CHECKING:
    import torch
    from torch import fx

GRADED = "graded"
"""In a node's meta: False if it runs under torch.no_grad()."""
MEASURING = "measuring"
"""In a node's meta: True if it belongs to the loss (measured.py)."""


def flattened(program: torch.export.ExportedProgram, values: Mapping[str, Any], placed: Sequence[Mark]) -> fx.Graph:
    """The program's graph with every region's calls among the others.

    `values`: copies of the placeholders' real arrays, by name; they decide which branch of a torch.cond is traced.
    `placed`: the marks in the program, by number. Raises TraceError for a region whose calls are unknown before it
    runs, such as torch.while_loop.
    """
    from torch import fx

    flat = fx.Graph()
    _Flattening(flat, values, placed).add(program.graph_module, {}, True, top=True)
    return flat


class _Flattening:
    def __init__(self, flat: fx.Graph, values: Mapping[str, Any], placed: Sequence[Mark]) -> None:
        self._flat, self._recorded, self._placed = flat, values, placed
        self._computed: dict[Any, Any] = {}

    def add(self, module: torch.nn.Module, known: dict[Any, Any], graded: bool, top: bool = False) -> Any:
        """Copy a region's nodes; `known`: its nodes -> nodes of the flat graph. Returns the nodes of its output."""
        graph: Any = module.graph
        for node in graph.nodes:
            if node.op == "output":
                if top:
                    self._flat.node_copy(node, lambda each: known[each])
                return _mapped(node.args[0], known)
            if node.op == "placeholder":
                if top:
                    known[node] = self._flat.node_copy(node)
                    self._computed[known[node]] = self._recorded.get(node.name)
            elif node.op == "get_attr":
                known[node] = getattr(module, str(node.target))
            elif _is_region(node):
                known[node] = self._region(node, known, graded)
            elif node.op == "call_function" and isinstance(known.get(_first(node)), list | tuple):
                known[node] = known[_first(node)][node.args[1]]  # an element of a region's result
            else:
                known[node] = self._flat.node_copy(node, lambda each: known[each])
                known[node].meta[GRADED] = graded
        return None

    def _region(self, node: fx.Node, known: dict[Any, Any], graded: bool) -> Any:
        import torch

        name = node.target.name()  # type: ignore[union-attr]
        args = [_mapped(arg, known) for arg in node.args]
        if name == "wrap_with_set_grad_enabled":
            enabled, body, *inputs = args
            return self._inside(body, inputs, bool(enabled))
        if name == "wrap_with_autocast":
            device, dtype, enabled, _cached, body, *inputs = args
            if enabled:
                weights = [isinstance(self._computed.get(each), torch.nn.Parameter) for each in inputs]
                places = [each for each in body.graph.nodes if each.op == "placeholder"]
                body = _with_casts(body, device, dtype, {p for p, w in zip(places, weights, strict=True) if w})
            return self._inside(body, inputs, graded)
        if name == "tag_activation_checkpoint":
            body, *inputs = args
            return self._inside(body, inputs, graded)
        if name == "cond":
            condition, first, second, inputs = args
            return self._inside(first if bool(self._value(condition)) else second, inputs, graded)
        raise TraceError(
            f"The module uses torch's {name} ({line(node) or node.name}), whose steps are not known before it runs; "
            "it cannot be followed. Write the steps as a Python loop."
        )

    def _inside(self, body: torch.nn.Module, inputs: Any, graded: bool) -> Any:
        graph: Any = body.graph
        places = [node for node in graph.nodes if node.op == "placeholder"]
        return self.add(body, dict(zip(places, inputs, strict=True)), graded)

    def _value(self, node: Any) -> Any:
        """A node's number on the real input: for a condition and its inputs."""
        import torch
        from torch import fx

        if not isinstance(node, fx.Node):
            return node
        if node not in self._computed:
            args: Any = fx.map_arg(node.args, self._value)
            kwargs = fx.map_arg(node.kwargs, self._value)
            with torch.no_grad():
                if node.target is torch.ops.pellucid.marked.default:
                    self._computed[node] = self._placed[args[1]].run(args[0])
                else:
                    self._computed[node] = node.target(*args, **kwargs)  # type: ignore[operator]
        return self._computed[node]


def _is_region(node: fx.Node) -> bool:
    import torch

    return node.op == "call_function" and isinstance(node.target, torch._ops.HigherOrderOperator)


def _first(node: fx.Node) -> Any:
    return node.args[0] if node.args else None


def _mapped(value: Any, known: Mapping[Any, Any]) -> Any:
    from torch import fx

    if isinstance(value, fx.Node):
        return known[value]
    if isinstance(value, list | tuple):
        return type(value)(_mapped(each, known) for each in value)
    return value


def _with_casts(body: torch.nn.Module, device: str, dtype: Any, weights: set[Any]) -> torch.nn.Module:
    """A region of torch.autocast in which every cast is a call.

    PyTorch itself says, on stand-ins without numbers, which arguments it would cast. One of the `weights` that is used
    twice is cast once, because autocast caches the casts of weights; any other array is cast for each call.
    """
    import torch

    graph: Any = body.graph
    casts: dict[tuple[Any, ...], Any] = {}
    for node in list(graph.nodes):
        if node.op != "call_function" or not hasattr(node.target, "_schema"):
            continue
        for source, to in _casts(node, device, dtype):
            key = (source, to) if source in weights else (source, to, node)  # autocast caches only leaves
            if key not in casts:
                with graph.inserting_before(node):
                    casts[key] = graph.call_function(torch.ops.aten.to.dtype, (source, to))
                made = casts[key]
                made.meta = {key: value for key, value in node.meta.items() if key != "val"}
                made.meta["val"] = source.meta["val"].to(to)
            node.replace_input_with(source, casts[key])
    return body


def _casts(node: fx.Node, device: str, dtype: Any) -> list[tuple[Any, Any]]:
    """(argument, dtype) of each array that autocast would cast for this call."""
    import torch
    from torch import fx
    from torch.utils._python_dispatch import TorchDispatchMode

    seen: list[tuple[int, Any]] = []

    class Watching(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func is torch.ops.aten._to_copy.default and (kwargs or {}).get("dtype") is not None:
                seen.append((id(args[0]), (kwargs or {})["dtype"]))
            return func(*args, **(kwargs or {}))

    def stand_in(each: fx.Node) -> Any:
        return each.meta["val"]

    args, kwargs = fx.map_arg(node.args, stand_in), fx.map_arg(node.kwargs, stand_in)
    with Watching(), torch.no_grad(), torch.autocast(device, dtype, cache_enabled=False):
        node.target(*args, **kwargs)  # type: ignore[operator]
    by_id = {id(each.meta["val"]): each for each in node.all_input_nodes if "val" in each.meta}
    return [(by_id[number], to) for number, to in seen if number in by_id]
