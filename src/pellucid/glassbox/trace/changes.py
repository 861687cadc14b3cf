"""Turn in-place changes into new values: a call that reads an array after a change reads the changed value.

Several arrays can share their numbers: a slice, a transpose, the result of `detach`. When one of them changes, its base
is made again with the changed numbers in their places. Every other view of the base that is read later is made again
too, by its original call.

    y[:, 0] = 0         select = y[:, 0];  fill = 0 everywhere;  y from here on: select_scatter(y, fill, 1, 0)

Under torch.no_grad(), or through detach(), PyTorch changes the numbers of an array and not its gradient: `overwritten`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from pellucid.errors import TraceError
from pellucid.glassbox.arithmetic.ops import aten
from pellucid.glassbox.trace.lines import line
from pellucid.glassbox.trace.regions import GRADED

if TYPE_CHECKING:
    from torch import Tensor, fx

OUT = "out"
OVERWRITTEN = "overwritten"
_PASS_THROUGH = ("to", "_to_copy", "type_as", "contiguous", "alias", "detach")
"""Operators that return their input's numbers at the same places, if they return a view at all."""
_RESIZED = ("resize", "resize_as", "set")


def followed(graph: fx.Graph, graded: set[fx.Node]) -> None:
    """Make every call of a graph read an array's contents at that moment. No call's result changes afterwards.

    `graded`: the placeholders that have a gradient. Raises TraceError for a change of an array's size.
    """
    _Following(graph, graded).run()


def written(target: Any) -> list[str]:
    """The names of the arguments that a PyTorch operator changes in place."""
    schema = getattr(target, "_schema", None)
    if schema is None or not schema.is_mutable:
        return []
    return [a.name for a in schema.arguments if a.alias_info is not None and a.alias_info.is_write]


def alone(target: Any) -> bool:
    """Whether an operator changes one array and returns it."""
    names = written(target)
    return names in ([OUT], [target._schema.arguments[0].name]) and len(target._schema.returns) == 1


def on_copies(target: Any) -> Any:
    """A function that returns an operator's result, then the new value of each array that it changes."""
    import torch

    changed = set(written(target))
    names = [argument.name for argument in target._schema.arguments]

    def run(*args: Any, **kwargs: Any) -> list[Any]:
        filled = dict(zip(names, args, strict=False)) | kwargs
        copies = {name: filled[name].clone() for name in names if name in changed and filled.get(name) is not None}
        count = len(args)
        inputs = [copies.get(name, value) for name, value in zip(names, args, strict=False)]
        result = target(*inputs, **{name: copies.get(name, filled[name]) for name in names[count:] if name in filled})
        results = [result] if isinstance(result, torch.Tensor) else list(result or ())
        return [*results, *copies.values()]

    return run


def overwritten(sample: Tensor, value: Tensor) -> Tensor:
    """The numbers of `value`; the whole gradient goes to `sample`."""
    return _overwriting().apply(sample, value) if sample.requires_grad else value


@cache
def _overwriting() -> Any:
    import torch

    class Overwriting(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, sample: Tensor, value: Tensor) -> Tensor:
            return value.clone()

        @staticmethod
        def backward(ctx: Any, *gradients: Any) -> Any:
            return gradients[0], None

    return Overwriting


class _Memory:
    """Numbers that several arrays may share."""

    def __init__(self) -> None:
        self.changes = 0


class _Array:
    """One array in the module's code: `latest` has its numbers after this many `changes`."""

    def __init__(self, latest: fx.Node, parent: _Array | None = None, made: Sequence[fx.Node] = ()) -> None:
        self.latest, self.parent, self.made = latest, parent, tuple(made)
        """A view is made from its parent by one call, or by a call with several results and the choice of one."""
        self.source = parent.latest if parent is not None else None  # stands for the parent in these calls
        self.memory = parent.memory if parent is not None else _Memory()
        self.changes = self.memory.changes


