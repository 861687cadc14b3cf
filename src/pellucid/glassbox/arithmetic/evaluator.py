"""The evaluator: the terms of any one number of an op, forward and backward, from its declaration.

    value      out[u]  = sum over all n with A(n) = u of  term
    gradient   of a[v] = sum over all n with B(n) = v of  gradient of out[A(n)] * d term / d a

The first reads the declaration from its left side, the second reads it from `a`'s side: solve the index maps for the
fixed index, let the remaining names run over their ranges, gather. Computed in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import prod
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pellucid.glassbox.arithmetic.declaration import OUT, Axis, Op, Shape, Stage, Table
from pellucid.glassbox.arithmetic.expression import Expression, names
from pellucid.glassbox.arithmetic.precision import limited

Floats = NDArray[np.float64]
Index = tuple[int, ...]
Indices = NDArray[np.int64]  # (numbers, axes)
GRADIENT = "gradient of "
NEAR = 2.0**-16
"""Relative distance from the largest candidate, in units of its scale, within which a candidate's rounding matters."""


@dataclass(frozen=True)
class Column:
    """One factor of a sum's terms: the array, the index in it for each term, and the value."""

    name: str
    """The array's name in the op; "gradient of out" for a gradient."""
    indices: NDArray[np.int64]  # (terms, axes)
    values: Floats  # (terms,)
    inside: NDArray[np.bool_]  # (terms,): False if the index is in the padding, where the value is zero


