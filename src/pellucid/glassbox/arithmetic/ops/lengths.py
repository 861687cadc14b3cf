"""Lengths of vectors and distances between them; weights written as a length and a direction."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pellucid.glassbox.arithmetic.declaration import OUT, Axis, Op, Shape, Stage, at
from pellucid.glassbox.arithmetic.expression import Expression, greater, maximum, names, power, sqrt, where
from pellucid.glassbox.arithmetic.ops.elementwise import broadcast

INPUT, SUM, LARGEST = names("input", "sum", "largest")
Dims = Sequence[int] | int | None
Map = tuple[Axis, ...]


def vector_norm(input: Shape, ord: float = 2, dim: Dims = None, keepdim: bool = False) -> Op | None:
    """(sum along `dim` of |x|^ord)^(1/ord); for an infinite ord the largest |x|, for 0 the number of nonzero elements.

    The gradient of the length of a zero vector is 0, not infinity, as in PyTorch.
    """
    axes, to, remaining, ranges = _along(input, dim, keepdim)
    whole, out = at(*axes), at(*to)
    shape = tuple(1 if isinstance(axis, int) else input[axes.index(axis)] for axis in to)
    if math.isinf(ord):
        return _largest(input, ord > 0, ranges, remaining, whole, out, shape) if 0 not in input else None
    kind = "count of nonzero numbers" if ord == 0 else f"L{ord:g} norm"
    if ord in (0, 1):
        term = where(INPUT, 1, 0) if ord == 0 else _absolute(INPUT)
        return Op(
            kind, {"input": input, OUT: shape}, ("input",), (Stage(OUT, ranges, {OUT: out, "input": whole}, term),)
        )
    stages = (
        Stage("sum", ranges, {"sum": out, "input": whole}, _powered(INPUT, ord)),
        Stage(OUT, {name: ranges[name] for name in remaining}, {OUT: out, "sum": out}, _root(SUM, ord)),
    )
    return Op(kind, {"input": input, "sum": shape, OUT: shape}, ("input",), stages)


def norm(input: Shape, p: float | None = 2, dim: Dims = None, keepdim: bool = False) -> Op | None:
    """torch.norm's older operator."""
    return vector_norm(input, 2 if p is None else p, dim, keepdim)


def linalg_norm(input: Shape, ord: float | str | None = None, dim: Dims = None, keepdim: bool = False) -> Op | None:
    """A vector's norm along one axis, or along all without an `ord`; Frobenius's along two. None for other norms."""
    dims = [dim] if isinstance(dim, int) else dim
    matrix = len(input) == 2 if dims is None else len(dims) == 2
    if ord is None or (matrix and ord == "fro"):
        return vector_norm(input, 2, dim, keepdim)
    if matrix or isinstance(ord, str):
        return None
    return vector_norm(input, ord, dim, keepdim)


def matrix_norm(
    input: Shape, ord: float | str = "fro", dim: Sequence[int] = (-2, -1), keepdim: bool = False
) -> Op | None:
    """Frobenius's: the root of the sum of squares. None for the others."""
    return vector_norm(input, 2, dim, keepdim) if ord == "fro" else None


def cosine_similarity(x1: Shape, x2: Shape, dim: int = 1, eps: float = 1e-8) -> Op:
    """sum of first * second, each vector divided by its length, or by `eps` if that is larger."""
    out = tuple(max(pair) for pair in zip(_padded(x1, len(x2)), _padded(x2, len(x1)), strict=True))
    _, to, remaining, ranges = _along(out, dim, False)
    shapes: dict[str, Shape] = {"x1": x1, "x2": x2}
    stages: list[Stage] = []
    for name, total, length, shape in (("x1", "sum1", "length1", x1), ("x2", "sum2", "length2", x2)):
        x = names(name)[0]
        shapes |= {total: _without(out, dim), length: _without(out, dim)}
        maps = {total: at(*to), name: broadcast(shape, out)}
        stages.append(Stage(total, ranges, maps, x * x))
        small = {axis: ranges[axis] for axis in remaining}
        stages.append(Stage(length, small, {length: at(*to), total: at(*to)}, maximum(_root(names(total)[0], 2), eps)))
    first, second, length1, length2 = names("x1", "x2", "length1", "length2")
    maps = {OUT: at(*to), "x1": broadcast(x1, out), "x2": broadcast(x2, out), "length1": at(*to), "length2": at(*to)}
    stages.append(Stage(OUT, ranges, maps, (first / length1) * (second / length2)))
    shapes[OUT] = _without(out, dim)
    return Op("cosine similarity", shapes, ("x1", "x2"), tuple(stages))


def cdist(x1: Shape, x2: Shape, p: float = 2.0) -> Op | None:
    """out[.., r, c] = the Lp norm of x1[.., r, :] - x2[.., c, :]. None for an infinite p."""
    if math.isinf(p) or p == 0:
        return None
    count = max(len(x1), len(x2)) - 2
    left, right = _padded(x1[:-2], count), _padded(x2[:-2], count)
    lead = tuple(max(pair) for pair in zip(left, right, strict=True))
    names_of = [f"b{axis or ''}" for axis in range(count)]
    first = [0 if size == 1 else name for name, size in zip(names_of, left, strict=True)][count - len(x1) + 2 :]
    second = [0 if size == 1 else name for name, size in zip(names_of, right, strict=True)][count - len(x2) + 2 :]
    places = {**dict(zip(names_of, lead, strict=True)), "r": x1[-2], "c": x2[-2]}
    out, shape = at(*names_of, "r", "c"), (*lead, x1[-2], x2[-2])
    maps = {"x1": at(*first, "r", "i"), "x2": at(*second, "c", "i")}
    return _distance({"x1": x1, "x2": x2}, maps, {**places, "i": x1[-1]}, list(places), out, shape, p, 0.0)


