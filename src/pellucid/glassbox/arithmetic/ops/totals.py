"""Running sums along an axis, and the spread of numbers along axes."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from pellucid.glassbox.arithmetic.declaration import OUT, Op, Shape, Stage, at, numbered
from pellucid.glassbox.arithmetic.expression import Expression, expression, greater, names, sqrt, where
from pellucid.glassbox.arithmetic.ops.shaping import dims_of, moved, reduced

INPUT, MEAN, VARIANCE = names("input", "mean", "variance")
Dims = Sequence[int] | int | None


def cumsum(input: Shape, dim: int) -> Op:
    """out[n] = sum over k of input[k], k from 0 to n: number k goes to k, k + 1, k + 2, ... up to the axis's end."""
    if not input:
        return moved("running sum", input, input, {}, (), ())
    axes = numbered(input)
    name = f"d{dim % len(input)}"
    to = at(*({"later": 1, axis: 1} if axis == name else axis for axis in axes))
    return moved("running sum", input, input, {**axes, "later": axes[name]}, to, at(*axes))


def var(
    input: Shape, dim: Dims = None, unbiased: bool = True, correction: float = 1, keepdim: bool = False, piece: int = 0
) -> Op | None:
    """sum of (input - mean)^2 / (n - correction) along axes. The second result of var_mean is the mean."""
    return _spread("variance", input, dim, correction if unbiased else 0, keepdim, piece, VARIANCE)


def std(
    input: Shape, dim: Dims = None, unbiased: bool = True, correction: float = 1, keepdim: bool = False, piece: int = 0
) -> Op | None:
    """The root of the variance; its gradient at 0 is 0, as in PyTorch. The second result of std_mean is the mean."""
    root = where(greater(VARIANCE, 0), sqrt(VARIANCE), 0)
    return _spread("standard deviation", input, dim, correction if unbiased else 0, keepdim, piece, root)


def _spread(
    kind: str, input: Shape, dim: Dims, correction: float, keepdim: bool, piece: int, root: Expression
) -> Op | None:
    dims = dims_of(input, dim)
    out, ranges, to = reduced(input, dims, keepdim)
    count = prod(input[axis] for axis in dims)
    source = at(*numbered(input))
    average = INPUT * expression(1 / count)
    if piece == 1:
        return Op(
            "average",
            {"input": input, OUT: out},
            ("input",),
            (Stage(OUT, ranges, {OUT: to, "input": source}, average),),
        )
    if count <= correction:
        return None  # PyTorch divides by 0
    apart = INPUT - MEAN
    maps = {"input": source, "mean": to}
    places = numbered(out)
    stages = (
        Stage("mean", ranges, maps, average),
        Stage("variance", ranges, {**maps, "variance": to}, apart * apart / (count - correction)),
        Stage(OUT, places, {OUT: at(*places), "variance": at(*places)}, root),
    )
    return Op(kind, {"input": input, "mean": out, "variance": out, OUT: out}, ("input",), stages)
