"""The working of one number: its terms, their sum, the value that PyTorch computed, and the difference.

    value      conv1[3, 10, 12]           the products of window and weights, and the bias
    gradient   of the same, or of a weight   term by term from the gradients of the numbers that it affects
    update     of conv1.weight[3, 0, 2, 2]   the optimizer's lines, from the gradient to the new value

The sum is computed in float64 from the numbers that PyTorch used. It may differ from PyTorch's value by rounding; a
larger difference is an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import TraceError
from pellucid.files import finite
from pellucid.glassbox.arithmetic.declaration import OUT, Op
from pellucid.glassbox.arithmetic.evaluator import GRADIENT, Column, Evaluator, Index, Terms
from pellucid.glassbox.arithmetic.strain import strain
from pellucid.glassbox.trace import ungraded
from pellucid.glassbox.trace.units import locate

if TYPE_CHECKING:
    from pellucid.glassbox.trace.trace import Node, Trace

ROUNDING = 8
"""Allowed distance of PyTorch's value from the sum, in units of rounding times the scale of the terms."""
LINES = 5000
"""The most intermediate numbers in one working; a softmax over 1,000 classes has 1,002."""


@dataclass(frozen=True)
class Part:
    """Terms that are added: those of one stage of one op."""

    through: str
    """The node with the terms' op."""
    of: str
    """The name of the terms' sum if that is not the number itself: "total", "gradient of power"; else ""."""
    index: Index
    terms: Terms
    names: Mapping[str, str]
    """Column -> the trace's array that its numbers come from. An intermediate number has a name that no array of the
    trace has: its own, or "mean in norm1" if there is such an array.
    """
    short: Mapping[str, int]
    """Column -> how many leading axes of its indices are the batch's, which users do not see: 0 or 1."""

    @property
    def formula(self) -> str:
        """Of one term, in the names of the trace: "input * conv1.weight"."""
        return self.terms.formula.written({column: _in_formula(name) for column, name in self.names.items()})

    def places(self, column: Column) -> NDArray[np.int64]:
        """(terms, axes): the column's indices in the user's notation."""
        return column.indices[:, self.short.get(column.name, 0) :]


@dataclass(frozen=True)
class Working:
    """One number, explained."""

    name: str
    quantity: Literal["value", "gradient", "update"]
    kind: str
    """The op, in everyday words."""
    formula: str
    """The whole formula, in names."""
    parts: tuple[Part, ...]
    between: tuple[Part, ...]
    """The intermediate numbers that no array of the trace holds (softmax's total), in their order of computation."""
    recorded: float
    """PyTorch's value."""
    bound: float
    """The largest difference that rounding explains."""
    unwritten: tuple[str, ...] = ()
    """Nodes whose arithmetic is not supported: their terms are missing."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """The optimizer's settings, for an update."""
    external: bool = False
    """Whether it came from outside, like pixels and weights: then it is its own total."""
    left_out: int = 0
    """How many intermediate numbers are not in `between`, because there are too many."""
    note: str = ""
    """Why the arithmetic is not supported, if that is known: a sentence."""

    @property
    def total(self) -> float | None:
        """The sum of all terms, in float64; None where terms are missing (`unwritten`)."""
        if not self.complete:
            return None
        return self.recorded if self.external else float(sum(part.terms.total for part in self.parts))

    @property
    def difference(self) -> float | None:
        """The total minus what PyTorch computed; None where there is no total."""
        if self.total is None:
            return None
        return 0.0 if self.total == self.recorded else self.total - self.recorded  # infinity minus itself is NaN

    @property
    def complete(self) -> bool:
        """Whether all terms are there."""
        return not self.unwritten

    def as_json(self) -> dict[str, Any]:
        """JSON's types: every part's terms, indices and values; null for infinite or missing numbers."""
        return {
            "name": self.name,
            "quantity": self.quantity,
            "kind": self.kind,
            "formula": self.formula,
            "parts": [_part_json(part) for part in self.parts],
            "between": [_part_json(part) for part in self.between],
            "left_out": self.left_out,
            "total": finite(self.total),
            "recorded": finite(self.recorded),
            "difference": finite(self.difference),
            "bound": finite(self.bound),
            "unwritten": list(self.unwritten),
            "settings": dict(self.settings),
        }


