"""Windows without weights: largest, average, L2 norm; adaptive pooling, whose windows follow from the output's size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pellucid.glassbox.arithmetic.declaration import OUT, Axis, Op, Shape, Stage, at, table
from pellucid.glassbox.arithmetic.expression import Expression, greater, maximum, names, power
from pellucid.glassbox.arithmetic.ops.products import SPATIAL, Numbers, for_each

INPUT, SHARE, SUM = names("input", "share", "sum")


def max_pool(
    input: Shape,
    kernel_size: Numbers,
    stride: Numbers = (),
    padding: Numbers = 0,
    dilation: Numbers = 1,
    ceil_mode: bool = False,
) -> Op:
    """out[b, c, y, x] = the largest of input[b, c, S*y + D*ky - P, S*x + D*kx - P]; padding is not a candidate.

    The gradient goes to the first of the largest. input (B, C, H, W) or (C, H, W).
    """
    axes = _axes(kernel_size, input)
    kernel, padding, dilation = for_each(kernel_size, axes), for_each(padding, axes), for_each(dilation, axes)
    stride = for_each(stride, axes) if stride != () and stride != [] else kernel
    spatial = _sizes(input, kernel, stride, padding, dilation, ceil_mode)
    lead = _lead(input, axes)
    maps = _window_maps(lead, axes, stride, padding, dilation)
    out = (*lead.values(), *spatial)
    stage = Stage(OUT, _ranges(lead, axes, spatial, kernel), maps, INPUT, "max")
    return Op("max pooling", {"input": input, OUT: out}, ("input",), (stage,))


def avg_pool(
    input: Shape,
    kernel_size: Numbers,
    stride: Numbers = (),
    padding: Numbers = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Op:
    """out[b, c, y, x] = sum over ky, kx of input[b, c, S*y + ky - P, S*x + kx - P] * share[y, x].

    `share` is 1 / (numbers in the window), with or without the padding, as in PyTorch.
    """
    axes = _axes(kernel_size, input)
    kernel, padding = for_each(kernel_size, axes), for_each(padding, axes)
    stride = for_each(stride, axes) if stride != () and stride != [] else kernel
    ones = (1,) * len(axes)
    spatial = _sizes(input, kernel, stride, padding, ones, ceil_mode)
    counts = [
        _counts(n, count, k, s, p, count_include_pad)
        for n, count, k, s, p in zip(input[-len(axes) :], spatial, kernel, stride, padding, strict=True)
    ]
    share = 1 / (np.full(spatial, float(divisor_override)) if divisor_override else _outer(counts))
    lead = _lead(input, axes)
    maps = _window_maps(lead, axes, stride, padding, ones) | {"share": at(*axes)}
    stage = Stage(OUT, _ranges(lead, axes, spatial, kernel), maps, INPUT * SHARE)
    shapes = {"input": input, "share": spatial, OUT: (*lead.values(), *spatial)}
    return Op("average pooling", shapes, ("input",), (stage,), {"share": share})


def lp_pool(input: Shape, kernel_size: Numbers, stride: Numbers = (), norm_type: float = 2) -> Op:
    """out = (sum over the window of input^p)^(1/p); p = 2 is L2-norm pooling. No padding, as in PyTorch.

    The gradient of the root of a zero sum is 0, not infinity, as in PyTorch: windows of zeros are common after a ReLU.
    A p that is neither 1 nor even requires non-negative numbers.
    """
    axes = _axes(kernel_size, input)
    kernel = for_each(kernel_size, axes)
    stride = for_each(stride, axes) if stride != () and stride != [] else kernel
    zeros, ones = (0,) * len(axes), (1,) * len(axes)
    spatial = _sizes(input, kernel, stride, zeros, ones, False)
    lead = _lead(input, axes)
    maps = _window_maps(lead, axes, stride, zeros, ones)
    out = (*lead.values(), *spatial)
    places = {**lead, **dict(zip(axes, spatial, strict=True))}
    stages = (
        Stage(
            "sum",
            _ranges(lead, axes, spatial, kernel),
            {"sum": maps[OUT], "input": maps["input"]},
            power(INPUT, norm_type),
        ),
        Stage(OUT, places, {OUT: maps[OUT], "sum": maps[OUT]}, _root(norm_type)),
    )
    return Op(f"L{norm_type:g}-norm pooling", {"input": input, "sum": out, OUT: out}, ("input",), stages)


def _root(norm_type: float) -> Expression:
    if norm_type == 1:
        return maximum(SUM, 0) - maximum(-SUM, 0)
    return greater(SUM, 0) * power(maximum(SUM, 1e-150), 1 / norm_type)


def adaptive_avg_pool(input: Shape, output_size: Numbers) -> Op:
    """Averages over windows from floor(i*H/h) to ceil((i+1)*H/h), for output row i of h, of input height H."""
    return _adaptive(input, output_size, average=True)


def adaptive_max_pool(input: Shape, output_size: Numbers) -> Op:
    """The largest over the windows of adaptive average pooling."""
    return _adaptive(input, output_size, average=False)


def _adaptive(input: Shape, output_size: Numbers, average: bool) -> Op:
    axes = SPATIAL[-(1 if isinstance(output_size, int) else len(output_size)) :]
    if isinstance(output_size, int) and len(input) > 3:
        axes = SPATIAL[-(len(input) - 2) :]
    sizes = input[-len(axes) :]
    spatial = tuple(n if size is None else size for n, size in zip(sizes, for_each(output_size, axes), strict=True))
    lead = _lead(input, axes)
    places: dict[str, int] = {}
    to_out, to_input, counts = [], [], []
    for axis, n, size in zip(axes, sizes, spatial, strict=True):
        windows = [(i * n // size, -(-(i + 1) * n // size)) for i in range(size)]
        # the windows have different lengths: one name runs over all pairs of an output and an input index
        pairs = [(i, place) for i, (first, end) in enumerate(windows) for place in range(first, end)]
        places[axis] = len(pairs)
        to_out.append(table(axis, [i for i, _ in pairs]))
        to_input.append(table(axis, [place for _, place in pairs]))
        counts.append(np.array([end - first for first, end in windows], np.float64))
    maps = {OUT: at(*lead, *to_out), "input": at(*lead, *to_input)}
    shapes = {"input": input, OUT: (*lead.values(), *spatial)}
    if not average:
        stage = Stage(OUT, {**lead, **places}, maps, INPUT, "max")
        return Op("adaptive max pooling", shapes, ("input",), (stage,))
    stage = Stage(OUT, {**lead, **places}, maps | {"share": at(*to_out)}, INPUT * SHARE)
    constants = {"share": 1 / _outer(counts)}
    return Op("adaptive average pooling", shapes | {"share": spatial}, ("input",), (stage,), constants)


def _axes(kernel_size: Numbers, input: Shape) -> Sequence[str]:
    several = 2 if isinstance(kernel_size, int) else len(kernel_size)
    return SPATIAL[-min(several, len(input) - 1) :]


def _lead(input: Shape, axes: Sequence[str]) -> dict[str, int]:
    """Ranges of the axes before the window's: batch and channel, or channel alone."""
    lead = input[: len(input) - len(axes)]
    return dict(zip(("b", "c")[-len(lead) :], lead, strict=True))


