"""From logits to probabilities, and their distance from the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray

from pellucid.glassbox.arithmetic.declaration import OUT, Op, Shape, Stage, at
from pellucid.glassbox.arithmetic.expression import Expression, exp, expression, greater, log, maximum, names, where
from pellucid.glassbox.arithmetic.ops.elementwise import broadcast, softplus_of

INPUT, TARGET, SHARE, LARGEST, POWER, TOTAL, PROBABILITY, WEIGHT, POS_WEIGHT = names(
    "input", "target", "share", "largest", "power", "total", "probability", "weight", "pos_weight"
)


def softmax(input: Shape, dim: int = -1, temperature: float = 1.0) -> Op:
    """power / total, with power = exp((input - largest) / temperature) and total the sum of the powers along `dim`.

    Subtracting one number from every logit does not change the probabilities. Subtracting the largest prevents
    overflow, and no gradient needs to pass through it. Temperature: Guo et al. 2017, "On calibration of modern
    networks", eq. 9.
    """
    stages, shapes = powers(input, dim, temperature)
    axes, lead = _axes(input, dim)
    final = Stage(OUT, _ranges(axes, input), {OUT: at(*axes), "power": at(*axes), "total": at(*lead)}, POWER / TOTAL)
    return Op("softmax", {**shapes, OUT: input}, ("input",), (*stages, final))


def log_softmax(input: Shape, dim: int = -1) -> Op:
    """input - largest - log(total)."""
    stages, shapes = powers(input, dim, 1.0)
    axes, lead = _axes(input, dim)
    maps = {OUT: at(*axes), "input": at(*axes), "largest": at(*lead), "total": at(*lead)}
    final = Stage(OUT, _ranges(axes, input), maps, INPUT - LARGEST - log(TOTAL))
    return Op("log-softmax", {**shapes, OUT: input}, ("input",), (*stages, final))


def cross_entropy(
    input: Shape,
    labels: Sequence[int],
    label_smoothing: float = 0.0,
    weight: NDArray[np.float64] | None = None,
    importance: NDArray[np.float64] | None = None,
) -> Op:
    """The loss of logits (N, K): minus the logarithm of the true class's probability, averaged over the batch.

    Written with each class's share of the target q, out = sum over n, k of q[n, k] * (largest + log(total) - input).
    With smoothing e the true class has 1 - e + e/K and every other e/K: Szegedy et al. 2016, "Rethinking the Inception
    architecture", eq. 3. Class weights multiply the shares, and the sum is divided by the sum of the labels' weights.
    Importance (K,), instead of weights: a picture's shares times that of its label, the sum divided by N.
    """
    count, classes = input
    weight = np.ones(classes) if weight is None else np.asarray(weight, np.float64)
    share = np.full((count, classes), label_smoothing / classes)
    share[np.arange(count), list(labels)] += 1 - label_smoothing
    share *= weight / weight[list(labels)].sum()
    if importance is not None:
        share *= importance[list(labels)][:, None]
    stages, shapes = powers(input, 1, 1.0)
    maps = {OUT: at(), "share": at("d0", "d1"), "input": at("d0", "d1"), "largest": at("d0"), "total": at("d0")}
    final = Stage(OUT, _ranges(["d0", "d1"], input), maps, SHARE * (LARGEST + log(TOTAL) - INPUT))
    return Op("cross-entropy", {**shapes, "share": input, OUT: ()}, ("input",), (*stages, final), {"share": share})


def brier(input: Shape, labels: Sequence[int], importance: NDArray[np.float64] | None = None) -> Op:
    """The mean squared error of the probabilities of logits (N, K): Brier 1950, averaged over classes and batch.

    Importance (K,): each picture's error times that of its label.
    """
    count, classes = input
    target = one_hot(labels, classes)
    stages, shapes = powers(input, 1, 1.0)
    whole, ranges = at("d0", "d1"), _ranges(["d0", "d1"], input)
    probability = Stage("probability", ranges, {"probability": whole, "power": whole, "total": at("d0")}, POWER / TOTAL)
    maps = {OUT: at(), "probability": whole, "target": whole}
    term, constants = _square(PROBABILITY - TARGET) * (1 / (count * classes)), {"target": target}
    shapes |= {"probability": input, "target": input, OUT: ()}
    if importance is not None:
        term, constants["weight"] = WEIGHT * term, weighing(labels, importance, classes)
        maps, shapes = maps | {"weight": whole}, shapes | {"weight": input}
    final = Stage(OUT, ranges, maps, term)
    return Op("mean squared error", shapes, ("input",), (*stages, probability, final), constants)


def weighing(labels: Sequence[int], importance: NDArray[np.float64], classes: int) -> NDArray[np.float64]:
    """(N, K): each picture's row is filled with the importance of its label."""
    return np.repeat(importance[list(labels)][:, None], classes, axis=1)


