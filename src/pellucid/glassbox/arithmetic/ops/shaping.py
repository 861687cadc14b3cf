"""Ops that move numbers without changing them, and sums along whole axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

from pellucid.glassbox.arithmetic.declaration import OUT, Axis, Op, Shape, Stage, at, each, numbered
from pellucid.glassbox.arithmetic.expression import Expression, names
from pellucid.glassbox.arithmetic.ops.elementwise import broadcast

INPUT = names("input")[0]


def moved(
    kind: str, input: Shape, out: Shape, ranges: Mapping[str, int], to: Sequence[Axis], source: Sequence[Axis]
) -> Op:
    """out[to] = input[source] for all values of the index names; if several go to one place, their sum."""
    stage = Stage(OUT, ranges, {OUT: tuple(to), "input": tuple(source)}, INPUT)
    return Op(kind, {"input": input, OUT: out}, ("input",), (stage,))


def copied(input: Shape, out: Shape) -> Op:
    """The same numbers in the same order under another shape: flatten, reshape, dropout at inference."""
    maps = {OUT: at("n"), "input": at("n")}
    return Op("same numbers", {"input": input, OUT: out}, ("input",), (Stage(OUT, each(input), maps, INPUT),))


def flatten(input: Shape, start_dim: int = 0, end_dim: int = -1) -> Op:
    """The axes from start to end become one: number [c, y, x] of C x H x W becomes number (c*H + y)*W + x."""
    if not input:
        return copied(input, (1,))
    first, last = start_dim % len(input), end_dim % len(input)
    return copied(input, (*input[:first], prod(input[first : last + 1]), *input[last + 1 :]))


def reshape(input: Shape, out: Shape) -> Op:
    return copied(input, out)


def view(input: Shape, out: Shape, dtype: object = None) -> Op | None:
    """None with a `dtype`, which would read the same bytes as other numbers."""
    return copied(input, out) if dtype is None else None


def detach(input: Shape) -> Op:
    """The same numbers; no gradient passes."""
    maps = {OUT: at("n"), "input": at("n")}
    stage = Stage(OUT, each(input), maps, INPUT, through=False)
    return Op("same numbers, detached", {"input": input, OUT: input}, ("input",), (stage,))


def dropout(input: Shape, p: float, train: bool) -> Op | None:
    """At inference nothing is dropped or scaled. None in training: what is dropped is drawn, not computed."""
    return None if train and p > 0 else copied(input, input)


def permute(input: Shape, dims: Sequence[int]) -> Op:
    axes = [f"d{axis}" for axis in range(len(input))]
    order = [axes[dim] for dim in dims]
    maps = {OUT: at(*order), "input": at(*axes)}
    out = tuple(input[dim] for dim in dims)
    stage = Stage(OUT, dict(zip(axes, input, strict=True)), maps, INPUT)
    return Op("axes in another order", {"input": input, OUT: out}, ("input",), (stage,))


def transpose(input: Shape, dim0: int, dim1: int) -> Op:
    order = list(range(len(input)))
    order[dim0], order[dim1] = order[dim1], order[dim0]
    return permute(input, order)


def movedim(input: Shape, source: Sequence[int] | int, destination: Sequence[int] | int) -> Op:
    """Move the axes `source` to `destination`; the others keep their order."""
    count = len(input)
    pairs = zip(_several(destination), _several(source), strict=True)
    ordered = sorted((to % count, axis % count) for to, axis in pairs)
    order = [axis for axis in range(count) if axis not in {axis for _, axis in ordered}]
    for to, axis in ordered:
        order.insert(to, axis)
    return permute(input, order)


def swapaxes(input: Shape, axis0: int, axis1: int) -> Op:
    """NumPy's name of a transpose."""
    return transpose(input, axis0, axis1)


def reversed_axes(input: Shape) -> Op:
    """x.T, and t() of a matrix or a row."""
    return permute(input, list(reversed(range(len(input)))))


def matrix_transpose(input: Shape) -> Op:
    """Exchange the last two axes: x.mT, and x.mH for real numbers."""
    return transpose(input, -2, -1)


def concatenate(tensors: Sequence[Shape], dim: int = 0) -> Op:
    """One array after the other along an axis: dense networks (Huang et al. 2017, eq. 2)."""
    dim = dim % len(tensors[0])
    axes = [f"d{axis}" for axis in range(len(tensors[0]))]
    stages, shapes, start = [], {}, 0
    for number, shape in enumerate(tensors):
        name = f"tensors{number}"
        shapes[name] = shape
        to = at(*(Axis(((axis, 1),), start if index == dim else 0) for index, axis in enumerate(axes)))
        maps = {OUT: to, name: at(*axes)}
        stages.append(Stage(OUT, dict(zip(axes, shape, strict=True)), maps, names(name)[0]))
        start += shape[dim]
    first = tensors[0]
    shapes[OUT] = (*first[:dim], start, *first[dim + 1 :])
    return Op("concatenation", shapes, tuple(shapes)[:-1], tuple(stages))


def stack(tensors: Sequence[Shape], dim: int = 0) -> Op:
    """Arrays of one shape beside each other along a new axis."""
    ranges = numbered(tensors[0])
    dim = dim % (len(ranges) + 1)
    each_axis = list(ranges)
    stages, shapes = [], {}
    for number, shape in enumerate(tensors):
        name = f"tensors{number}"
        shapes[name] = shape
        maps = {OUT: at(*each_axis[:dim], number, *each_axis[dim:]), name: at(*each_axis)}
        stages.append(Stage(OUT, ranges, maps, names(name)[0]))
    shapes[OUT] = (*tensors[0][:dim], len(tensors), *tensors[0][dim:])
    return Op("stack", shapes, tuple(shapes)[:-1], tuple(stages))


