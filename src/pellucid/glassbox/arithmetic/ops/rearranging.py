"""Ops that reorder or repeat numbers in steps: shuffles, windows as rows, rolls, triangles."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from pellucid.glassbox.arithmetic.declaration import OUT, Axis, Op, Shape, Stage, at, numbered, table
from pellucid.glassbox.arithmetic.ops.products import Numbers, for_each
from pellucid.glassbox.arithmetic.ops.shaping import INPUT, copied, dims_of, moved

PLANE = ("y", "x")


def pixel_shuffle(input: Shape, upscale_factor: int) -> Op:
    """out[c, r*y + i, r*x + j] = input[r*r*c + r*i + j, y, x]: Shi et al. 2016, "Real-time super-resolution", eq. 4."""
    r, ((channels, height, width), lead) = upscale_factor, (input[-3:], _lead(input, 3))
    ranges = {**lead, "c": channels // (r * r), "y": height, "i": r, "x": width, "j": r}
    fine = at(*lead, "c", {"y": r, "i": 1}, {"x": r, "j": 1})
    coarse = at(*lead, {"c": r * r, "i": r, "j": 1}, "y", "x")
    out = (*lead.values(), channels // (r * r), height * r, width * r)
    return moved("pixel shuffle", input, out, ranges, fine, coarse)


def pixel_unshuffle(input: Shape, downscale_factor: int) -> Op:
    """The inverse of a pixel shuffle."""
    r, ((channels, height, width), lead) = downscale_factor, (input[-3:], _lead(input, 3))
    ranges = {**lead, "c": channels, "i": r, "j": r, "y": height // r, "x": width // r}
    fine = at(*lead, "c", {"y": r, "i": 1}, {"x": r, "j": 1})
    coarse = at(*lead, {"c": r * r, "i": r, "j": 1}, "y", "x")
    out = (*lead.values(), channels * r * r, height // r, width // r)
    return moved("pixel unshuffle", input, out, ranges, coarse, fine)


def channel_shuffle(input: Shape, groups: int) -> Op:
    """Channel g*k + i comes from channel (C/g)*i + k: Zhang et al. 2018, "ShuffleNet", figure 1."""
    batch, channels, *sizes = input
    places = {f"d{axis}": size for axis, size in enumerate(sizes, 2)}
    ranges = {"b": batch, "k": channels // groups, "i": groups, **places}
    to = at("b", {"k": groups, "i": 1}, *places)
    return moved("channel shuffle", input, input, ranges, to, at("b", {"i": channels // groups, "k": 1}, *places))


def unfold(input: Shape, dimension: int, size: int, step: int) -> Op:
    """out[..., n, ..., k] = input[..., step*n + k, ...]: the windows along an axis, each in a new last axis."""
    dim = dimension % len(input)
    count = (input[dim] - size) // step + 1
    out = (*input[:dim], count, *input[dim + 1 :], size)
    axes = list(numbered(input))
    source = [{axis: step, "k": 1} if index == dim else axis for index, axis in enumerate(axes)]
    return moved("windows", input, out, {**numbered(out[:-1]), "k": size}, at(*axes, "k"), at(*source))


def im2col(input: Shape, kernel_size: Numbers, dilation: Numbers, padding: Numbers, stride: Numbers) -> Op:
    """out[kh*kw*c + kw*ky + kx, w*y + x] = input[c, S*y + D*ky - P, S*x + D*kx - P]: a column for each window."""
    ranges, picture, columns, out = _windows(input, input[-2:], input[-3], kernel_size, dilation, padding, stride)
    return moved("windows as columns", input, out, ranges, columns, picture)


def col2im(
    input: Shape, output_size: Numbers, kernel_size: Numbers, dilation: Numbers, padding: Numbers, stride: Numbers
) -> Op:
    """The sum of all windows, each added back at its place, as in a convolution's gradient."""
    size = for_each(output_size, PLANE)
    channels = input[-2] // prod(for_each(kernel_size, PLANE))
    ranges, picture, columns, _ = _windows(input, size, channels, kernel_size, dilation, padding, stride)
    out = (*input[:-2], channels, *size)
    return moved("columns as windows", input, out, ranges, picture, columns)


