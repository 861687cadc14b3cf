"""Losses inside a network, against an array of class numbers or of class probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray

from pellucid.glassbox.arithmetic.declaration import OUT, Axis, Op, Shape, Stage, at
from pellucid.glassbox.arithmetic.expression import Expression, equal, expression, log, names, where
from pellucid.glassbox.arithmetic.ops.losses import powers

INPUT, TARGET, WEIGHT, CLASS, COUNT, LARGEST, TOTAL = names(
    "input", "target", "weight", "class", "count", "largest", "total"
)
Maps = dict[str, tuple[Axis, ...]]


def nll_loss(
    input: Shape, target: Shape, weight: Shape | None = None, reduction: int = 1, ignore_index: int = -100
) -> Op:
    """Minus the input of the true class, averaged: the cross-entropy of log-probabilities (N, K, ...) or (K,).

    target (N, ...) holds the classes. The mean is weighted by the true classes' weights. Targets equal to
    `ignore_index` do not count. PyTorch's `reduction` 2 means the sum, 0 means no reduction.
    """
    axes, places = _axes(input)
    maps, shapes = {"input": at(*axes)}, {"input": input}
    return _against(-INPUT, (), maps, shapes, axes, places, target, weight, reduction, ignore_index, 0.0)


def cross_entropy_loss(
    input: Shape,
    target: Shape,
    weight: Shape | None = None,
    reduction: int = 1,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
) -> Op:
    """As `nll_loss`, for logits: largest + log(total) - input of the true class. See losses.cross_entropy.

    A target of the input's shape holds the probability of each class.
    """
    axes, places = _axes(input)
    made, shapes = powers(input, axes.index("k"), 1.0)
    renamed = {f"d{number}": axis for number, axis in enumerate(axes)}
    stages = tuple(_renamed(stage, renamed) for stage in made)
    maps = {"input": at(*axes), "largest": at(*places), "total": at(*places)}
    away = LARGEST + log(TOTAL) - INPUT
    if target == input:
        return _expected(away, stages, maps, shapes, axes, places, weight, reduction, label_smoothing)
    return _against(away, stages, maps, shapes, axes, places, target, weight, reduction, ignore_index, label_smoothing)


def _against(
    away: Expression,
    stages: tuple[Stage, ...],
    maps: Maps,
    shapes: dict[str, Shape],
    axes: Sequence[str],
    places: Sequence[str],
    target: Shape,
    weight: Shape | None,
    reduction: int,
    ignore_index: int,
    smoothing: float,
) -> Op:
    """The loss for class numbers; `away` is that of each class."""
    kind = "cross-entropy" if stages else "negative log-likelihood"
    ranges = _ranges(axes, shapes["input"])
    classes = ranges["k"]
    ordered = {name: ranges[name] for name in (*places, "k")}
    shapes = {**shapes, "target": target, "class": (classes,)}
    maps = {**maps, "target": at(*places), "class": at("k")}
    inputs, share = ("input", "target"), expression(1)
    if weight is not None:
        shapes, maps, share = {**shapes, "weight": weight}, {**maps, "weight": at("k")}, WEIGHT
        inputs = (*inputs, "weight")
    numbers = np.arange(classes, dtype=np.float64)
    if 0 <= ignore_index < classes and not smoothing:
        numbers[ignore_index] = -1  # no target has this value
    chosen = equal(TARGET, CLASS)
    loss = where(chosen, away * share, 0)
    if smoothing:
        every = away * share * (smoothing / classes)
        loss = where(equal(TARGET, ignore_index), 0, every + where(chosen, away * share * (1 - smoothing), 0))
        share = where(equal(TARGET, ignore_index), 0, share)
    constants: dict[str, NDArray[np.float64]] = {"class": numbers}
    out = tuple(ranges[name] for name in places) if reduction == 0 else ()
    to = at(*places) if reduction == 0 else at()
    if reduction == 1:
        counted = where(chosen, share, 0)
        read = {name: maps[name] for name in counted.names()}
        stages = (*stages, Stage("count", ordered, read | {"count": at()}, counted))
        shapes, maps, loss = {**shapes, "count": ()}, {**maps, "count": at()}, loss / COUNT
    used = {name: each for name, each in maps.items() if name in set(loss.names())}
    final = Stage(OUT, ordered, used | {OUT: to}, loss)
    return Op(kind, {**shapes, OUT: out}, inputs, (*stages, final), constants)


def _expected(
    away: Expression,
    stages: tuple[Stage, ...],
    maps: Maps,
    shapes: dict[str, Shape],
    axes: Sequence[str],
    places: Sequence[str],
    weight: Shape | None,
    reduction: int,
    smoothing: float,
) -> Op:
    """The loss for probabilities, averaged over the places: the sum over the classes of share * away."""
    ranges = _ranges(axes, shapes["input"])
    ordered = {name: ranges[name] for name in (*places, "k")}
    share = TARGET if not smoothing else TARGET * (1 - smoothing) + smoothing / ranges["k"]
    shapes, maps, inputs = {**shapes, "target": shapes["input"]}, {**maps, "target": at(*axes)}, ("input", "target")
    if weight is not None:
        shapes, maps, share = {**shapes, "weight": weight}, {**maps, "weight": at("k")}, share * WEIGHT
        inputs = (*inputs, "weight")
    loss = where(share, share * away, 0)
    out: Shape = ()
    if reduction == 0:
        out = tuple(ranges[name] for name in places)
    elif reduction == 1:
        loss = loss * (1 / prod(ranges[name] for name in places))
    final = Stage(OUT, ordered, {**maps, OUT: at(*places) if reduction == 0 else at()}, loss)
    return Op("cross-entropy", {**shapes, OUT: out}, inputs, (*stages, final))


def _axes(input: Shape) -> tuple[list[str], list[str]]:
    """(a name for each axis, "k" for the classes; the names of all others)."""
    lead = ["n"] if len(input) > 1 else []
    places = [*lead, *(f"p{axis}" for axis in range(2, len(input)))]
    return [*lead, "k", *places[len(lead) :]], places


def _ranges(axes: Sequence[str], input: Shape) -> dict[str, int]:
    return dict(zip(axes, input, strict=True))


def _renamed(stage: Stage, names_of: dict[str, str]) -> Stage:
    """The stage with other index names."""
    maps = {
        name: tuple(Axis(tuple((names_of[n], step) for n, step in axis.steps), axis.offset) for axis in axes)
        for name, axes in stage.maps.items()
    }
    ranges = {names_of[name]: size for name, size in stage.ranges.items()}
    return Stage(stage.out, ranges, maps, stage.term, stage.pick, stage.through)
