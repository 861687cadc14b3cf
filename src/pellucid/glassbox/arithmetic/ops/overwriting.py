"""Ops that replace numbers at some places of an array, or add numbers there."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from pellucid.glassbox.arithmetic.declaration import OUT, Axis, Op, Shape, Stage, at, each, numbered, table
from pellucid.glassbox.arithmetic.expression import Expression, names, number
from pellucid.glassbox.arithmetic.ops.indexing import Indices, addressed

INPUT = names("input")[0]


def select_scatter(input: Shape, src: Shape, dim: int, index: int) -> Op:
    """`src` at one index of an axis, which `src` lacks."""
    dim = dim % len(input)
    return _along(input, dim, np.array([index % input[dim]]), "src", src)


def slice_scatter(
    input: Shape, src: Shape, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Op:
    """`src` at a slice of an axis."""
    dim = dim % len(input)
    return _along(input, dim, np.arange(input[dim])[slice(start, end, step)], "src", src)


def index_fill(input: Shape, dim: int, index: Indices, value: Shape | float) -> Op:
    """One number at indices of an axis."""
    dim = dim % len(input)
    return _along(input, dim, np.unique(index % input[dim]), "value", value)


def index_copy(input: Shape, dim: int, index: Indices, source: Shape) -> Op | None:
    """`source` at indices of an axis. Not supported: an index twice, because PyTorch leaves open which number stays."""
    dim = dim % len(input)
    once = len(np.unique(index)) == index.size
    return _along(input, dim, index.reshape(-1) % input[dim], "source", source) if once else None


def index_add(input: Shape, dim: int, index: Indices, source: Shape, alpha: float = 1) -> Op:
    """input, and alpha * source added at indices of an axis."""
    dim, axes = dim % len(input), numbered(source)
    to = at(*(table(axis, index.reshape(-1)) if place == dim else axis for place, axis in enumerate(axes)))
    added = Stage(OUT, axes, {OUT: to, "source": at(*axes)}, names("source")[0] * alpha)
    return Op("addition", {"input": input, "source": source, OUT: input}, ("input", "source"), (_whole(input), added))


def scatter(
    input: Shape,
    dim: int,
    index: Indices,
    src: Shape | None = None,
    value: float | None = None,
    reduce: str | None = None,
) -> Op | None:
    """out[..., index[..., n, ...], ...] = src[..., n, ...], or one number. Not supported: a place twice, `reduce`."""
    to = addressed(input, dim, index)
    if reduce is not None or (src is None) == (value is None):
        return None
    return _put(input, to, value, "src", src, _first(index.shape, src))


def scatter_add(input: Shape, dim: int, index: Indices, src: Shape) -> Op | None:
    """input, and src[..., n, ...] added at [..., index[..., n, ...], ...]."""
    return _put(input, addressed(input, dim, index), None, "src", src, _first(index.shape, src), added=True)


def index_put(input: Shape, indices: Sequence[Indices | None], values: Shape, accumulate: bool = False) -> Op | None:
    """input[indices] = values, which are broadcast; with `accumulate` they are added. Not supported: a place twice."""
    key = tuple(slice(None) if array is None else array for array in indices)
    to = np.arange(prod(input)).reshape(input)[key]
    source = np.broadcast_to(np.arange(prod(values)).reshape(values), to.shape)
    return _put(input, to.reshape(-1), None, "values", values, source.reshape(-1), accumulate)


def put(input: Shape, index: Indices, source: Shape, accumulate: bool = False) -> Op | None:
    """`source` at places of the flattened array; with `accumulate` it is added. Not supported: repeated places."""
    to = index.reshape(-1) % max(prod(input), 1)
    return _put(input, to, None, "source", source, np.arange(prod(source)), accumulate)


def masked_scatter(input: Shape, mask: Indices, source: Shape) -> Op | None:
    """The first numbers of `source`, in order, where the mask is true."""
    if np.broadcast_shapes(mask.shape, input) != input:
        return None  # a mask with more axes makes the array larger
    to = np.flatnonzero(np.broadcast_to(mask, input))
    return _put(input, to, None, "source", source, np.arange(len(to)))


def fill_diagonal(input: Shape, fill_value: float, wrap: bool = False) -> Op | None:
    """One number where all indices are equal. Not supported: `wrap`, which continues below a square."""
    if wrap and input[0] > input[-1]:
        return None
    axis = np.arange(min(input))
    return _put(input, np.ravel_multi_index((axis,) * len(input), input), fill_value, "", None, axis)


def _along(input: Shape, dim: int, places: Indices, name: str, source: Shape | float) -> Op:
    """Another array, or one number, at places of an axis; elsewhere the input."""
    axes = list(numbered(input))
    rest = np.setdiff1d(np.arange(input[dim]), places)

    def there(chosen: Indices) -> tuple[dict[str, int], tuple[Axis, ...]]:
        ranges = {**numbered(input), axes[dim]: len(chosen)}
        return ranges, at(*(_run(axis, chosen) if place == dim else axis for place, axis in enumerate(axes)))

    left, at_rest = there(rest)
    ranges, at_places = there(places)
    maps, term, arrays = {OUT: at_places}, _number(source), {"input": input}
    if isinstance(source, tuple):
        own = axes if len(source) == len(input) else [axis for axis in axes if axis != axes[dim]]
        maps[name], term, arrays[name] = at(*own) if source else (), names(name)[0], source
    stages = (Stage(OUT, left, {OUT: at_rest, "input": at_rest}, INPUT), Stage(OUT, ranges, maps, term))
    return Op("overwriting", {**arrays, OUT: input}, tuple(arrays), stages)


def _put(
    input: Shape,
    to: Indices,
    value: float | None,
    name: str,
    source: Shape | None,
    taken: Indices,
    added: bool = False,
) -> Op | None:
    """Numbers `taken` from a source, or one number, at positions `to`; elsewhere the input (everywhere, if added)."""
    if not added and len(np.unique(to)) < len(to):
        return None
    rest = (table("n", np.setdiff1d(np.arange(prod(input)), to)),)
    left = Stage(OUT, {"n": prod(input) - len(to)}, {OUT: rest, "input": rest}, INPUT)
    maps, term, arrays = {OUT: (table("n", to),)}, _number(value), {"input": input}
    if source is not None:
        maps[name], term, arrays[name] = (table("n", taken),), names(name)[0], source
    stages = (_whole(input) if added else left, Stage(OUT, {"n": len(to)}, maps, term))
    return Op("addition" if added else "overwriting", {**arrays, OUT: input}, tuple(arrays), stages)


def _whole(input: Shape) -> Stage:
    return Stage(OUT, each(input), {OUT: at("n"), "input": at("n")}, INPUT)


def _number(value: Shape | float | None) -> Expression:
    return number(float(value)) if isinstance(value, int | float) else number(0)


def _run(name: str, places: Indices) -> Axis:
    """Constant steps if possible, else a table."""
    if not len(places) or (places == np.arange(len(places)) + places[0]).all():
        return Axis(((name, 1),), int(places[0]) if len(places) else 0)
    return table(name, places)


def _first(shape: Shape, source: Shape | None) -> Indices:
    """Positions in a source of its first numbers along each axis, as many as the shape has."""
    if not source:
        return np.zeros(prod(shape), np.int64)
    return np.arange(prod(source)).reshape(source)[tuple(map(slice, shape))].reshape(-1)