def _windows(
    input: Shape, size: Shape, channels: int, kernel: Numbers, dilation: Numbers, padding: Numbers, stride: Numbers
) -> tuple[dict[str, int], tuple[Axis, ...], tuple[Axis, ...], Shape]:
    """(ranges, index map of the picture, of the columns, the columns' shape)."""
    kernel, dilation, padding, stride = (for_each(each, PLANE) for each in (kernel, dilation, padding, stride))
    counts = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, d, p, s in zip(size, kernel, dilation, padding, stride, strict=True)
    ]
    lead = {"b": input[0]} if len(input) == (4 if size == input[-2:] else 3) else {}
    ranges = {**lead, "c": channels, "ky": kernel[0], "kx": kernel[1], "y": counts[0], "x": counts[1]}
    picture = [
        Axis(((axis, s), (f"k{axis}", d)), -p) for axis, s, d, p in zip(PLANE, stride, dilation, padding, strict=True)
    ]
    columns = at(*lead, {"c": prod(kernel), "ky": kernel[1], "kx": 1}, {"y": counts[1], "x": 1})
    return ranges, at(*lead, "c", *picture), columns, (*lead.values(), channels * prod(kernel), prod(counts))


def roll(input: Shape, shifts: Numbers, dims: Numbers = ()) -> Op:
    """Shifted along axes; what leaves at one end comes in at the other. Without `dims`, on the flattened array."""
    shifts, dims = ((each,) if isinstance(each, int) else tuple(each) for each in (shifts, dims))
    if not dims:
        return _rolled_flat(input, shifts[0] % max(prod(input), 1))
    sources = [np.arange(n) for n in input]
    for shift, dim in zip(shifts, dims, strict=True):
        sources[dim] = np.roll(sources[dim], shift)
    axes = numbered(input)
    rolled = {dim % len(input) for dim in dims}
    source = at(*(table(axis, sources[number]) if number in rolled else axis for number, axis in enumerate(axes)))
    return moved("roll", input, input, axes, at(*axes), source)


def _rolled_flat(input: Shape, shift: int) -> Op:
    count = prod(input)
    if shift == 0:
        return copied(input, input)
    parts = [(count - shift, shift, 0), (shift, 0, count - shift)]  # (numbers, first of out, first of input)
    stages = tuple(
        Stage(OUT, {"n": size}, {OUT: at("n", offset=to), "input": at("n", offset=source)}, INPUT)
        for size, to, source in parts
    )
    return Op("roll", {"input": input, OUT: input}, ("input",), stages)


def flip(input: Shape, dims: Sequence[int]) -> Op:
    """Backwards along axes."""
    axes = numbered(input)
    turned = {dim % len(input) for dim in dims}
    source = (Axis(((a, -1),), n - 1) if i in turned else a for i, (a, n) in enumerate(axes.items()))
    return moved("flip", input, input, axes, at(*axes), at(*source))


def fliplr(input: Shape) -> Op:
    """Columns backwards."""
    return flip(input, [1])


def flipud(input: Shape) -> Op:
    """Rows backwards."""
    return flip(input, [0])


def rot90(input: Shape, k: int = 1, dims: Sequence[int] = (0, 1)) -> Op:
    """A quarter turn, `k` times, from the first axis of `dims` towards the second."""
    first, second = dims_of(input, dims)
    axes, turns = numbered(input), k % 4
    if turns in (0, 2):
        return flip(input, dims if turns == 2 else ())
    a, b = f"d{first}", f"d{second}"
    out = list(input)
    out[first], out[second] = input[second], input[first]
    back = Axis(((a, -1),), input[second] - 1) if turns == 1 else Axis(((b, -1),), input[first] - 1)
    source: list[str | Axis] = list(axes)
    source[first], source[second] = (b, back) if turns == 1 else (back, a)
    return moved("quarter turns", input, tuple(out), numbered(tuple(out)), at(*axes), at(*source))