def slice_of(input: Shape, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1) -> Op:
    dim = dim % len(input)
    places = range(*slice(start, end, step).indices(input[dim]))
    axes = [f"d{axis}" for axis in range(len(input))]
    source = [Axis(((a, step),), places.start) if index == dim else a for index, a in enumerate(axes)]
    out = (*input[:dim], len(places), *input[dim + 1 :])
    stage = Stage(OUT, dict(zip(axes, out, strict=True)), {OUT: at(*axes), "input": at(*source)}, INPUT)
    return Op("slice", {"input": input, OUT: out}, ("input",), (stage,))


def select(input: Shape, dim: int, index: int) -> Op:
    dim = dim % len(input)
    axes = [f"d{axis}" for axis in range(len(input)) if axis != dim]
    source: list[str | int] = [*axes[:dim], index % input[dim], *axes[dim:]]
    out = (*input[:dim], *input[dim + 1 :])
    stage = Stage(OUT, dict(zip(axes, out, strict=True)), {OUT: at(*axes), "input": at(*source)}, INPUT)
    return Op("selection", {"input": input, OUT: out}, ("input",), (stage,))


def narrow(input: Shape, dim: int, start: int, length: int) -> Op:
    start = start % input[dim] if start < 0 else start
    return slice_of(input, dim, start, start + length)


def unbind(input: Shape, piece: int, dim: int = 0) -> Op:
    """The piece with this number along an axis, without the axis."""
    return select(input, dim, piece)


def split(input: Shape, piece: int, pieces: Sequence[Shape], dim: int = 0) -> Op:
    """The piece with this number along an axis; `pieces` are the shapes of all: split, chunk, tensor_split."""
    start = sum(shape[dim] for shape in pieces[:piece])
    return slice_of(input, dim, start, start + pieces[piece][dim])


def hsplit(input: Shape, piece: int, pieces: Sequence[Shape]) -> Op:
    """Along the second axis, or the only one."""
    return split(input, piece, pieces, min(1, len(input) - 1))


def vsplit(input: Shape, piece: int, pieces: Sequence[Shape]) -> Op:
    """Along the first axis."""
    return split(input, piece, pieces, 0)


def dsplit(input: Shape, piece: int, pieces: Sequence[Shape]) -> Op:
    """Along the third axis."""
    return split(input, piece, pieces, 2)


def expand(input: Shape, out: Shape) -> Op:
    """Repeat axes of length 1."""
    axes = [f"d{axis}" for axis in range(len(out))]
    stage = Stage(OUT, dict(zip(axes, out, strict=True)), {OUT: at(*axes), "input": broadcast(input, out)}, INPUT)
    return Op("repetition", {"input": input, OUT: out}, ("input",), (stage,))


def broadcast_tensors(tensors: Sequence[Shape], piece: int, out: Shape) -> Op:
    """The array with this number, its axes of length 1 repeated up to the common shape."""
    name, ranges = f"tensors{piece}", numbered(out)
    stage = Stage(OUT, ranges, {OUT: at(*ranges), name: broadcast(tensors[piece], out)}, names(name)[0])
    return Op("repetition", {name: tensors[piece], OUT: out}, (name,), (stage,))


def meshgrid(tensors: Sequence[Shape], piece: int, out: Shape, indexing: str = "ij") -> Op:
    """A row of numbers repeated along all axes but its own; "xy" exchanges the first two."""
    name, ranges = f"tensors{piece}", numbered(out)
    axis = 1 - piece if indexing == "xy" and piece < 2 and len(out) > 1 else piece
    source = at(f"d{axis}") if tensors[piece] else ()
    stage = Stage(OUT, ranges, {OUT: at(*ranges), name: source}, names(name)[0])
    return Op("repetition", {name: tensors[piece], OUT: out}, (name,), (stage,))


def mean(input: Shape, dim: Sequence[int] | int | None = None, keepdim: bool = False) -> Op:
    """The average along whole axes."""
    dims = dims_of(input, dim)
    return _reduced("average", input, dims, keepdim, INPUT * (1 / prod(input[axis] for axis in dims)))


def total(input: Shape, dim: Sequence[int] | int | None = None, keepdim: bool = False) -> Op:
    """The sum along whole axes."""
    return _reduced("sum", input, dims_of(input, dim), keepdim, INPUT)


def _several(dim: Sequence[int] | int) -> Sequence[int]:
    return [dim] if isinstance(dim, int) else dim


def dims_of(input: Shape, dim: Sequence[int] | int | None) -> list[int]:
    """The axes along which to sum or compare, from 0: all by default."""
    if dim is None or (not isinstance(dim, int) and len(dim) == 0):
        return list(range(len(input)))
    return [axis % len(input) for axis in _several(dim)]


def reduced(input: Shape, dims: Sequence[int], keepdim: bool) -> tuple[Shape, dict[str, int], tuple[Axis, ...]]:
    """(the shape without `dims`, the ranges with `dims` last, the output index of a reduction)."""
    axes = list(numbered(input))
    left = [index for index in range(len(input)) if index not in dims]
    to = [0 if index in dims else axis for index, axis in enumerate(axes)] if keepdim else [axes[i] for i in left]
    out = tuple(1 if index in dims else n for index, n in enumerate(input) if keepdim or index not in dims)
    ranges = {axes[index]: input[index] for index in [*left, *sorted(dims)]}
    return out, ranges, at(*to)


def _reduced(kind: str, input: Shape, dims: list[int], keepdim: bool, term: Expression) -> Op:
    out, ranges, to = reduced(input, dims, keepdim)
    stage = Stage(OUT, ranges, {OUT: to, "input": at(*numbered(input))}, term)
    return Op(kind, {"input": input, OUT: out}, ("input",), (stage,))