@dataclass(frozen=True)
class Terms:
    """The terms of one number from one stage, in their order of addition."""

    formula: Expression
    """Of one term, by the columns' names."""
    columns: tuple[Column, ...]
    values: Floats  # (terms,)
    pick: Literal["sum", "max"]
    scale: float
    """The scale of the sum's rounding error: sqrt(number of terms) * the sum of the terms' magnitudes."""
    precision: str = ""
    """The dtype that the sum must fit: beyond its range it becomes infinite or 0."""

    @property
    def total(self) -> float:
        """The sum of the terms, or the largest candidate."""
        if self.pick == "max":
            return float(self.values.max(initial=-np.inf))
        return float(limited(self.values.sum(), self.precision))

    @property
    def winner(self) -> int | None:
        """The first of the largest candidates, if the stage picks the largest."""
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
        """The terms of one number of "out", or of an intermediate array: one Terms for each stage that adds to it."""
        parts = [self._forward(stage, _one(index)) for stage in self._stages_of(name)]
        return tuple(part.terms() for part in [part for part in parts if part.rows.count] or parts[:1])

    def backward(self, name: str, index: Index) -> tuple[Terms, ...]:
        """The terms of the gradient of one number of an input, or of an intermediate array."""
        parts = (self._backward(stage, name, _one(index)) for stage in self._stages_after(name))
        return tuple(part.terms() for part in parts if part.rows.count)

    def value(self, name: str, index: Index) -> tuple[float, float]:
        """One number of any array, and the scale of its rounding error."""
        values, scales = self._values_at(name, _one(index), np.ones(1, bool))
        return float(values[0]), float(scales[0])

    def gradient_of(self, name: str, index: Index) -> tuple[float, float]:
        """The gradient of one number, and the scale of its rounding error."""
        values, scales = self._gradients_at(name, _one(index))
        return float(values[0]), float(scales[0])

    def _stages_of(self, name: str) -> list[Stage]:
        return [stage for stage in self.op.stages if stage.out == name]

    def _stages_after(self, name: str) -> list[Stage]:
        return [stage for stage in self.op.stages if stage.through and name in stage.reads()]

    def _forward(self, stage: Stage, wanted: Indices) -> _TermRows:
        rows = _solve(stage, stage.out, wanted, self.op.shapes[stage.out])
        columns, magnitudes = self._gather(stage, rows)
        terms = _evaluated(rows, stage.term, columns, magnitudes)
        if stage.pick == "max":
            values = np.where(terms.inside, terms.values, -np.inf)
            # a mask's -inf is exact and has no rounding error
            return replace(terms, values=values, magnitudes=np.where(np.isinf(values), 0, terms.magnitudes), pick="max")
        return replace(terms, precision=stage.precision)

    def _backward(self, stage: Stage, name: str, wanted: Indices) -> _TermRows:
        rows = _solve(stage, name, wanted, self.op.shapes[name])
        out, inside = _places(stage.maps[stage.out], rows, self.op.shapes[stage.out])
        # a transposed convolution's padding cuts off some of its outputs: no gradient comes from there
        rows, out = rows.where(inside), out[inside]
        arriving, scale = self._gradients_at(stage.out, out)
        first = Column(GRADIENT + stage.out, out, arriving, np.ones(len(out), bool))
        columns, magnitudes = self._gather(stage, rows)
        columns, magnitudes = [first, *columns], {first.name: scale, **magnitudes}
        formula = names(first.name)[0]
        if stage.pick == "max":
            won = Column("won", out, self._won(stage, name, out, wanted[rows.of]), first.inside)
            columns.insert(1, won)
            magnitudes[won.name], formula = won.values, formula * names(won.name)[0]
        formula *= stage.term.derivative(name)
        used = [column for column in columns if column.name in set(formula.names())]
        return _evaluated(rows, formula, used, magnitudes)

    def _won(self, stage: Stage, name: str, out: Indices, wanted: Indices) -> Floats:
        """The gradient goes to the winner: 1 for each window that this number has won (or its share), 0 for others."""
        _, first, which = np.unique(_flattened(out, self.op.shapes[stage.out]), return_index=True, return_inverse=True)
        terms = self._forward(stage, out[first])
        best = terms.sums(len(first))[0]
        winners = np.flatnonzero((terms.values == best[terms.rows.of]) & terms.inside)
        windows = terms.rows.of[winners]
        if stage.ties == "first":
            windows, one = np.unique(windows, return_index=True)
            winners = winners[one]
        column = next(column for column in terms.columns if column.name == name)
        shape = self.op.shapes[name]
        size = prod(shape)
        won = windows * size + _flattened(column.indices[winners], shape)[:, 0]
        wanted_places = which.ravel() * size + _flattened(wanted, shape)[:, 0]
        places, times = np.unique(won, return_counts=True)
        at = np.minimum(np.searchsorted(places, wanted_places), max(len(places) - 1, 0))
        hit = places[at] == wanted_places if len(places) else np.zeros(len(wanted_places), bool)
        share = 1 / np.maximum(np.bincount(windows, minlength=len(first)), 1)
        return np.where(hit, times[at] if len(places) else 0, 0) * share[which.ravel()]

    def _gather(self, stage: Stage, rows: Rows) -> tuple[list[Column], dict[str, Floats]]:
        columns, magnitudes = [], {}
        for name in stage.reads():
            indices, inside = _places(stage.maps[name], rows, self.op.shapes[name])
            values, magnitudes[name] = self._values_at(name, indices, inside)
            columns.append(Column(name, indices, values, inside))
        return columns, magnitudes

    def _values_at(self, name: str, indices: Indices, inside: NDArray[np.bool_]) -> tuple[Floats, Floats]:
        values = np.zeros(len(indices))
        array = self.op.constants.get(name, self.arrays.get(name))
        if array is None:
            scale = np.zeros(len(indices))
            parts = [partial(self._forward, stage) for stage in self._stages_of(name)]
            stored = _kept_in(self._values, name, indices[inside], self.op.shapes[name], parts)
            values[inside], scale[inside] = stored
            return values, scale
        values[inside] = array[tuple(indices[inside].T)]
        if name not in self.op.scales:
            return values, _size(values)
        scale = np.zeros(len(indices))
        scale[inside] = self.op.scales[name][tuple(indices[inside].T)]
        return values, scale

    def _gradients_at(self, name: str, indices: Indices) -> tuple[Floats, Floats]:
        if name != OUT:
            parts = [partial(self._backward, stage, name) for stage in self._stages_after(name)]
            return _kept_in(self._gradients, name, indices, self.op.shapes[name], parts)
        assert self.gradient is not None, "this needs a gradient, and none was passed"
        gradients = np.zeros(len(indices))
        gradients[:] = self.gradient[tuple(indices.T)]
        return gradients, _size(gradients)