def _sizes(input: Shape, kernel: Shape, stride: Shape, padding: Shape, dilation: Shape, ceil_mode: bool) -> Shape:
    """Output sizes: with `ceil_mode` a last window may overlap the edge if it starts in the picture or its first
    padding.
    """
    sizes = []
    for n, k, s, p, d in zip(input[-len(kernel) :], kernel, stride, padding, dilation, strict=True):
        room = n + 2 * p - d * (k - 1) - 1
        count = -(-room // s) + 1 if ceil_mode else room // s + 1
        sizes.append(count - 1 if ceil_mode and (count - 1) * s >= n + p else count)
    return tuple(sizes)


def _ranges(lead: dict[str, int], axes: Sequence[str], spatial: Shape, kernel: Shape) -> dict[str, int]:
    return {**lead, **dict(zip(axes, spatial, strict=True)), **{f"k{a}": k for a, k in zip(axes, kernel, strict=True)}}


def _window_maps(
    lead: dict[str, int], axes: Sequence[str], stride: Shape, padding: Shape, dilation: Shape
) -> dict[str, tuple[Axis, ...]]:
    windows = [
        Axis(((axis, s), (f"k{axis}", d)), -p) for axis, s, d, p in zip(axes, stride, dilation, padding, strict=True)
    ]
    return {OUT: at(*lead, *axes), "input": at(*lead, *windows)}


def _counts(n: int, outputs: int, k: int, s: int, p: int, with_padding: bool) -> np.ndarray:
    """How many numbers of each window count along one axis: float64 (outputs,)."""
    first = np.arange(outputs) * s - p
    end = np.minimum(first + k, n + p)
    return (end - first if with_padding else np.minimum(end, n) - np.maximum(first, 0)).astype(np.float64)


def _outer(counts: Sequence[np.ndarray]) -> np.ndarray:
    """Outer product of the counts, one axis each."""
    product = np.ones(())
    for each in counts:
        product = np.multiply.outer(product, each)
    return product