def value(trace: Trace, unit: str) -> Working:
    """How a unit came about. `unit`: "conv1[3, 10, 12]". Raises TraceError."""
    name, index = locate(trace, unit)
    recorded = trace.values[name][index]
    node = next((node for node in trace.nodes if node.name == name), None)
    shown = _written(trace, name, index)
    if node is None or not node.reads:
        kind = node.kind if node is not None else "a weight" if name in trace.parameters else "a stored number"
        return Working(shown, "value", kind, "", (), (), float(recorded), 0.0, external=True)
    if node.op is None:
        return Working(shown, "value", node.kind, "", (), (), float(recorded), 0.0, (name,))
    evaluator = _evaluator(trace, node)
    result = evaluator.forward(index)
    parts = tuple(_part(trace, node.name, node.reads, evaluator.op, terms, "", index) for terms in result)
    between, left_out = _between(trace, node, evaluator, result)
    bound = _bound(sum(terms.scale for terms in result), trace.rounding(name))
    formula = _formula(parts)
    return _checked(
        Working(shown, "value", node.kind, formula, parts, between, float(recorded), bound, left_out=left_out)
    )


def gradient(trace: Trace, unit: str) -> Working:
    """How the gradient of the loss with respect to a unit or a weight came about. Raises TraceError."""
    name, index = locate(trace, unit)
    shown = _written(trace, name, index)
    if name not in trace.gradients:
        raise TraceError(ungraded.reason(trace, name))
    recorded = float(trace.gradients[name][index])
    if name == trace.nodes[-1].name:
        return Working(shown, "gradient", "the loss", "1", (), (), recorded, 0.0, external=True)
    parts, between, unwritten, scale, left_out = [], [], [], 0.0, 0
    hooks = [trace.hooked[name]] if name in trace.hooked else []
    for node in trace.nodes:
        uses = [local for local, source in node.reads.items() if source == name]
        if not uses or node.name not in trace.gradients:
            continue
        if node.op is None:
            unwritten.append(node.name)
            continue
        hooks += [node.hooked] if node.hooked else []
        evaluator = _evaluator(trace, node)
        for local in uses:
            results = evaluator.backward(local, index)
            scale += sum(terms.scale for terms in results)
            parts += [_part(trace, node.name, node.reads, evaluator.op, terms, "", index) for terms in results]
            inner, more = _between(trace, node, evaluator, results)
            between += inner
            left_out += more
    bound = _bound(scale, trace.rounding(name))
    working = Working(
        shown,
        "gradient",
        "gradient",
        _formula(tuple(parts)),
        tuple(parts),
        tuple(between),
        recorded,
        bound,
        tuple(unwritten),
        left_out=left_out,
    )
    return _checked(working, hooks)