@dataclass(frozen=True)
class Rows:
    """Assignments of the index names, one per row, for several wanted numbers at once."""

    of: NDArray[np.int64]  # (rows,), ascending: the wanted number to which the row's term belongs
    names: Mapping[str, NDArray[np.int64]]  # index name -> its value in each row

    @property
    def count(self) -> int:
        return len(self.of)

    def expanded(self, name: str, size: int) -> Rows:
        """Every row, repeated for each value of another name."""
        grown = {each: np.repeat(column, size) for each, column in self.names.items()}
        return Rows(np.repeat(self.of, size), {**grown, name: np.tile(np.arange(size, dtype=np.int64), self.count)})

    def where(self, keep: NDArray[np.bool_]) -> Rows:
        return Rows(self.of[keep], {name: column[keep] for name, column in self.names.items()})


@dataclass(frozen=True)
class _TermRows:
    """Terms of several numbers, row by row."""

    rows: Rows
    formula: Expression
    columns: list[Column]
    values: Floats
    magnitudes: Floats
    pick: Literal["sum", "max"] = "sum"
    precision: str = ""

    @property
    def inside(self) -> NDArray[np.bool_]:
        """(rows,): False if a factor is in the padding."""
        inside = np.ones(self.rows.count, bool)
        for column in self.columns:
            inside &= column.inside
        return inside

    def terms(self) -> Terms:
        """The terms of the only wanted number."""
        scale = float(self.sums(1)[1][0])
        return Terms(self.formula, tuple(self.columns), self.values, self.pick, scale, self.precision)

    def sums(self, count: int) -> tuple[Floats, Floats]:
        """(value, scale) of each of `count` numbers."""
        of = self.rows.of
        if self.pick == "max":
            value, scale = np.full(count, -np.inf), np.zeros(count)
            np.maximum.at(value, of, self.values)
            # not those that rounding cannot make the largest: masked scores are -1e9, or infinite
            near = self.values + NEAR * self.magnitudes >= value[of]
            np.maximum.at(scale, of[near], self.magnitudes[near])
            return value, scale
        value, size = (np.bincount(of, each, count).astype(np.float64) for each in (self.values, self.magnitudes))
        return limited(value, self.precision), np.sqrt(np.bincount(of, minlength=count)) * size


def _size(numbers: Floats) -> Floats:
    """The scale of the numbers' rounding errors. An infinite number is exact, like a mask's -inf."""
    return np.where(np.isinf(numbers), 0.0, np.abs(numbers))


def _evaluated(rows: Rows, formula: Expression, columns: list[Column], magnitudes: Mapping[str, Floats]) -> _TermRows:
    values = {column.name: column.values for column in columns}
    with np.errstate(all="ignore"):  # a root's gradient at 0 and a logarithm of 0 are infinite or NaN, as in PyTorch
        results = np.broadcast_to(formula.evaluate(values), (rows.count,)).astype(np.float64)
        magnitude = np.broadcast_to(formula.magnitude(values, magnitudes), (rows.count,))
    return _TermRows(rows, formula, columns, results, magnitude)


def _kept_in(
    known: dict[tuple[str, Index], tuple[float, float]],
    name: str,
    indices: Indices,
    shape: Shape,
    parts: Sequence[Callable[[Indices], _TermRows]],
) -> tuple[Floats, Floats]:
    """(value, scale) of numbers that must be computed, each distinct one once."""
    _, first, which = np.unique(_flattened(indices, shape), return_index=True, return_inverse=True)
    different = indices[first]
    keys = [(name, tuple(index)) for index in different.tolist()]
    new = [row for row, key in enumerate(keys) if key not in known]
    if new:
        values, scales = np.zeros(len(new)), np.zeros(len(new))
        for part in parts:
            value, scale = part(different[new]).sums(len(new))
            values, scales = values + value, scales + scale
        known.update(zip((keys[row] for row in new), zip(values.tolist(), scales.tolist(), strict=True), strict=True))
    pairs = np.array([known[key] for key in keys]).reshape(-1, 2)
    return pairs[which.ravel(), 0], pairs[which.ravel(), 1]


