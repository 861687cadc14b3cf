"""Sums of products: convolution in any number of dimensions, its transpose, dense, matrix product."""

from __future__ import annotations

from collections.abc import Sequence

from pellucid.glassbox.arithmetic.declaration import OUT, Axis, Op, Shape, Stage, at
from pellucid.glassbox.arithmetic.expression import names

INPUT, WEIGHT, BIAS = names("input", "weight", "bias")
SPATIAL = ("z", "y", "x")
Numbers = int | Sequence[int]


def conv(
    input: Shape,
    weight: Shape,
    bias: Shape | None = None,
    stride: Numbers = 1,
    padding: Numbers | str = 0,
    dilation: Numbers = 1,
    groups: int = 1,
) -> Op:
    """out[b, c, y, x] = bias[c] + sum over i, ky, kx of input[b, i, S*y + D*ky - P, S*x + D*kx - P]
    * weight[c, i, ky, kx].

    input (B, C, H, W) or (C, H, W), likewise in one or three dimensions; weight (F, C / groups, kh, kw). With groups,
    output channel g*F/groups + c sees the input channels from g*C/groups on. 1x1 and depthwise convolutions are special
    cases.
    """
    axes = SPATIAL[-(len(weight) - 2) :]
    kernel, sizes = weight[2:], input[-len(axes) :]
    stride, dilation = for_each(stride, axes), for_each(dilation, axes)
    if isinstance(padding, str):
        reach = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        before = [r // 2 if padding == "same" else 0 for r in reach]
        after = [r - r // 2 if padding == "same" else 0 for r in reach]
    else:
        before = after = list(for_each(padding, axes))
    spatial = tuple(
        (n + lo + hi - d * (k - 1) - 1) // s + 1
        for n, lo, hi, d, k, s in zip(sizes, before, after, dilation, kernel, stride, strict=True)
    )
    batch = {"b": input[0]} if len(input) == len(weight) else {}
    per_out, per_in = weight[0] // groups, weight[1]
    out_channel, in_channel = _channels(groups, per_out, per_in)
    windows = [
        Axis(((axis, s), (f"k{axis}", d)), -lo) for axis, s, d, lo in zip(axes, stride, dilation, before, strict=True)
    ]
    out = (*batch.values(), weight[0], *spatial)
    places = {**batch, **({"g": groups} if groups > 1 else {}), "c": per_out, **dict(zip(axes, spatial, strict=True))}
    products = Stage(
        OUT,
        {**places, "i": per_in, **{f"k{axis}": k for axis, k in zip(axes, kernel, strict=True)}},
        {
            OUT: at(*batch, out_channel, *axes),
            "input": at(*batch, in_channel, *windows),
            "weight": at(out_channel, "i", *(f"k{axis}" for axis in axes)),
        },
        INPUT * WEIGHT,
    )
    added = Stage(OUT, places, {OUT: at(*batch, out_channel, *axes), "bias": at(out_channel)}, BIAS)
    return _with_bias("convolution", {"input": input, "weight": weight, OUT: out}, products, added, bias)


def conv_transpose(
    input: Shape,
    weight: Shape,
    bias: Shape | None = None,
    stride: Numbers = 1,
    padding: Numbers = 0,
    output_padding: Numbers = 0,
    groups: int = 1,
    dilation: Numbers = 1,
) -> Op:
    """out[b, c, S*y + D*ky - P, S*x + D*kx - P] += input[b, i, y, x] * weight[i, c, ky, kx]: a convolution's gradient.

    weight (C, F / groups, kh, kw). With a 1x1 kernel and stride 1 it is a dense layer at each place.
    """
    axes = SPATIAL[-(len(weight) - 2) :]
    kernel, sizes = weight[2:], input[-len(axes) :]
    stride, dilation, padding = for_each(stride, axes), for_each(dilation, axes), for_each(padding, axes)
    extra = for_each(output_padding, axes)
    spatial = tuple(
        (n - 1) * s - 2 * p + d * (k - 1) + more + 1
        for n, s, p, d, k, more in zip(sizes, stride, padding, dilation, kernel, extra, strict=True)
    )
    batch = {"b": input[0]} if len(input) == len(weight) else {}
    per_in, per_out = weight[0] // groups, weight[1]
    in_channel, out_channel = _channels(groups, per_in, per_out, "i", "c")
    windows = [
        Axis(((axis, s), (f"k{axis}", d)), -p) for axis, s, d, p in zip(axes, stride, dilation, padding, strict=True)
    ]
    group = {"g": groups} if groups > 1 else {}
    products = Stage(
        OUT,
        {
            **batch,
            **group,
            "c": per_out,
            "i": per_in,
            **dict(zip(axes, sizes, strict=True)),
            **{f"k{axis}": k for axis, k in zip(axes, kernel, strict=True)},
        },
        {
            OUT: at(*batch, out_channel, *windows),
            "input": at(*batch, in_channel, *axes),
            "weight": at(in_channel, "c", *(f"k{axis}" for axis in axes)),
        },
        INPUT * WEIGHT,
    )
    places = {**batch, **group, "c": per_out, **dict(zip(axes, spatial, strict=True))}
    added = Stage(OUT, places, {OUT: at(*batch, out_channel, *axes), "bias": at(out_channel)}, BIAS)
    out = (*batch.values(), per_out * groups, *spatial)
    return _with_bias("transposed convolution", {"input": input, "weight": weight, OUT: out}, products, added, bias)


def linear(input: Shape, weight: Shape, bias: Shape | None = None) -> Op:
    """out[..., o] = bias[o] + sum over i of input[..., i] * weight[o, i]. input (..., I), weight (O, I), bias (O,)."""
    lead = {f"b{axis or ''}": size for axis, size in enumerate(input[:-1])}
    places = {**lead, "o": weight[0]}
    maps = {OUT: at(*lead, "o"), "input": at(*lead, "i"), "weight": at("o", "i")}
    products = Stage(OUT, {**places, "i": weight[1]}, maps, INPUT * WEIGHT)
    added = Stage(OUT, places, {OUT: at(*lead, "o"), "bias": at("o")}, BIAS)
    shapes = {"input": input, "weight": weight, OUT: (*input[:-1], weight[0])}
    return _with_bias("dense", shapes, products, added, bias)


def matmul(input: Shape, other: Shape) -> Op:
    """out[..., r, c] = sum over i of input[..., r, i] * other[..., i, c], leading axes broadcast.

    For a vector there is no r, or no c, in the product either.
    """
    first, second = names("input", "other")
    count = max(len(input), len(other), 2) - 2
    lead = [f"b{axis or ''}" for axis in range(count)]
    left, right = _padded(input[:-2], count), _padded(other[:-2], count)
    ranges = {name: max(pair) for name, pair in zip(lead, zip(left, right, strict=True), strict=True)}
    inner = input[-1]
    row, column = dict(zip("r", input[-2:-1], strict=False)), dict(zip("c", other[1:][-1:], strict=False))
    stage = Stage(
        OUT,
        {**ranges, **row, **column, "i": inner},
        {
            OUT: at(*lead, *row, *column),
            "input": at(*_broadcast(lead, left, len(input[:-2])), *row, "i"),
            "other": at(*_broadcast(lead, right, len(other[:-2])), "i", *column),
        },
        first * second,
    )
    out = (*ranges.values(), *row.values(), *column.values())
    return Op("matrix product", {"input": input, "other": other, OUT: out}, ("input", "other"), (stage,))


def _with_bias(kind: str, shapes: dict[str, Shape], products: Stage, added: Stage, bias: Shape | None) -> Op:
    if bias is None:
        return Op(kind, shapes, ("input", "weight"), (products,))
    return Op(kind, {**shapes, "bias": bias}, ("input", "weight", "bias"), (products, added))


def _channels(groups: int, per_first: int, per_second: int, first: str = "c", second: str = "i") -> tuple[Axis, Axis]:
    """Index maps of output and input channels; a single group needs no index name."""
    if groups == 1:
        return Axis(((first, 1),)), Axis(((second, 1),))
    return Axis((("g", per_first), (first, 1))), Axis((("g", per_second), (second, 1)))


def for_each(numbers: Numbers, axes: Sequence[str]) -> tuple[int, ...]:
    """A number for each axis; a single number is repeated."""
    several = (numbers,) if isinstance(numbers, int) else tuple(numbers)
    return several * len(axes) if len(several) == 1 else several


def _padded(shape: Shape, count: int) -> Shape:
    return (1,) * (count - len(shape)) + tuple(shape)


def _broadcast(lead: list[str], sizes: Shape, own: int) -> list[str | int]:
    """Index maps of an array's own leading axes; always 0 along broadcast axes."""
    return [name if size > 1 else 0 for name, size in zip(lead, sizes, strict=True)][len(lead) - own :]