class _Following:
    def __init__(self, graph: fx.Graph, graded: set[fx.Node]) -> None:
        self._graph, self._tracked = graph, dict.fromkeys(graded, True)
        self._arrays: dict[fx.Node, _Array] = {}
        self._place: Any = None

    def run(self) -> None:
        for node in list(self._graph.nodes):
            self._place = node
            inputs = node.all_input_nodes  # by the names of the module's code
            targets = list(self._targets(node))
            node.args, node.kwargs = self._mapped(node.args), self._mapped(node.kwargs)
            if not written(node.target) or node.op != "call_function":
                self._arrays[node] = self._made(node, inputs)
            elif any(tag.name == "inplace_view" for tag in node.target.tags):  # type: ignore[union-attr]
                self._turn(node, targets[0])
            elif alone(node.target):
                self._arrays[node] = array = self._arrays[targets[0]]
                self._change(array, node)
            else:
                self._change_several(node, targets)

    def _targets(self, node: fx.Node) -> Iterator[fx.Node]:
        """The arrays that a call changes."""
        names = written(node.target)
        if not names:
            return
        bound = aten.bound(node.target, node.args, node.kwargs)  # type: ignore[arg-type]
        if _name(node) in _RESIZED:
            raise TraceError(
                f"The module changes the size or the memory of an array ({line(node) or node.name}), which cannot be "
                "followed. Make a new array instead."
            )
        for name in names:
            array = bound[name if name in bound else "input"]
            if isinstance(array, list | tuple):
                raise TraceError(
                    f"The module changes a list of arrays in one call ({line(node) or node.name}), which cannot be "
                    "followed. Change each by itself."
                )
            if array is not None:
                yield array

    def _mapped(self, value: Any) -> Any:
        from torch import fx

        return fx.map_arg(value, lambda node: self._read(self._arrays[node]) if node in self._arrays else node)

    def _read(self, array: _Array) -> fx.Node:
        """The node that has an array's current numbers: for an outdated view, a new one."""
        if array.parent is None or array.changes == array.memory.changes:
            return array.latest
        replaced = {array.source: self._read(array.parent)}
        with self._graph.inserting_before(self._place):
            for call in array.made:
                replaced[call] = self._graph.node_copy(call, lambda node: replaced.get(node, node))
        array.latest, array.changes = replaced[array.made[-1]], array.memory.changes
        return array.latest

    def _made(self, node: fx.Node, inputs: Sequence[fx.Node]) -> _Array:
        """The array that a call returns: a view of an array that it reads, or a new one."""
        calls = [node]
        if node.op == "call_function" and not hasattr(node.target, "_schema") and inputs:  # one of several results
            calls = [inputs[0], node]
            inputs = [each for each, known in self._arrays.items() if known.latest in inputs[0].all_input_nodes]
        storage = _storage(node)
        for each in inputs:
            same = storage is not None and storage == _storage(each)
            if each in self._arrays and (same or (each is inputs[0] and _hands_on(node))):
                parent = self._arrays[each]
                self._read(parent)
                if parent.latest in calls[0].all_input_nodes:
                    return _Array(node, parent, calls)
        return _Array(node)

    def _turn(self, node: fx.Node, target: fx.Node) -> None:
        """For a change of the axes alone, such as transpose_: from here on, the array's name means a view of it."""
        array = self._arrays[target]
        old = _Array(array.latest, array.parent, array.made)
        old.source, old.memory, old.changes = array.source, array.memory, array.changes
        for each in self._arrays.values():
            if each.parent is array:
                each.parent = old
        array.latest, array.parent, array.made, array.source = node, old, (node,), old.latest
        self._arrays[node] = array

    def _change_several(self, node: fx.Node, targets: Sequence[fx.Node]) -> None:
        """For an operator that changes several arrays: its result, and the new value of each: see `on_copies`."""
        import operator

        returned: Any = node.meta.get("val")
        values = list(returned) if isinstance(returned, list | tuple) else [returned] * len(_returns(node))
        arrays = [self._arrays[target] for target in targets]
        values += [array.latest.meta.get("val") for array in arrays]
        place, pieces = node, []
        for number, value in enumerate(values):
            with self._graph.inserting_after(place):
                place = self._graph.call_function(operator.getitem, (node, number))
            place.meta = {**node.meta, "val": value}
            pieces.append(place)
        self._arrays[node] = _Array(pieces[0] if len(_returns(node)) == 1 else node)
        self._place = place.next
        for array, piece in zip(arrays, pieces[len(_returns(node)) :], strict=True):
            self._change(array, piece)

    def _change(self, array: _Array, new: fx.Node) -> None:
        """From here on `new` has an array's numbers, and its base has them in their places."""
        self._place = new.next
        sources: list[Any] = [array.latest]
        lines = [array]
        while lines[-1].parent is not None:
            lines.append(lines[-1].parent)
            sources.append(self._read(lines[-1]))
        if self._tracks(sources[0]) and not new.meta.get(GRADED, True):
            new = self._call(_overwritten(), (sources[0], new), sources[0], graded=True)
        array.memory.changes += 1
        for each, source in zip(lines, [*sources[1:], None], strict=True):
            each.latest, each.changes = new, array.memory.changes
            if source is None:
                return
            joined = all(made.meta.get(GRADED, True) and _name(made) != "detach" for made in each.made)
            alone = not joined and self._tracks(source)
            new = self._put(each, source, new, joined)
            if alone:
                new = self._call(_overwritten(), (source, new), source, graded=True)

    def _put(self, view: _Array, source: fx.Node, new: fx.Node, graded: bool) -> fx.Node:
        """The base of a view, with the view's new numbers in their places."""
        import torch

        made, name, kwargs = view.made[0], _name(view.made[0]), dict(view.made[0].kwargs)
        scatter = {"select": torch.ops.aten.select_scatter.default, "slice": torch.ops.aten.slice_scatter.default}
        if name in scatter:
            return self._call(scatter[name], (source, new, *made.args[1:]), source, graded, kwargs)
        whole = tuple(source.meta["val"].shape)
        if name in _PASS_THROUGH or _hands_on(made):
            return new
        numbers = torch.arange(source.meta["val"].numel()).reshape(whole)
        places = _places(view, numbers)
        if torch.equal(places.reshape(-1), numbers.reshape(-1)):
            return self._call(torch.ops.aten.reshape.default, (new, list(whole)), source, graded)
        if places.ndim == numbers.ndim and places.numel() == numbers.numel():
            order = sorted(range(places.ndim), key=lambda axis: -places.stride()[axis])
            if torch.equal(places.permute(order), numbers):
                return self._call(torch.ops.aten.permute.default, (new, order), source, graded)
        differing = [n for n, (a, b) in enumerate(zip(whole, places.shape, strict=False)) if a != b]
        if places.ndim == numbers.ndim and len(differing) == 1 and places.numel():
            axis = differing[0]
            start = int(places.reshape(-1)[0]) // numbers.stride(axis) % whole[axis]
            length = places.shape[axis]
            if torch.equal(numbers.narrow(axis, start, length), places):
                settings = (source, new, axis, start, start + length)
                return self._call(torch.ops.aten.slice_scatter.default, settings, source, graded)
        return self._call(torch.ops.aten.put.default, (source, places, new), source, graded)

    def _call(
        self, target: Any, args: tuple[Any, ...], like: fx.Node, graded: bool, kwargs: Mapping[str, Any] | None = None
    ) -> fx.Node:
        """An additional call, after the existing ones. `like`: a node with the shape of its result."""
        before = self._place.prev
        with self._graph.inserting_before(self._place):
            made = self._graph.call_function(target, args, dict(kwargs or {}))
        made.meta = {**before.meta, "val": like.meta.get("val"), GRADED: graded}
        return made

    def _tracks(self, node: fx.Node) -> bool:
        """Whether a gradient may reach an array."""
        waiting = [node]
        while waiting:  # deep graphs: no recursion
            each = waiting[-1]
            inputs = each.all_input_nodes if each.meta.get(GRADED, True) and _name(each) != "detach" else []
            unknown = [other for other in inputs if other not in self._tracked]
            if unknown and each not in self._tracked:
                waiting += unknown
                continue
            value: Any = each.meta.get("val")
            number = not hasattr(value, "dtype") or value.dtype.is_floating_point
            self._tracked.setdefault(each, number and any(self._tracked[other] for other in inputs))
            waiting.pop()
        return self._tracked[node]