def pairwise_distance(x1: Shape, x2: Shape, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Op | None:
    """out[..] = the Lp norm along the last axis of x1 - x2 + eps. None for an infinite p."""
    if math.isinf(p) or p == 0:
        return None
    out = tuple(max(pair) for pair in zip(_padded(x1, len(x2)), _padded(x2, len(x1)), strict=True))
    _, to, remaining, ranges = _along(out, -1, keepdim)
    maps = {"x1": broadcast(x1, out), "x2": broadcast(x2, out)}
    shape = (*out[:-1], 1) if keepdim else out[:-1]
    return _distance({"x1": x1, "x2": x2}, maps, ranges, remaining, at(*to), shape, p, eps)


def weight_norm(v: Shape, g: Shape, dim: int = 0) -> Op:
    """out = v * g / (the length of v), one length for each index along `dim`, or one for all with dim -1.

    Salimans & Kingma 2016, "Weight normalization", eq. 2.
    """
    axes = [f"d{axis}" for axis in range(len(v))]
    ranges, whole = dict(zip(axes, v, strict=True)), at(*axes)
    one = [0 if size == 1 else axis for axis, size in zip(axes, g, strict=True)] if g else []
    length, direction, size = names("length", "v", "g")
    maps = {"sum": at(*one), "v": whole}
    remaining = {axis: ranges[axis] for axis in one if isinstance(axis, str)}
    stages = (
        Stage("sum", ranges, maps, direction * direction),
        Stage("length", remaining, {"length": at(*one), "sum": at(*one)}, sqrt(SUM)),
        Stage(OUT, ranges, {OUT: whole, "v": whole, "g": at(*one), "length": at(*one)}, direction * (size / length)),
    )
    shapes = {"v": v, "g": g, "sum": tuple(g), "length": tuple(g), OUT: v}
    return Op("length times direction", shapes, ("v", "g"), stages)


def _distance(
    arrays: dict[str, Shape],
    maps: dict[str, Map],
    ranges: dict[str, int],
    remaining: Sequence[str],
    out: Map,
    shape: Shape,
    p: float,
    eps: float,
) -> Op:
    first, second = names("x1", "x2")
    stages = (
        Stage("sum", ranges, {"sum": out, **maps}, _powered(first - second + eps, p)),
        Stage(OUT, {name: ranges[name] for name in remaining}, {OUT: out, "sum": out}, _root(SUM, p)),
    )
    return Op(f"L{p:g} distance", {**arrays, "sum": shape, OUT: shape}, ("x1", "x2"), stages)


def _largest(
    input: Shape, most: bool, ranges: dict[str, int], remaining: Sequence[str], whole: Map, out: Map, shape: Shape
) -> Op:
    """The largest |x|, or the smallest. Equal ones share the gradient, as in PyTorch."""
    if most:
        stage = Stage(OUT, ranges, {OUT: out, "input": whole}, _absolute(INPUT), "max", ties="shared")
        return Op("largest size", {"input": input, OUT: shape}, ("input",), (stage,))
    maps = {"largest": out, "input": whole}
    stages = (
        Stage("largest", ranges, maps, -_absolute(INPUT), "max", ties="shared"),
        Stage(OUT, {name: ranges[name] for name in remaining}, {OUT: out, "largest": out}, -LARGEST),
    )
    return Op("smallest size", {"input": input, "largest": shape, OUT: shape}, ("input",), stages)


def _absolute(x: Expression) -> Expression:
    """|x|, whose slope at 0 is 0."""
    return maximum(x, 0) + maximum(-x, 0)


def _powered(x: Expression, p: float) -> Expression:
    if p == 2:
        return x * x
    size = _absolute(x)
    return size if p == 1 else where(greater(size, 0), power(size, p), 0)


def _root(total: Expression, p: float) -> Expression:
    """total^(1/p), whose slope at 0 is 0."""
    if p == 1:
        return total
    return where(greater(total, 0), sqrt(total) if p == 2 else power(total, 1 / p), 0)


def _along(input: Shape, dim: Dims, keepdim: bool) -> tuple[list[str], list[str | int], list[str], dict[str, int]]:
    """(a name for each axis, the output's index, the names left in it, all ranges with those first)."""
    axes = [f"d{axis}" for axis in range(len(input))]
    every = dim is None or (not isinstance(dim, int) and len(dim) == 0)
    dims = range(len(input)) if every or dim is None else [dim] if isinstance(dim, int) else dim
    summed = {axes[axis] for axis in dims} if input else set()
    remaining = [axis for axis in axes if axis not in summed]
    to: list[str | int] = [0 if axis in summed else axis for axis in axes] if keepdim else [*remaining]
    order = [*remaining, *(axis for axis in axes if axis in summed)]
    return axes, to, remaining, {axis: input[axes.index(axis)] for axis in order}


def _padded(shape: Shape, count: int) -> Shape:
    return (1,) * (count - len(shape)) + tuple(shape)


def _without(shape: Shape, dim: int) -> Shape:
    return tuple(size for axis, size in enumerate(shape) if axis != dim % len(shape))
