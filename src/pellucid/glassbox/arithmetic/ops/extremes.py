"""The largest and the smallest number along whole axes, and their places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from pellucid.glassbox.arithmetic.declaration import OUT, Op, Shape, Stage, at, numbered
from pellucid.glassbox.arithmetic.expression import Expression, equal, names
from pellucid.glassbox.arithmetic.ops.choosing import Operand, maximum_of, minimum_of, true
from pellucid.glassbox.arithmetic.ops.shaping import dims_of, reduced

INPUT, LARGEST, BEHIND, LEFT = names("input", "largest", "behind", "left")
Dims = Sequence[int] | int | None
Ties = Literal["first", "shared"]


def amax(input: Shape, dim: Dims = None, keepdim: bool = False) -> Op:
    """The largest along axes. If several are equal, each gets an equal share of the gradient."""
    return _extreme("largest", input, dims_of(input, dim), keepdim, INPUT, "shared")


def amin(input: Shape, dim: Dims = None, keepdim: bool = False) -> Op:
    """The smallest along axes, computed as minus the largest of -x. Ties as in `amax`."""
    return _extreme("smallest", input, dims_of(input, dim), keepdim, -INPUT, "shared")


def max_of(
    input: Shape, dim: int | None = None, keepdim: bool = False, other: Operand | None = None, piece: int = 0
) -> Op:
    """max(x): the largest of all, ties share; max(x, dim): along an axis, the first of the largest gets the gradient.

    The second result of the latter is the index. max(x, other) is the larger of two.
    """
    if other is not None:
        return maximum_of(input, other)
    if piece == 1:
        return argmax(input, dim, keepdim)
    return _extreme("largest", input, dims_of(input, dim), keepdim, INPUT, "shared" if dim is None else "first")


def min_of(
    input: Shape, dim: int | None = None, keepdim: bool = False, other: Operand | None = None, piece: int = 0
) -> Op:
    """As `max_of`, for the smallest."""
    if other is not None:
        return minimum_of(input, other)
    if piece == 1:
        return argmin(input, dim, keepdim)
    return _extreme("smallest", input, dims_of(input, dim), keepdim, -INPUT, "shared" if dim is None else "first")


def aminmax(input: Shape, piece: int, dim: int | None = None, keepdim: bool = False) -> Op:
    """The smallest (the first result) and the largest (the second)."""
    return (amin, amax)[piece](input, dim, keepdim)


def argmax(input: Shape, dim: int | None = None, keepdim: bool = False) -> Op:
    """The place of the first of the largest. Without `dim`, in the flattened array. No gradient."""
    return _place("index of the largest", input, dim, keepdim, INPUT)


def argmin(input: Shape, dim: int | None = None, keepdim: bool = False) -> Op:
    """As `argmax`, for the smallest."""
    return _place("index of the smallest", input, dim, keepdim, -INPUT)


def any_of(input: Shape, dim: Dims = None, keepdim: bool = False) -> Op:
    """1 where any is true."""
    return _extreme("any", input, dims_of(input, dim), keepdim, true(INPUT), "first", through=False)


def all_of(input: Shape, dim: Dims = None, keepdim: bool = False) -> Op:
    """1 where all are true: 1 - the largest of "is 0"."""
    out, ranges, to = reduced(input, dims_of(input, dim), keepdim)
    places = numbered(out)
    largest = Stage("largest", ranges, {"largest": to, "input": at(*numbered(input))}, equal(INPUT, 0), "max")
    stage = Stage(OUT, places, {OUT: at(*places), "largest": at(*places)}, 1 - LARGEST, through=False)
    return Op("all", {"input": input, "largest": out, OUT: out}, ("input",), (largest, stage))


def _extreme(
    kind: str, input: Shape, dims: Sequence[int], keepdim: bool, term: Expression, ties: Ties, through: bool = True
) -> Op:
    """The largest of `term`; of -input, its negative is the smallest input."""
    out, ranges, to = reduced(input, dims, keepdim)
    source = at(*numbered(input))
    if term != -INPUT:
        stage = Stage(OUT, ranges, {OUT: to, "input": source}, term, "max", through, ties)
        return Op(kind, {"input": input, OUT: out}, ("input",), (stage,))
    places = numbered(out)
    stages = (
        Stage("largest", ranges, {"largest": to, "input": source}, term, "max", through, ties),
        Stage(OUT, places, {OUT: at(*places), "largest": at(*places)}, -LARGEST, through=through),
    )
    return Op(kind, {"input": input, "largest": out, OUT: out}, ("input",), stages)


def _place(kind: str, input: Shape, dim: int | None, keepdim: bool, term: Expression) -> Op:
    """Among the largest numbers, the one with the most numbers after it (itself included) is the first."""
    dims = dims_of(input, dim)
    out, ranges, to = reduced(input, dims, keepdim)
    axes = numbered(input)
    shape = tuple(input[axis] for axis in dims)
    behind = np.arange(int(np.prod(shape)), 0, -1, dtype=np.float64).reshape(shape)
    maps = {"input": at(*axes), "largest": to, "behind": at(*(f"d{axis}" for axis in dims)), "left": to}
    places = numbered(out)
    stages = (
        Stage("largest", ranges, {n: maps[n] for n in ("largest", "input")}, term, "max", through=False),
        Stage("left", ranges, maps, equal(term, LARGEST) * BEHIND, "max", through=False),
        Stage(OUT, places, {OUT: at(*places), "left": at(*places)}, behind.size - LEFT, through=False),
    )
    shapes = {"input": input, "behind": shape, "largest": out, "left": out, OUT: out}
    return Op(kind, shapes, ("input",), stages, {"behind": behind})