def update(trace: Trace, weight: str) -> Working:
    """The step that the optimizer would make with a weight: "conv1.weight[3, 0, 2, 2]". Raises TraceError.

    For a weight outside the optimizer: its value, and a note that nothing changes.
    """
    name, index = locate(trace, weight, parameters_only=True)
    shown = _written(trace, name, index)
    if name not in trace.updates:
        if name in trace.gradients:  # a frozen backbone, for example
            value = float(trace.values[name][index])
            note = f"Nothing changes: {name} is not among the optimizer's parameters, so its step leaves it as it is."
            settings = {"weight": value}
            return Working(shown, "update", "none", "", (), (), value, 0.0, settings=settings, external=True, note=note)
        raise TraceError(f"The optimizer does not change {name}. {ungraded.reason(trace, name)}")
    step = trace.updates[name]
    recorded = float(step.after[index])
    settings = {**step.settings, "weight": float(step.before[index])}
    if step.op is None:
        unwritten = (step.optimizer,)
        return Working(
            shown, "update", step.optimizer, "", (), (), recorded, 0.0, unwritten, settings, note=step.unwritten
        )
    arriving = step.gradient if step.gradient is not None else trace.gradients[name]
    arrays: dict[str, Any] = {"weight": step.before[index], "gradient": arriving[index]}
    arrays |= {local: array[index] for local, array in step.remembered.items()}
    op = step.op
    evaluator = Evaluator(op, {local: np.asarray(number) for local, number in arrays.items()})
    result = evaluator.forward(())
    parts = tuple(_part(trace, name, {}, op, terms, "", ()) for terms in result)
    lines = [stage.out for stage in op.stages if stage.out != OUT]
    between = tuple(
        _part(trace, name, {}, op, terms, line, ()) for line in lines for terms in evaluator.forward((), line)
    )
    bound = _bound(sum(terms.scale for terms in result), trace.rounding(name))
    kind = op.kind if step.gradient is None else f"{op.kind}, with the gradient as a hook of the optimizer left it"
    working = Working(shown, "update", kind, _formula(parts), parts, between, recorded, bound, settings=settings)
    unit, _ = trace.rounding(name)
    return _checked(working, [step.hooked] if step.hooked else [], lambda: strain(evaluator, unit))


def _written(trace: Trace, name: str, index: Index) -> str:
    short = trace.short_index(name, index)
    return f"{name}[{', '.join(map(str, short))}]" if short else name


def _evaluator(trace: Trace, node: Node) -> Evaluator:
    assert node.op is not None
    arrays = {local: trace.values[name] for local, name in node.reads.items()}
    return Evaluator(node.op, arrays, trace.gradients.get(node.name))


def _part(trace: Trace, through: str, reads: Mapping[str, str], op: Op, terms: Terms, of: str, index: Index) -> Part:
    backward = {GRADIENT + local: GRADIENT + name for local, name in (*reads.items(), (OUT, through))}
    names = {**reads, **backward}
    used = {column.name: names.get(column.name) or _inner(trace, through, column.name) for column in terms.columns}
    batched = trace.batched(through) or not trace.shape(through)  # a loss has no batch axis, and what it reads has
    short = {
        column.name: _short(trace, reads, op, column.name.removeprefix(GRADIENT), batched) for column in terms.columns
    }
    if of:
        index = index[_short(trace, reads, op, of.removeprefix(GRADIENT), batched) :]
    return Part(through, _inner(trace, through, of), index, terms, used, short)


def _inner(trace: Trace, through: str, local: str) -> str:
    """A name for an op's own array that no array of the trace has."""
    return f"{local} in {through}" if local.removeprefix(GRADIENT) in trace.values else local


def _short(trace: Trace, reads: Mapping[str, str], op: Op, local: str, batched: bool) -> int:
    """How many leading axes of an op's array are the batch's."""
    if local in reads:
        return int(trace.batched(reads[local]))
    shape = op.shapes.get(local, ())
    own = local in op.constants and op.shapes[local] != op.shapes[op.inputs[0]]  # such as pooling's share of each place
    return int(batched and len(shape) > 0 and shape[0] == 1 and not own)


def _between(
    trace: Trace, node: Node, evaluator: Evaluator, results: tuple[Terms, ...]
) -> tuple[tuple[Part, ...], int]:
    """The intermediate numbers behind `results`, in their order of computation, each once.

    And how many there are beyond LINES.
    """
    op = evaluator.op
    made = {stage.out for stage in op.stages} - {OUT}
    seen: dict[tuple[str, Index], tuple[Terms, ...]] = {}
    passed: set[tuple[str, Index]] = set()

    def visit(groups: tuple[Terms, ...]) -> None:
        for terms in groups:
            for column in terms.columns:
                if column.name.removeprefix(GRADIENT) in made:
                    look(column)

    def look(column: Column) -> None:
        for place in np.unique(column.indices, axis=0):
            key = (column.name, tuple(place.tolist()))
            if key in seen:
                continue
            if len(seen) >= LINES:
                passed.add(key)
                continue
            array = column.name.removeprefix(GRADIENT)
            backward = column.name.startswith(GRADIENT)
            groups = evaluator.backward(array, key[1]) if backward else evaluator.forward(key[1], array)
            visit(groups)
            seen[key] = groups

    visit(results)
    parts = (
        _part(trace, node.name, node.reads, evaluator.op, terms, name, index)
        for (name, index), groups in seen.items()
        for terms in groups
    )
    return tuple(parts), len(passed)