def repeat(input: Shape, repeats: Sequence[int]) -> Op:
    """The whole array several times along each axis; new axes come first."""
    whole = (1,) * (len(repeats) - len(input)) + tuple(input)
    ranges = {}
    for axis, (n, times) in enumerate(zip(whole, repeats, strict=True)):
        ranges |= {f"r{axis}": times, f"d{axis}": n}
    to = at(*({f"r{axis}": n, f"d{axis}": 1} for axis, n in enumerate(whole)))
    source = at(*(f"d{axis + len(repeats) - len(input)}" for axis in range(len(input))))
    out = tuple(n * times for n, times in zip(whole, repeats, strict=True))
    return moved("repetition", input, out, ranges, to, source)


def repeat_each(input: Shape, times: int, dim: int | None = None) -> Op:
    """Each number, or slice along an axis, `times` times; without `dim` the array is flattened."""
    if dim is None:
        ranges = {"n": prod(input), "k": times}
        return moved("repetition", input, (prod(input) * times,), ranges, at({"n": times, "k": 1}), at("n"))
    dim = dim % len(input)
    axes = numbered(input)
    to = at(*({axis: times, "k": 1} if number == dim else axis for number, axis in enumerate(axes)))
    out = (*input[:dim], input[dim] * times, *input[dim + 1 :])
    return moved("repetition", input, out, {**axes, "k": times}, to, at(*axes))


def tile(input: Shape, dims: Sequence[int]) -> Op:
    """As `repeat`; if there are fewer numbers than axes, they apply to the last ones."""
    return repeat(input, (1,) * (len(input) - len(dims)) + tuple(dims))


def tril(input: Shape, diagonal: int = 0) -> Op:
    """Zeros above a diagonal, column > row + `diagonal`."""
    return _triangle(input, diagonal, -1)


def triu(input: Shape, diagonal: int = 0) -> Op:
    """Zeros below a diagonal, column < row + `diagonal`."""
    return _triangle(input, diagonal, 1)


def _triangle(input: Shape, diagonal: int, side: int) -> Op:
    """Column row + diagonal + side * k for k = 0, 1, ...: indices outside the array do not count."""
    lead, (height, width) = _lead(input, 2), input[-2:]
    place = at(*lead, "y", Axis((("y", 1), ("k", side)), diagonal))
    ranges = {**lead, "y": height, "k": height + width + abs(diagonal)}
    return moved("triangle", input, input, ranges, place, place)


def diagonal(input: Shape, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Op:
    """out[..., n] = input[..., n, ..., n + offset, ...]."""
    first, second = dims_of(input, [dim1, dim2])
    size = max(min(input[first] - max(-offset, 0), input[second] - max(offset, 0)), 0)
    left = {f"d{axis}": n for axis, n in enumerate(input) if axis not in (first, second)}
    start = {first: max(-offset, 0), second: max(offset, 0)}
    source = (Axis((("n", 1),), start[axis]) if axis in start else f"d{axis}" for axis in range(len(input)))
    return moved("diagonal", input, (*left.values(), size), {**left, "n": size}, at(*left, "n"), at(*source))


def diag_embed(input: Shape, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Op:
    """The last axis along a diagonal of two new ones, zeros elsewhere."""
    count, size = len(input) + 1, input[-1] + abs(offset)
    first, second = dim1 % count, dim2 % count
    left = iter(numbered(input[:-1]).items())
    start = {first: max(-offset, 0), second: max(offset, 0)}
    whole = [("n", size) if axis in start else next(left) for axis in range(count)]
    to = (Axis((("n", 1),), start[axis]) if axis in start else name for axis, (name, _) in enumerate(whole))
    lead = numbered(input[:-1])
    out = tuple(n for _, n in whole)
    return moved("diagonal", input, out, {**lead, "n": input[-1]}, at(*to), at(*lead, "n"))


def _lead(input: Shape, own: int) -> dict[str, int]:
    """Ranges of the axes before the last `own`."""
    return {f"d{axis}": size for axis, size in enumerate(input[: len(input) - own])}
