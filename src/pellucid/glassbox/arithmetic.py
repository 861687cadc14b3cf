"""The evaluator: the terms of any one number of an op, forward and backward, from its declaration.

    value      out[u]  = sum over all n with A(n) = u of  term
    gradient   of a[v] = sum over all n with B(n) = v of  gradient of out[A(n)] * d term / d a

The first is the declaration read from its left side, the second the same declaration read from `a`'s side: solve the
index maps for the fixed index, let the names that are left run over their ranges, gather. Computed in float64.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pellucid.glassbox.declaration import OUT, Axis, Op, Shape, Stage
from pellucid.glassbox.expression import Expression, names

Floats = NDArray[np.float64]
Index = tuple[int, ...]
Assignment = dict[str, NDArray[np.int64]]  # index name -> its value in each row
GRADIENT = "gradient of "


@dataclass(frozen=True)
class Column:
    """One factor of a sum's terms: which number of which array each term takes, and its value."""

    name: str
    """The array's name in the op; "gradient of out" for a gradient."""
    indices: NDArray[np.int64]  # (terms, axes)
    values: Floats  # (terms,)
    inside: NDArray[np.bool_]  # (terms,): False where the index lies in the padding, and the value is a zero


@dataclass(frozen=True)
class Terms:
    """The terms of one number that come from one stage, in the order in which they are added."""

    formula: Expression
    """Of one term, in the columns' names."""
    columns: tuple[Column, ...]
    values: Floats  # (terms,)
    pick: Literal["sum", "max"]
    scale: float
    """What the rounding of the sum is measured by: sqrt(number of terms) * the sum of the terms' magnitudes."""

    @property
    def total(self) -> float:
        """The sum of the terms, or the largest candidate."""
        if self.pick == "max":
            return float(self.values.max(initial=-np.inf))
        return float(self.values.sum())

    @property
    def winner(self) -> int | None:
        """Where the largest is picked: the first candidate that is as large as any."""
        return int(self.values.argmax()) if self.pick == "max" else None

    def __len__(self) -> int:
        return len(self.values)


@dataclass
class Evaluator:
    """An op with its numbers. `arrays` holds every input; `gradient` is that of the loss with respect to "out"."""

    op: Op
    arrays: Mapping[str, NDArray[Any]]
    gradient: NDArray[Any] | None = None
    _values: dict[tuple[str, Index], tuple[float, float]] = field(default_factory=dict)
    _gradients: dict[tuple[str, Index], tuple[float, float]] = field(default_factory=dict)

    def forward(self, index: Index, name: str = OUT) -> tuple[Terms, ...]:
        """The terms of one number of "out", or of an array between: one Terms for each stage that adds to it."""
        return tuple(self._forward(stage, index) for stage in self.op.stages if stage.out == name)

    def backward(self, name: str, index: Index) -> tuple[Terms, ...]:
        """The terms of the gradient of one number of an input, or of an array between."""
        stages = [stage for stage in self.op.stages if stage.through and name in stage.reads()]
        return tuple(terms for stage in stages if len(terms := self._backward(stage, name, index)))

    def value(self, name: str, index: Index) -> tuple[float, float]:
        """One number of any array and the magnitude that its rounding is measured by."""
        key = (name, index)
        if key not in self._values:
            parts = self.forward(index, name)
            self._values[key] = (sum(part.total for part in parts), sum(part.scale for part in parts))
        return self._values[key]

    def gradient_of(self, name: str, index: Index) -> tuple[float, float]:
        """The gradient of one number, with the magnitude that its rounding is measured by."""
        key = (name, index)
        if key not in self._gradients:
            parts = self.backward(name, index)
            self._gradients[key] = (sum(part.total for part in parts), sum(part.scale for part in parts))
        return self._gradients[key]

    def _forward(self, stage: Stage, index: Index) -> Terms:
        rows = _solve(stage, stage.out, index, self.op.shapes[stage.out])
        columns, values, magnitudes = self._gather(stage, rows)
        if stage.pick == "max":
            candidates = columns[0]
            found = np.where(candidates.inside, candidates.values, -np.inf)
            return Terms(stage.term, tuple(columns), found, "max", float(np.abs(candidates.values).max(initial=0.0)))
        return _terms(stage.term, columns, values, magnitudes)

    def _backward(self, stage: Stage, name: str, index: Index) -> Terms:
        rows = _solve(stage, name, index, self.op.shapes[name])
        out, inside = _places(stage.maps[stage.out], rows, self.op.shapes[stage.out])
        # a transposed convolution's padding cuts off some of what it writes: no gradient comes from there
        (rows, _), out = _kept(rows, inside), out[inside]
        arriving, arriving_scale = self._gradients_at(stage.out, out)
        label = GRADIENT + stage.out
        first = Column(label, out, arriving, np.ones(len(out), bool))
        if stage.pick == "max":
            return self._backward_max(stage, name, index, first, arriving_scale)
        columns, values, magnitudes = self._gather(stage, rows)
        formula = names(label)[0] * stage.term.derivative(name)
        values[label], magnitudes[label] = arriving, arriving_scale
        used = [column for column in (first, *columns) if column.name in set(formula.names())]
        return _terms(formula, used, values, magnitudes)

    def _backward_max(self, stage: Stage, name: str, index: Index, arriving: Column, scale: Floats) -> Terms:
        """The gradient goes to the winner: 1 for each window that this number has won, 0 for the others."""
        won = np.zeros(len(arriving.values))
        for row, out in enumerate(arriving.indices):
            candidates = self._forward(stage, tuple(out.tolist()))
            won[row] = tuple(candidates.columns[0].indices[candidates.winner].tolist()) == index
        column = Column("won", arriving.indices, won, arriving.inside)
        first, second = names(arriving.name, "won")
        values = {arriving.name: arriving.values, "won": won}
        return _terms(first * second, [arriving, column], values, {arriving.name: scale, "won": won})

    def _gather(self, stage: Stage, rows: Assignment) -> tuple[list[Column], dict[str, Floats], dict[str, Floats]]:
        columns, values, magnitudes = [], {}, {}
        for name in stage.reads():
            indices, inside = _places(stage.maps[name], rows, self.op.shapes[name])
            values[name], magnitudes[name] = self._values_at(name, indices, inside)
            columns.append(Column(name, indices, values[name], inside))
        return columns, values, magnitudes

    def _values_at(self, name: str, indices: NDArray[np.int64], inside: NDArray[np.bool_]) -> tuple[Floats, Floats]:
        array = self.op.constants.get(name, self.arrays.get(name))
        if array is None:
            return _one_by_one(indices, lambda index: self.value(name, index))
        found = np.zeros(len(indices))
        found[inside] = array[tuple(indices[inside].T)]
        return found, np.abs(found)

    def _gradients_at(self, name: str, indices: NDArray[np.int64]) -> tuple[Floats, Floats]:
        if name != OUT:
            return _one_by_one(indices, lambda index: self.gradient_of(name, index))
        assert self.gradient is not None, "a gradient was asked for and none was given"
        found = self.gradient[tuple(indices.T)].astype(np.float64)
        return found, np.abs(found)


