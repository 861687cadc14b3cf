"""What moves numbers without changing them, and what adds them up along whole axes."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from pellucid.glassbox.declaration import OUT, Axis, Op, Shape, Stage, at, each
from pellucid.glassbox.expression import Expression, names
from pellucid.glassbox.ops.elementwise import broadcast

INPUT = names("input")[0]


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
    """With a `dtype` the same bytes are read as other numbers, which is not written."""
    return copied(input, out) if dtype is None else None


def detach(input: Shape) -> Op:
    """The same numbers, through which no gradient goes."""
    maps = {OUT: at("n"), "input": at("n")}
    stage = Stage(OUT, each(input), maps, INPUT, through=False)
    return Op("same numbers, detached", {"input": input, OUT: input}, ("input",), (stage,))


def dropout(input: Shape, p: float, train: bool) -> Op | None:
    """At inference nothing is dropped and nothing scaled. In training which ones are dropped is drawn, not computed."""
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


def expand(input: Shape, out: Shape) -> Op:
    """Axes of one number repeated."""
    axes = [f"d{axis}" for axis in range(len(out))]
    stage = Stage(OUT, dict(zip(axes, out, strict=True)), {OUT: at(*axes), "input": broadcast(input, out)}, INPUT)
    return Op("repetition", {"input": input, OUT: out}, ("input",), (stage,))


def pad(input: Shape, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Op | None:
    """Zeros at the sides: `pad` is before and after, last axis first. Other paddings are not written yet."""
    if mode != "constant" or value:
        return None
    before, after = [0] * len(input), [0] * len(input)
    for index in range(len(pad) // 2):
        before[-1 - index], after[-1 - index] = pad[2 * index], pad[2 * index + 1]
    out = tuple(n + lo + hi for n, lo, hi in zip(input, before, after, strict=True))
    axes = [f"d{axis}" for axis in range(len(input))]
    source = at(*(Axis(((axis, 1),), -lo) for axis, lo in zip(axes, before, strict=True)))
    stage = Stage(OUT, dict(zip(axes, out, strict=True)), {OUT: at(*axes), "input": source}, INPUT)
    return Op("padding", {"input": input, OUT: out}, ("input",), (stage,))


def mean(input: Shape, dim: Sequence[int] | int | None = None, keepdim: bool = False) -> Op:
    """The average along whole axes."""
    dims = _dims(input, dim)
    return _reduced("average", input, dims, keepdim, INPUT * (1 / prod(input[axis] for axis in dims)))


def total(input: Shape, dim: Sequence[int] | int | None = None, keepdim: bool = False) -> Op:
    """The sum along whole axes."""
    return _reduced("sum", input, _dims(input, dim), keepdim, INPUT)


def _dims(input: Shape, dim: Sequence[int] | int | None) -> list[int]:
    if dim is None or (not isinstance(dim, int) and len(dim) == 0):
        return list(range(len(input)))
    return [axis % len(input) for axis in ([dim] if isinstance(dim, int) else dim)]


def _reduced(kind: str, input: Shape, dims: list[int], keepdim: bool, term: Expression) -> Op:
    axes = [f"d{axis}" for axis in range(len(input))]
    kept = [axis for index, axis in enumerate(axes) if index not in dims]
    to: list[str | int] = [0 if index in dims else axis for index, axis in enumerate(axes)] if keepdim else [*kept]
    out = tuple(1 if index in dims else n for index, n in enumerate(input) if keepdim or index not in dims)
    ranges = {axis: input[index] for index, axis in enumerate(axes)}
    ordered = {axis: ranges[axis] for axis in [*kept, *(axis for axis in axes if axis not in kept)]}
    stage = Stage(OUT, ordered, {OUT: at(*to), "input": at(*axes)}, term)
    return Op(kind, {"input": input, OUT: out}, ("input",), (stage,))
