"""From logits to probabilities, and how far these are from the truth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pellucid.glassbox.declaration import OUT, Op, Shape, Stage, at, each
from pellucid.glassbox.expression import Expression, exp, log, names

INPUT, TARGET, SHARE, LARGEST, POWER, TOTAL, PROBABILITY = names(
    "input", "target", "share", "largest", "power", "total", "probability"
)


def softmax(input: Shape, dim: int = -1, temperature: float = 1.0) -> Op:
    """power / total, with power = exp((input - largest) / temperature) and total the sum of the powers along `dim`.

    The same number taken from every logit changes no probability: the largest is taken so that no power overflows,
    and no gradient has to go through it. Temperature: Guo et al. 2017, "On calibration of modern networks", eq. 9.
    """
    stages, shapes = _powers(input, dim, temperature)
    axes, lead = _axes(input, dim)
    final = Stage(OUT, _ranges(axes, input), {OUT: at(*axes), "power": at(*axes), "total": at(*lead)}, POWER / TOTAL)
    return Op("softmax", {**shapes, OUT: input}, ("input",), (*stages, final))


def log_softmax(input: Shape, dim: int = -1) -> Op:
    """input - largest - log(total)."""
    stages, shapes = _powers(input, dim, 1.0)
    axes, lead = _axes(input, dim)
    maps = {OUT: at(*axes), "input": at(*axes), "largest": at(*lead), "total": at(*lead)}
    final = Stage(OUT, _ranges(axes, input), maps, INPUT - LARGEST - log(TOTAL))
    return Op("log-softmax", {**shapes, OUT: input}, ("input",), (*stages, final))


def cross_entropy(
    input: Shape, labels: Sequence[int], label_smoothing: float = 0.0, weight: NDArray[np.float64] | None = None
) -> Op:
    """The loss of logits (N, K): minus the logarithm of the true class's probability, averaged over the batch.

    Written with each class's share of the target q, out = sum over n, k of q[n, k] * (largest + log(total) - input).
    With smoothing e the true class has 1 - e + e/K and every other e/K: Szegedy et al. 2016, "Rethinking the Inception
    architecture", eq. 3. Class weights multiply the shares, and the sum is divided by the sum of the labels' weights.
    """
    count, classes = input
    weight = np.ones(classes) if weight is None else np.asarray(weight, np.float64)
    share = np.full((count, classes), label_smoothing / classes)
    share[np.arange(count), list(labels)] += 1 - label_smoothing
    share *= weight / weight[list(labels)].sum()
    stages, shapes = _powers(input, 1, 1.0)
    maps = {OUT: at(), "share": at("d0", "d1"), "input": at("d0", "d1"), "largest": at("d0"), "total": at("d0")}
    final = Stage(OUT, _ranges(["d0", "d1"], input), maps, SHARE * (LARGEST + log(TOTAL) - INPUT))
    return Op("cross-entropy", {**shapes, "share": input, OUT: ()}, ("input",), (*stages, final), {"share": share})


def brier(input: Shape, labels: Sequence[int]) -> Op:
    """The mean squared error of the probabilities of logits (N, K): Brier 1950, averaged over classes and batch."""
    count, classes = input
    target = one_hot(labels, classes)
    stages, shapes = _powers(input, 1, 1.0)
    whole, ranges = at("d0", "d1"), _ranges(["d0", "d1"], input)
    probability = Stage("probability", ranges, {"probability": whole, "power": whole, "total": at("d0")}, POWER / TOTAL)
    maps = {OUT: at(), "probability": whole, "target": whole}
    final = Stage(OUT, ranges, maps, _square(PROBABILITY - TARGET) * (1 / (count * classes)))
    shapes |= {"probability": input, "target": input, OUT: ()}
    return Op("mean squared error", shapes, ("input",), (*stages, probability, final), {"target": target})


def one_hot(labels: Sequence[int], classes: int) -> NDArray[np.float64]:
    """(N, K): 1 for each label's class, else 0."""
    target = np.zeros((len(labels), classes))
    target[np.arange(len(labels)), list(labels)] = 1
    return target


def difference(input: Shape, labels: Sequence[int], against: int) -> Op:
    """The logit of the label minus that of class `against`, summed over the batch: no loss, but asked like one."""
    sign = np.zeros(input)
    sign[np.arange(input[0]), list(labels)] += 1
    sign[:, against] -= 1
    maps = {OUT: at(), "input": at("d0", "d1"), "sign": at("d0", "d1")}
    stage = Stage(OUT, _ranges(["d0", "d1"], input), maps, INPUT * names("sign")[0])
    shapes = {"input": input, "sign": input, OUT: ()}
    return Op("difference of two logits", shapes, ("input",), (stage,), {"sign": sign})


def mse_loss(input: Shape, target: Shape, reduction: int = 1) -> Op | None:
    """The mean over all numbers of (input - target)^2, or with PyTorch's reduction 2 their sum."""
    if input != target or reduction not in (1, 2):
        return None
    maps = {OUT: at(), "input": at("n"), "target": at("n")}
    ranges = each(input)
    final = Stage(OUT, ranges, maps, _square(INPUT - TARGET) * (1 if reduction == 2 else 1 / ranges["n"]))
    kind = "sum of squared errors" if reduction == 2 else "mean squared error"
    return Op(kind, {"input": input, "target": target, OUT: ()}, ("input", "target"), (final,))


def _powers(input: Shape, dim: int, temperature: float) -> tuple[tuple[Stage, ...], dict[str, Shape]]:
    """The stages that make "largest", "power" and "total", and their shapes with the input's."""
    axes, lead = _axes(input, dim)
    ranges, whole, kept = _ranges(axes, input), at(*axes), at(*lead)
    shape = tuple(size for axis, size in zip(axes, input, strict=True) if axis in lead)
    stages = (
        Stage("largest", ranges, {"largest": kept, "input": whole}, INPUT, "max", through=False),
        Stage(
            "power",
            ranges,
            {"power": whole, "input": whole, "largest": kept},
            exp((INPUT - LARGEST) / temperature),
        ),
        Stage("total", ranges, {"total": kept, "power": whole}, POWER),
    )
    return stages, {"input": input, "largest": shape, "power": input, "total": shape}


def _axes(input: Shape, dim: int) -> tuple[list[str], list[str]]:
    axes = [f"d{axis}" for axis in range(len(input))]
    return axes, [axis for axis in axes if axis != axes[dim]]


def _ranges(axes: list[str], input: Shape) -> dict[str, int]:
    return dict(zip(axes, input, strict=True))


def _square(value: Expression) -> Expression:
    return value * value