def _one(index: Index) -> Indices:
    return np.array(index, np.int64).reshape(1, -1)


def _solve(stage: Stage, name: str, wanted: Indices, shape: Shape) -> Rows:
    """All assignments of the stage's index names under which `name` is addressed at each of the `wanted` indices.

    Names that the index leaves free run over their ranges, the last one fastest, in the order of the written sum.
    """
    axes = stage.maps[name]
    if len(axes) != len(shape):
        wanted = _flattened(wanted, shape)
    rows = Rows(np.arange(len(wanted)), {})
    for axis, values in zip(axes, wanted.T, strict=True):
        rows = _solve_axis(axis, values, stage.ranges, rows)
    for free in (each for each in stage.ranges if each not in rows.names):
        rows = rows.expanded(free, stage.ranges[free])
    return rows


def _solve_axis(axis: Axis, values: NDArray[np.int64], ranges: Mapping[str, int], rows: Rows) -> Rows:
    open_names = [name for name, _ in axis.steps if name not in rows.names]
    # solve for the widest name, try the values of the others
    solved = max(open_names, key=lambda name: ranges[name]) if open_names else None
    for name in open_names:
        if name != solved:
            rows = rows.expanded(name, ranges[name])
    known = Axis(tuple((name, step) for name, step in axis.steps if name != solved), axis.offset)
    rest = values[rows.of] - _along(known, rows)
    if solved is None:
        return rows.where(rest == 0)
    step = dict(axis.steps)[solved]
    if isinstance(step, Table):
        which, position = step.values_at(rest)
        return Rows(rows.of[which], {**{name: each[which] for name, each in rows.names.items()}, solved: position})
    position, remainder = np.divmod(rest, step)
    within = (remainder == 0) & (position >= 0) & (position < ranges[solved])
    return Rows(rows.of, {**rows.names, solved: position}).where(within)


def _along(axis: Axis, rows: Rows) -> NDArray[np.int64]:
    position = np.full(rows.count, axis.offset, np.int64)
    for name, step in axis.steps:
        position += step.places[rows.names[name]] if isinstance(step, Table) else step * rows.names[name]
    return position


def _flattened(indices: Indices, shape: Shape) -> Indices:
    """The positions in C order of indices into an array of this shape, as indices of one axis."""
    position = np.zeros(len(indices), np.int64)
    for size, column in zip(shape, indices.T, strict=True):
        position = position * size + column
    return position[:, None]


def _places(axes: tuple[Axis, ...], rows: Rows, shape: Shape) -> tuple[Indices, NDArray[np.bool_]]:
    """(rows, axes) indices into an array of this shape, and whether each lies inside it."""
    columns = [_along(axis, rows) for axis in axes]
    if len(axes) != len(shape):
        columns = list(np.unravel_index(columns[0], shape)) if shape else []
    indices = np.stack(columns, axis=1) if columns else np.zeros((rows.count, 0), np.int64)
    inside = np.all((indices >= 0) & (indices < np.asarray(shape, np.int64)), axis=1)
    return indices, inside


def everything(op: Op, arrays: Mapping[str, NDArray[Any]]) -> Floats:
    """The whole of "out", for small arrays such as the article's."""
    evaluator = Evaluator(op, arrays)
    shape = op.shapes[OUT]
    indices = np.indices(shape).reshape(len(shape), prod(shape)).T
    values = np.zeros(len(indices))
    for start in range(0, len(indices), 256):  # the terms of this many numbers are in memory at once
        block = indices[start : start + 256]
        values[start : start + 256], _ = evaluator._values_at(OUT, block, np.ones(len(block), bool))
    return values.reshape(shape)