def _formula(parts: tuple[Part, ...]) -> str:
    """The whole formula: `sum of input * weight + bias`, with the names of the trace."""
    different = dict.fromkeys((part.terms.pick, len(part.terms) > 1, part.formula) for part in parts)
    words = {("sum", True): "sum of {}", ("sum", False): "{}", ("max", True): "largest of {}", ("max", False): "{}"}
    return " + ".join(words[pick, several].format(text) for pick, several, text in different)


def _in_formula(name: str) -> str:
    """A module in an nn.Sequential may be called "0", which would look like a number in a formula."""
    start = GRADIENT if name.startswith(GRADIENT) else ""
    bare = name.removeprefix(GRADIENT)
    return f"{start}layer {bare}" if re.fullmatch(r"[\d.]+(@\d+)?", bare) else name


def _bound(scale: float, rounding: tuple[float, float]) -> float:
    unit, smallest = rounding
    return ROUNDING * (unit * scale + smallest)


def _agrees(working: Working) -> bool:
    """Whether rounding explains the difference; True if terms are missing."""
    total, recorded = working.total, working.recorded
    if total is None:
        return True
    if not (np.isfinite(total) and np.isfinite(recorded)):
        return str(total) == str(recorded)
    return abs(total - recorded) <= working.bound + np.finfo(np.float64).tiny


def _checked(working: Working, hooks: Sequence[str] = (), strained: Callable[[], str] = str) -> Working:
    """The working; raises TraceError if rounding does not explain the difference.

    `hooks`: those that may have changed the number besides the arithmetic. If one did, its part is missing. `strained`
    says which intermediate number did not fit its dtype, if one did not.
    """
    if _agrees(working):
        return working
    if hooks:
        names = tuple(dict.fromkeys(hooks))
        return replace(working, unwritten=names, note=_hooks_note(names))
    total, recorded = working.total, working.recorded
    assert total is not None
    what, theirs = f"The {working.quantity} of {working.name}", f"PyTorch computed {recorded!r}"
    if why := strained():
        raise TraceError(f"{what} cannot be followed: {why}. {theirs}, and the terms give {total!r}.")
    if not (np.isfinite(total) and np.isfinite(recorded)):
        raise TraceError(f"{what} is {recorded!r} and the terms give {total!r}: infinity and NaN cannot be added up.")
    raise TraceError(
        f"{what} does not add up: {theirs} and the terms give {total!r}. The difference of {total - recorded:.3g} is "
        f"more than the {working.bound:.3g} that rounding explains, so its terms are not shown."
    )


def _hooks_note(names: Sequence[str]) -> str:
    """The sentence about a number that hooks have changed. As in web/arithmetic/working.js."""
    sentence = " and ".join(names)
    return f"{sentence[0].upper()}{sentence[1:]} changed this number. The terms add up to what it was before."


def _part_json(part: Part) -> dict[str, Any]:
    terms = part.terms
    return {
        "through": part.through,
        **({"of": part.of, "index": list(part.index)} if part.of else {}),
        "formula": part.formula,
        "pick": terms.pick,
        "columns": [
            {
                "name": part.names[column.name],
                "indices": part.places(column).tolist(),
                "values": [finite(value) for value in column.values.tolist()],
                "padding": np.flatnonzero(~column.inside).tolist(),
            }
            for column in terms.columns
        ],
        "terms": [finite(value) for value in terms.values.tolist()],
        "total": finite(terms.total),
        **({"winner": terms.winner} if terms.winner is not None else {}),
    }
