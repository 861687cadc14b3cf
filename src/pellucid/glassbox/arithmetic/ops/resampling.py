"""Maps of another size: nearest, linear, cubic, with and without antialiasing, in one to three dimensions.

    out[b, c, y, x] = sum over k, l of  input[b, c, row(y, k), column(x, l)] * weight_y[y, k] * weight_x[x, l]

The position of an output in the input decides which numbers it lies between: with `align_corners` it is at y * (H - 1)
/ (h - 1), else at (y + 1/2) * H/h - 1/2, for output row y of h, of input height H. Their weights are 1 - distance
(linear) or Keys' cubic with A = -3/4 of the distance: Keys 1981, "Cubic convolution interpolation", eq. 4. PyTorch
computes both in the array's own precision, where the last bit of a position decides between two neighbours. So the
weights come from the operator itself, applied along one axis to arrays with a single 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from pellucid.glassbox.arithmetic.declaration import OUT, Axis, Op, Shape, Stage, at, table
from pellucid.glassbox.arithmetic.expression import Expression, names
from pellucid.glassbox.arithmetic.ops.choosing import Types
from pellucid.glassbox.arithmetic.ops.products import SPATIAL

Matrix = NDArray[np.float64]


def upsample(
    operator: str,
    input: Shape,
    out: Shape,
    align_corners: bool | None = None,
    scale_factors: Sequence[float] | None = None,
    scales: float | None = None,
    scales_d: float | None = None,
    scales_h: float | None = None,
    scales_w: float | None = None,
    types: Types | None = None,
    device: str = "cpu",
) -> Op | None:
    """The operator of this name (upsample_bilinear2d, ...), from an input (B, C, ...) to the shape `out`.

    None for antialiasing if an axis has length 1, because PyTorch 2.13 uses other weights there, and if the backward
    weights differ from the forward ones, as for some scale factors.
    """
    if operator.endswith("_aa") and 1 in (*input[2:], *out[2:]):
        return None
    axes = SPATIAL[-(len(input) - 2) :]
    factors = list(scale_factors or [scales_d, scales_h, scales if len(axes) == 1 else scales_w][-len(axes) :])
    finest = "float64" if (types or {}).get("input") == "float64" else "float32"  # 16 bits are computed in 32
    term: Expression = names("input")[0]
    to: list[str | Axis] = ["b", "c"]
    source: list[str | Axis] = ["b", "c"]
    ranges: dict[str, int] = {"b": input[0], "c": input[1]}
    shapes, maps = {"input": input}, {}
    constants: dict[str, Matrix] = {}
    rounding: dict[str, Matrix] = {}
    for number, axis in enumerate(axes, 2):
        others = all(input[other] == out[other] for other in range(2, 2 + len(axes)) if other != number)
        sizes, factor = (input[number], out[number]), factors[number - 2]
        forward, backward = _weights(operator, len(axes), number, sizes, others, align_corners, factor, finest, device)
        if np.abs(forward - backward).max(initial=0) > APART:
            return None
        rows, places = np.nonzero((forward != 0) | (backward != 0))
        values = forward[rows, places]
        ranges[axis] = len(rows)
        source.append(table(axis, places))
        if len(rows) == out[number] and (values == 1).all():  # one number for each: no weights are needed
            to.append(axis)
            continue
        to.append(table(axis, rows))
        taps = np.arange(len(rows)) - np.searchsorted(rows, rows)
        name = f"weight_{axis}"
        shapes[name] = (out[number], int(taps.max(initial=0)) + 1)
        maps[name] = at(table(axis, rows), table(axis, taps))
        term *= names(name)[0]
        constants[name] = _filled(shapes[name], rows, taps, values)
        apart = np.abs(forward - backward)[rows, places] / (np.finfo(finest).eps / 2)
        if apart.any():
            rounding[name] = _filled(shapes[name], rows, taps, np.abs(values) + apart)
    stage = Stage(OUT, ranges, {OUT: at(*to), "input": at(*source), **maps}, term)
    return Op("resampling", {**shapes, OUT: out}, ("input",), (stage,), constants, rounding)


def _filled(shape: Shape, rows: NDArray[np.int64], taps: NDArray[np.int64], values: Matrix) -> Matrix:
    whole = np.zeros(shape)
    whole[rows, taps] = values
    return whole


SIDE = 2
APART = 1e-4
"""Allowed difference of the forward and backward weights: bicubic's differ in the last bits."""


@cache
def _weights(
    operator: str,
    axes: int,
    axis: int,
    sizes: tuple[int, int],
    others_stay: bool,
    align_corners: bool | None,
    factor: float | None,
    precision: str,
    device: str,
) -> tuple[Matrix, Matrix]:
    """The weight of each input place in each output place along an axis, (out, size): forward, and backward.

    PyTorch's gradient of bicubic resampling computes the weights again, and they differ in the last bits. The other
    axes have length SIDE: beside an axis of length 1 PyTorch 2.13's antialiasing uses wrong weights. They keep that
    length if they do in the run, because PyTorch only copies if no axis changes. Along them all numbers are equal, and
    so are the outputs, because the weights of a place add up to 1.
    """
    import torch

    size, out = sizes
    other = SIDE if others_stay else SIDE + 1
    of = {"dtype": getattr(torch, precision), "device": device}
    rest = tuple(number for number in range(2, 2 + axes) if number != axis)

    def along(count: int, others: int) -> list[int]:
        return [count if number == axis else others for number in range(2, 2 + axes)]

    def wide(count: int, others: int) -> torch.Tensor:
        identity = torch.eye(count, **of).reshape(1, count, *along(count, 1))
        return identity.expand(1, count, *along(count, others)).contiguous()

    def run(array: torch.Tensor) -> torch.Tensor:
        corners = () if align_corners is None else (align_corners,)
        factors = [factor if number == axis else None for number in range(2, 2 + axes)]
        return getattr(torch.ops.aten, operator).default(array, along(out, other), *corners, *factors)

    with torch.enable_grad():
        single = run(wide(size, SIDE))
        array = torch.zeros(1, out, *along(size, SIDE), requires_grad=True, **of)
        (back,) = torch.autograd.grad(run(array), array, wide(out, other))
    first = (0, slice(None), *(slice(None) if number == axis else 0 for number in range(2, 2 + axes)))
    # the gradient of a place sums over as many outputs as the other axes have
    back = (back.sum(rest, keepdim=True) if rest else back) / other ** len(rest)
    return single[first].T.double().cpu().numpy(), back[first].double().cpu().numpy()
