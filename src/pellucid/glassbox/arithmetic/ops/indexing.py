"""Ops that take numbers from places given by an array of indices. The indices are concrete: those of the run."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.glassbox.arithmetic.declaration import Axis, Op, Shape, at, numbered, table
from pellucid.glassbox.arithmetic.ops.rearranging import repeat_each
from pellucid.glassbox.arithmetic.ops.shaping import moved

Indices = NDArray[np.int64]
"""An argument of this type is passed as its numbers, not as its shape (aten.py). Masks are bool."""


def index_select(input: Shape, dim: int, index: Indices) -> Op:
    """out[..., n, ...] = input[..., index[n], ...]. index (N,), or one number."""
    if not input:
        return moved("selection", input, (), {}, (), ())
    dim = dim % len(input)
    places = np.atleast_1d(index)
    out = (*input[:dim], len(places), *input[dim + 1 :])
    axes = numbered(out)
    source = at(*(table(axis, places) if number == dim else axis for number, axis in enumerate(axes)))
    return moved("selection", input, out, axes, at(*axes), source)


def index(input: Shape, indices: Sequence[Indices | None]) -> Op:
    """input[indices], as in NumPy: index arrays are broadcast against each other, None takes a whole axis.

    A mask stands for the indices where it is true. The index arrays' axes take the place of the first of them, or come
    first if whole axes lie between them. Negative indices count from the end.
    """
    arrays = _without_masks(indices)
    arrays += [None] * (len(input) - len(arrays))
    named = [axis for axis, each in enumerate(arrays) if each is not None]
    shape = np.broadcast_shapes(*(each.shape for each in arrays if each is not None))
    whole = {f"d{axis}": input[axis] for axis, each in enumerate(arrays) if each is None}
    ranges, own, sources = _chosen(input, {axis: np.asarray(arrays[axis]) for axis in named}, shape)
    beside = named == list(range(named[0], named[-1] + 1))
    before = [name for name in whole if int(name[1:]) < named[0]] if beside else []
    after = [name for name in whole if name not in before]
    out = (*(whole[n] for n in before), *shape, *(whole[n] for n in after))
    source = at(*(sources.get(axis, f"d{axis}") for axis in range(len(input))))
    every = {**{n: whole[n] for n in before}, **ranges, **{n: whole[n] for n in after}}
    return moved("indexing", input, out, every, at(*before, *own, *after), source)


def gather(input: Shape, dim: int, index: Indices) -> Op:
    """out[..., n, ...] = input[..., index[..., n, ...], ...]: a separate index for each number; index: as out."""
    dim = dim % max(len(input), 1)
    along = np.moveaxis(index, dim, 0).reshape(index.shape[dim], -1) if index.ndim > 1 else None
    if along is None or not index.size or (along != along[:, :1]).any():
        return _picked(input, dim, index, index.shape)
    axes = numbered(index.shape)  # the same along all the other axes: one row of indices is enough
    source = at(*(table(axis, along[:, 0]) if number == dim else axis for number, axis in enumerate(axes)))
    return moved("selection", input, index.shape, axes, at(*axes), source)


def take_along_dim(input: Shape, indices: Indices, dim: int | None = None) -> Op:
    """`gather` with axes of length 1 repeated; without `dim` the arrays are flattened."""
    if dim is None:
        return take(input, indices.reshape(-1))
    dim = dim % len(input)
    lead = [size for axis, size in enumerate(input) if axis != dim]
    other = [size for axis, size in enumerate(indices.shape) if axis != dim]
    common = list(np.broadcast_shapes(lead, other))
    whole = (*common[:dim], input[dim], *common[dim:])
    if whole != tuple(input):
        raise ValueError("it also repeats the input, which is not supported")
    return gather(input, dim, np.broadcast_to(indices, (*common[:dim], indices.shape[dim], *common[dim:])))


def take(input: Shape, index: Indices) -> Op:
    """out[n] = input[index[n]], with the input flattened."""
    count = max(prod(input), 1)
    return moved("selection", input, index.shape, {"n": index.size}, at("n"), (table("n", index.reshape(-1) % count),))


def ranked(input: Shape, result1: Indices, piece: int, dim: int = -1) -> Op | None:
    """The numbers that an operator selected along an axis, taken from the places that it returned: topk, sort, median.

    `result1`: its second result, the indices, which are not computed here.
    """
    if piece != 0:
        return None
    dim = dim % max(len(input), 1)
    index = np.expand_dims(result1, dim) if result1.ndim < len(input) else result1
    return _picked(input, dim, index, result1.shape)


def repeat_interleave(input: Shape, repeats: Indices | int, dim: int | None = None) -> Op:
    """Repeat each number; the count is one number, or one for each place."""
    if isinstance(repeats, int):
        return repeat_each(input, repeats, dim)
    if dim is None:
        places = np.repeat(np.arange(prod(input)), repeats)
        return moved("repetition", input, (len(places),), {"n": len(places)}, at("n"), (table("n", places),))
    return index_select(input, dim, np.repeat(np.arange(input[dim]), repeats))


def addressed(input: Shape, dim: int, index: Indices) -> Indices:
    """Positions in the flattened input of [..., index[..., n, ...], ...]: int64 (numbers of the index,)."""
    if not input or not index.ndim:
        return np.zeros(index.size, np.int64)
    places: list[Any] = list(np.indices(index.shape))
    places[dim] = index % input[dim]
    return np.ravel_multi_index(places, input).reshape(-1)


def _picked(input: Shape, dim: int, index: Indices, out: Shape) -> Op:
    """An index along `dim` for each number of "out"; `index` has as many axes as the input."""
    return moved("selection", input, out, {"n": index.size}, at("n"), (table("n", addressed(input, dim, index)),))


def _without_masks(indices: Sequence[Indices | None]) -> list[Indices | None]:
    arrays: list[Indices | None] = []
    for each in indices:
        arrays += np.nonzero(each) if each is not None and each.dtype == bool else [each]
    return arrays


def _chosen(
    input: Shape, arrays: dict[int, Indices], shape: Shape
) -> tuple[dict[str, int], tuple[Axis, ...], dict[int, Axis]]:
    """(ranges, index maps of the arrays' own axes, index map of each axis of the input that has an array)."""
    arrays = {axis: each % input[axis] for axis, each in arrays.items()}
    sizes = {axis: (1,) * (len(shape) - each.ndim) + each.shape for axis, each in arrays.items()}
    along = {axis: [n for n, size in enumerate(own) if size != 1] for axis, own in sizes.items()}
    used = [axis for several in along.values() for axis in several]
    if all(len(several) < 2 for several in along.values()) and len(set(used)) == len(used):  # no shared axis
        ranges = {f"n{axis}": size for axis, size in enumerate(shape)}
        sources = {
            axis: table(f"n{along[axis][0]}", each.reshape(-1)) if along[axis] else Axis((), int(each.reshape(-1)[0]))
            for axis, each in arrays.items()
        }
        return ranges, at(*ranges), sources
    sources = {axis: table("n", np.broadcast_to(each, shape).reshape(-1)) for axis, each in arrays.items()}
    if len(shape) == 1:
        return {"n": shape[0]}, at("n"), sources
    own = np.indices(shape).reshape(len(shape), -1)
    return {"n": prod(shape)}, at(*(table("n", places) for places in own)), sources