def one_hot(labels: Sequence[int], classes: int) -> NDArray[np.float64]:
    """(N, K): 1 for each label's class, else 0."""
    target = np.zeros((len(labels), classes))
    target[np.arange(len(labels)), list(labels)] = 1
    return target


def difference(input: Shape, labels: Sequence[int], against: int) -> Op:
    """The logit of the label minus that of class `against`, summed over the batch: not a loss, but used like one."""
    sign = np.zeros(input)
    sign[np.arange(input[0]), list(labels)] += 1
    sign[:, against] -= 1
    maps = {OUT: at(), "input": at("d0", "d1"), "sign": at("d0", "d1")}
    stage = Stage(OUT, _ranges(["d0", "d1"], input), maps, INPUT * names("sign")[0])
    shapes = {"input": input, "sign": input, OUT: ()}
    return Op("difference of two logits", shapes, ("input",), (stage,), {"sign": sign})


def mse_loss(input: Shape, target: Shape, reduction: int = 1) -> Op | None:
    """(input - target)^2; PyTorch's `reduction` 1 means the mean, 2 the sum, 0 no reduction."""
    kind = "sum of squared errors" if reduction == 2 else "mean squared error" if reduction else "squared errors"
    return pointwise(kind, {"input": input, "target": target}, _square(INPUT - TARGET), reduction)


def l1_loss(input: Shape, target: Shape, reduction: int = 1) -> Op | None:
    """|input - target|."""
    return pointwise("absolute error", {"input": input, "target": target}, _absolute(INPUT - TARGET), reduction)


def smooth_l1_loss(input: Shape, target: Shape, reduction: int = 1, beta: float = 1.0) -> Op | None:
    """Half the squared error over beta below beta, then error - beta / 2: Girshick 2015, "Fast R-CNN", eq. 3."""
    if not beta:
        return l1_loss(input, target, reduction)
    size = _absolute(INPUT - TARGET)
    term = where(greater(beta, size), _square(INPUT - TARGET) * (0.5 / beta), size - beta / 2)
    return pointwise("smooth absolute error", {"input": input, "target": target}, term, reduction)


def huber_loss(input: Shape, target: Shape, reduction: int = 1, delta: float = 1.0) -> Op | None:
    """Half the squared error up to delta, then delta * (error - delta / 2): Huber 1964."""
    size = _absolute(INPUT - TARGET)
    term = where(greater(size, delta), (size - delta / 2) * delta, _square(INPUT - TARGET) * 0.5)
    return pointwise("Huber loss", {"input": input, "target": target}, term, reduction)


def kl_div(input: Shape, target: Shape, reduction: int = 1, log_target: bool = False) -> Op | None:
    """target * (log(target) - input), where input holds logarithms: Kullback & Leibler 1951. A target of 0 gives 0."""
    term = exp(TARGET) * (TARGET - INPUT) if log_target else where(TARGET, TARGET * (log(TARGET) - INPUT), 0)
    return pointwise("Kullback-Leibler divergence", {"input": input, "target": target}, term, reduction)


def binary_cross_entropy(input: Shape, target: Shape, weight: Shape | None = None, reduction: int = 1) -> Op | None:
    """-(target * log(input) + (1 - target) * log(1 - input)) * weight; a logarithm is at least -100, as in PyTorch."""
    term = -(_times(TARGET, maximum(-100, log(INPUT))) + _times(1 - TARGET, maximum(-100, log(1 - INPUT))))
    arrays = {"input": input, "target": target}
    if weight is not None:
        arrays, term = arrays | {"weight": weight}, term * WEIGHT
    return pointwise("binary cross-entropy", arrays, term, reduction)


