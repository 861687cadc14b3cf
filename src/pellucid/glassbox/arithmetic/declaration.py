"""An op as data: its arrays, its index ranges, and the numbers that meet in a term. Nothing here computes.

Every step of a network is one or more stages of one form. Over index names n with their ranges,

    out[A(n)] = sum over n of  term(first[B(n)], second[C(n)], ...)          pick="sum"
    out[A(n)] = the largest of the candidates  term(first[B(n)], ...)        pick="max"

where A, B, C give an index for each axis and `term` is a formula (expression.py). A convolution is

    out[c, y, x] = sum over i, ky, kx of  input[i, S*y + ky - P, S*x + kx - P] * weight[c, i, ky, kx]

and everything else follows: the terms of one output, and, through the formula's derivatives, the terms of the gradient
of one input or one weight (evaluator.py). docs/why/arithmetic.md shows how to add an op.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pellucid.glassbox.arithmetic.expression import Expression

Shape = tuple[int, ...]
OUT = "out"


@dataclass(frozen=True, eq=False)
class Table:
    """An index for each value of an index name, for indices without a constant step, chosen one by one."""

    places: NDArray[np.int64]  # (the name's range,)

    def values_at(self, places: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(which, values): every value of the name whose entry is each of the places, ascending for each place."""
        order, ranked = self._order
        first, end = np.searchsorted(ranked, places, "left"), np.searchsorted(ranked, places, "right")
        counts = end - first
        which = np.repeat(np.arange(len(places)), counts)
        before = np.cumsum(counts) - counts
        return which, order[np.arange(len(which)) - before[which] + first[which]]

    def as_json(self) -> list[int]:
        return self.places.tolist()

    @cached_property
    def _order(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        order = np.argsort(self.places, kind="stable")
        return order, self.places[order]


Coefficient = int | Table
Listed = Callable[[Table], Any]
"""The JSON stand-in for a table."""


@dataclass(frozen=True)
class Axis:
    """The index along one axis: `offset` plus, for each index name, step * n, or table[n] if the steps differ."""

    steps: tuple[tuple[str, Coefficient], ...]
    """A sequence of indices instead of a step becomes a Table."""
    offset: int = 0

    def __post_init__(self) -> None:
        plain = [(n, s if isinstance(s, int | Table) else Table(np.asarray(s, np.int64))) for n, s in self.steps]
        object.__setattr__(self, "steps", tuple(plain))

    def as_json(self, listed: Listed) -> Any:
        return [{name: listed(step) if isinstance(step, Table) else step for name, step in self.steps}, self.offset]


def table(name: str, places: Sequence[int] | NDArray[np.int64]) -> Axis:
    """The index places[n] for each value n of a name."""
    return Axis(((name, Table(np.asarray(places, np.int64))),))


def at(*axes: str | int | Axis | Mapping[str, int], offset: int = 0) -> tuple[Axis, ...]:
    """An index map: a name means itself, a number means a fixed index, a mapping means a sum of steps."""
    return tuple(_axis(axis, offset) for axis in axes)


def _axis(axis: str | int | Axis | Mapping[str, int], offset: int) -> Axis:
    match axis:
        case Axis():
            return axis
        case str():
            return Axis(((axis, 1),), offset)
        case int():
            return Axis((), axis)
        case _:
            return Axis(tuple(axis.items()), offset)


@dataclass(frozen=True)
class Stage:
    """One reduction. `maps` holds an index map for `out` and for every array whose name is in `term`.

    A map of one axis addresses an array of any number of axes flattened in C order, and stays inside it. Stages with
    the same `out` are added. An index outside an array means a zero (or no candidate, if the largest is picked): that
    is padding. `ties` says which of several largest candidates gets the gradient: the first, or each an equal share.
    `through` is False if no gradient passes, because the result does not depend on it. `precision` is the dtype whose
    range the result must fit before others read it (precision.py); "" means float64.
    """

    out: str
    ranges: Mapping[str, int]
    maps: Mapping[str, tuple[Axis, ...]]
    term: Expression
    pick: Literal["sum", "max"] = "sum"
    through: bool = True
    ties: Literal["first", "shared"] = "first"
    precision: str = ""

    def reads(self) -> tuple[str, ...]:
        return tuple(self.term.names())

    def as_json(self, listed: Listed = Table.as_json) -> dict[str, Any]:
        """With the derivative of the term by each array, for the page's backward pass."""
        winner = self.pick == "max" and self.term.head == "name"  # then it gets all of the gradient: slope 1
        slopes = {} if winner else {name: self.term.derivative(name).as_json() for name in self.reads()}
        return {
            "out": self.out,
            "ranges": dict(self.ranges),
            "maps": {name: [axis.as_json(listed) for axis in axes] for name, axes in self.maps.items()},
            "term": self.term.as_json(),
            "derivatives": slopes,
            "pick": self.pick,
            "through": self.through,
            **({"precision": self.precision} if self.precision else {}),
            **({"ties": self.ties} if self.ties != "first" else {}),
        }


@dataclass(frozen=True)
class Op:
    """An op for arrays of these shapes. `inputs` come from outside, `constants` with the op; its stages make the other
    arrays. Each stage reads only arrays that earlier stages have made.
    """

    kind: str
    """Its everyday name: "convolution"."""
    shapes: Mapping[str, Shape]
    """Of every array: inputs, constants, intermediate arrays, and "out"."""
    inputs: tuple[str, ...]
    stages: tuple[Stage, ...]
    constants: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    scales: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    """Scale of a constant's rounding, if it is more than the constant's size: PyTorch computes it too."""

    def __post_init__(self) -> None:
        made: set[str] = {*self.inputs, *self.constants}
        for stage in self.stages:
            unknown = [name for name in stage.reads() if name not in made]
            assert not unknown, f"{self.kind}: {stage.out} reads {unknown}, which no stage before it makes"
            for name in (stage.out, *stage.reads()):
                axes = len(stage.maps[name])
                assert axes in (1, len(self.shapes[name])), f"{self.kind}: {name} has {self.shapes[name]}, map {axes}"
            made.add(stage.out)
        assert OUT in made, f"{self.kind}: no stage makes {OUT!r}"

    def as_json(self, listed: Listed = Table.as_json, constant: Callable[[str], Any] | None = None) -> dict[str, Any]:
        """In the page's form. Raises ValueError if a number of a term is infinite.

        `listed` and `constant` write a table of indices and a named constant; by default in full.
        """
        written = constant or (lambda name: self.constants[name].tolist())
        return {
            "kind": self.kind,
            "shapes": {name: list(shape) for name, shape in self.shapes.items()},
            "inputs": list(self.inputs),
            "stages": [stage.as_json(listed) for stage in self.stages],
            "constants": {name: written(name) for name in self.constants},
            **({"scales": {name: array.tolist() for name, array in self.scales.items()}} if self.scales else {}),
        }


def each(shape: Shape) -> dict[str, int]:
    """Ranges for an element-wise operation on a flattened array: {"n": count}."""
    return {"n": prod(shape)}


def numbered(shape: Shape) -> dict[str, int]:
    """Ranges with a name for each axis of an array: {"d0": 3, "d1": 224, ...}."""
    return {f"d{axis}": size for axis, size in enumerate(shape)}