def _overwritten() -> Any:
    import torch

    return torch.ops.pellucid.overwritten.default


def _returns(node: fx.Node) -> Sequence[Any]:
    return node.target._schema.returns  # type: ignore[union-attr]


def _name(node: fx.Node) -> str:
    return aten.name_of(node.target) if hasattr(node.target, "_schema") else ""  # type: ignore[arg-type]


def _storage(node: fx.Node) -> int | None:
    """The memory of the array's stand-in."""
    value: Any = node.meta.get("val")
    try:
        return value.untyped_storage()._cdata
    except (AttributeError, NotImplementedError):  # not an array, or inside torch.func
        return None


def _hands_on(node: fx.Node) -> bool:
    """Whether it is inactive dropout: it returns its input, but its stand-in returns a copy."""
    return _name(node).endswith("dropout") and not (node.args[2] if len(node.args) > 2 else node.kwargs.get("train"))


def _places(view: _Array, numbers: Tensor) -> Tensor:
    """The places of a view's numbers in its base."""
    import torch
    from torch import fx

    known: dict[Any, Any] = {view.source: numbers}

    def stand_in(node: fx.Node) -> Any:
        return known[node] if node in known else torch.zeros(node.meta["val"].shape, dtype=torch.int64)

    with torch.no_grad():
        for call in view.made:
            target: Any = call.target
            known[call] = target(*fx.map_arg(call.args, stand_in), **fx.map_arg(call.kwargs, stand_in))
    return known[view.made[-1]]