def binary_cross_entropy_with_logits(
    input: Shape,
    target: Shape,
    weight: Shape | None = None,
    pos_weight: Shape | None = None,
    reduction: int = 1,
) -> Op | None:
    """The same for sigmoid(input), written without overflow: (1 - y) * x + p * softplus(-x), with p = 1 + (pos_weight -
    1) * y.
    """
    arrays = {"input": input, "target": target}
    more = expression(1)
    if pos_weight is not None:
        arrays, more = arrays | {"pos_weight": pos_weight}, (POS_WEIGHT - 1) * TARGET + 1
    term = (1 - TARGET) * INPUT + more * softplus_of(-INPUT)
    if weight is not None:
        arrays, term = arrays | {"weight": weight}, term * WEIGHT
    return pointwise("binary cross-entropy of logits", arrays, term, reduction)


def pointwise(kind: str, arrays: Mapping[str, Shape], term: Expression, reduction: int) -> Op | None:
    """An element-wise loss; PyTorch's `reduction` 1 means the mean, 2 the sum, 0 no reduction."""
    shapes = list(arrays.values())
    out = tuple(max(sizes) for sizes in zip(*(_padded(shape, shapes) for shape in shapes), strict=True))
    axes = [f"d{axis}" for axis in range(len(out))]
    maps = {name: broadcast(shape, out) for name, shape in arrays.items()}
    final = Stage(
        OUT,
        _ranges(axes, out),
        {OUT: at() if reduction else at(*axes), **maps},
        term * (1 / prod(out)) if reduction == 1 else term,
    )
    return Op(kind, {**arrays, OUT: () if reduction else out}, tuple(arrays), (final,))


def logsumexp(input: Shape, dim: Sequence[int] | int, keepdim: bool = False) -> Op:
    """log(sum along `dim` of exp(input)), with the largest taken out to prevent overflow."""
    axes = [f"d{axis}" for axis in range(len(input))]
    dims = {axes[d] for d in ([dim] if isinstance(dim, int) else dim)}
    remaining = [axis for axis in axes if axis not in dims]
    to: list[str | int] = [0 if axis in dims else axis for axis in axes] if keepdim else [*remaining]
    shape = tuple(1 if axis in dims else n for axis, n in zip(axes, input, strict=True) if keepdim or axis in remaining)
    ranges, whole, small = _ranges(axes, input), at(*axes), at(*to)
    ordered = {axis: ranges[axis] for axis in (*remaining, *(axis for axis in axes if axis in dims))}
    stages = (
        Stage("largest", ordered, {"largest": small, "input": whole}, INPUT, "max", through=False),
        Stage("total", ordered, {"total": small, "input": whole, "largest": small}, exp(INPUT - LARGEST)),
        Stage(
            OUT,
            {axis: ranges[axis] for axis in remaining},
            {OUT: small, "total": small, "largest": small},
            LARGEST + log(TOTAL),
        ),
    )
    shapes = {"input": input, "largest": shape, "total": shape, OUT: shape}
    return Op("log of the sum of exponentials", shapes, ("input",), stages)


def _times(share: Expression, value: Expression) -> Expression:
    """A product that is 0 where the share is 0, even if the value is infinite."""
    return where(share, share * value, 0)


def _absolute(x: Expression) -> Expression:
    return maximum(x, 0) + maximum(-x, 0)


def _padded(shape: Shape, others: Sequence[Shape]) -> Shape:
    return (1,) * (max(map(len, others)) - len(shape)) + tuple(shape)


def powers(input: Shape, dim: int, temperature: float) -> tuple[tuple[Stage, ...], dict[str, Shape]]:
    """The stages that make "largest", "power" and "total", and their shapes with the input's."""
    axes, lead = _axes(input, dim)
    ranges, whole, outer = _ranges(axes, input), at(*axes), at(*lead)
    shape = tuple(size for axis, size in zip(axes, input, strict=True) if axis in lead)
    stages = (
        Stage("largest", ranges, {"largest": outer, "input": whole}, INPUT, "max", through=False),
        Stage(
            "power",
            ranges,
            {"power": whole, "input": whole, "largest": outer},
            exp((INPUT - LARGEST) / temperature),
        ),
        Stage("total", ranges, {"total": outer, "power": whole}, POWER),
    )
    return stages, {"input": input, "largest": shape, "power": input, "total": shape}


def _axes(input: Shape, dim: int) -> tuple[list[str], list[str]]:
    axes = [f"d{axis}" for axis in range(len(input))]
    return axes, [axis for axis in axes if axis != axes[dim]]


def _ranges(axes: list[str], input: Shape) -> dict[str, int]:
    return dict(zip(axes, input, strict=True))


def _square(value: Expression) -> Expression:
    return value * value