def _terms(formula: Expression, columns: list[Column], values: dict[str, Floats], sizes: dict[str, Floats]) -> Terms:
    count = len(next(iter(values.values())))
    found = np.broadcast_to(formula.evaluate(values), (count,)).astype(np.float64)
    magnitude = np.broadcast_to(formula.magnitude(values, sizes), (count,))
    return Terms(formula, tuple(columns), found, "sum", float(np.sqrt(count) * magnitude.sum()))


def _one_by_one(indices: NDArray[np.int64], look: Any) -> tuple[Floats, Floats]:
    """(value, scale) of numbers that have to be worked out, each different one once."""
    different, which = np.unique(indices, axis=0, return_inverse=True)
    found = np.array([look(tuple(index.tolist())) for index in different]).reshape(-1, 2)
    return found[which.ravel(), 0], found[which.ravel(), 1]


def _solve(stage: Stage, name: str, index: Index, shape: Shape) -> Assignment:
    """All assignments of the stage's index names under which `name` is addressed at `index`.

    Names that the index leaves free run over their ranges, the last one fastest, as the sum is written.
    """
    axes = stage.maps[name]
    wanted = index if len(axes) == len(shape) else (int(np.ravel_multi_index(index, shape)),)
    rows: Assignment = {}
    count = 1
    for axis, value in zip(axes, wanted, strict=True):
        rows, count = _solve_axis(axis, value, stage.ranges, rows, count)
    for free in (each for each in stage.ranges if each not in rows):
        rows, count = _expanded(rows, count, free, stage.ranges[free])
    return rows


def _solve_axis(
    axis: Axis, value: int, ranges: Mapping[str, int], rows: Assignment, count: int
) -> tuple[Assignment, int]:
    open_names = [name for name, _ in axis.steps if name not in rows]
    steps = dict(axis.steps)
    linear = [name for name in open_names if isinstance(steps[name], int)]
    # the widest is solved for, the others are tried
    solved = max(linear, key=lambda name: ranges[name]) if linear else None
    for name in open_names:
        if name != solved:
            rows, count = _expanded(rows, count, name, ranges[name])
    known = Axis(tuple((name, step) for name, step in axis.steps if name != solved), axis.offset)
    rest = value - _along(known, rows, count)
    if solved is None:
        return _kept(rows, rest == 0)
    step = steps[solved]
    assert isinstance(step, int)
    position, remainder = np.divmod(rest, step)
    rows = {**rows, solved: position}
    return _kept(rows, (remainder == 0) & (position >= 0) & (position < ranges[solved]))


def _expanded(rows: Assignment, count: int, name: str, size: int) -> tuple[Assignment, int]:
    """Every row once for each value of another name."""
    grown = {each: np.repeat(column, size) for each, column in rows.items()}
    return {**grown, name: np.tile(np.arange(size, dtype=np.int64), count)}, count * size


def _kept(rows: Assignment, keep: NDArray[np.bool_]) -> tuple[Assignment, int]:
    return {name: column[keep] for name, column in rows.items()}, int(np.count_nonzero(keep))


def _along(axis: Axis, rows: Assignment, count: int) -> NDArray[np.int64]:
    position = np.full(count, axis.offset, np.int64)
    for name, step in axis.steps:
        position += step * rows[name] if isinstance(step, int) else np.asarray(step, np.int64)[rows[name]]
    return position


def _places(axes: tuple[Axis, ...], rows: Assignment, shape: Shape) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """(rows, axes) indices into an array of this shape, and whether each lies inside it."""
    count = len(next(iter(rows.values()))) if rows else 1
    columns = [_along(axis, rows, count) for axis in axes]
    if len(axes) != len(shape):
        columns = list(np.unravel_index(columns[0], shape)) if shape else []
    indices = np.stack(columns, axis=1) if columns else np.zeros((count, 0), np.int64)
    inside = np.all((indices >= 0) & (indices < np.asarray(shape, np.int64)), axis=1)
    return indices, inside


def everything(op: Op, arrays: Mapping[str, NDArray[Any]]) -> Floats:
    """The whole of "out", number by number: for small arrays, such as the article's."""
    evaluator = Evaluator(op, arrays)
    shape = op.shapes[OUT]
    numbers = [evaluator.value(OUT, tuple(map(int, index)))[0] for index in np.ndindex(*shape)]
    return np.array(numbers).reshape(shape)
