"""The common parts of the optimizers' updates: the lines between the gradient and the new weight."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from pellucid.glassbox.arithmetic.declaration import OUT, Op, Stage
from pellucid.glassbox.arithmetic.expression import Expression, names, sqrt

Number: TypeAlias = Any
"""A float, or a tensor of one number, on which Python's operators round as in PyTorch."""
Lines: TypeAlias = dict[str, Expression]

WEIGHT, GRADIENT, NEGATED, DECAYED, MEAN, SQUARE = names(
    "weight", "gradient", "negated", "decayed", "mean", "mean_square"
)
AFTER, SQUARE_AFTER, SQUARE_KEPT, ROOT = names("mean_after", "mean_square_after", "mean_square_kept", "denominator")
NARROW = ("float16", "bfloat16")


def uphill(maximize: bool) -> tuple[Expression, Lines]:
    """The gradient to descend, and the line that makes it."""
    return (NEGATED, {"negated": -GRADIENT}) if maximize else (GRADIENT, {})


def decayed(decay: Number, maximize: bool) -> tuple[Expression, Lines]:
    """As `uphill`, with weight decay added (an L2 penalty's gradient)."""
    gradient, before = uphill(maximize)
    if not decay:
        return gradient, before
    return DECAYED, {**before, "decayed": gradient + WEIGHT * float(decay)}


def shrunk(rate: Number, decay: Number) -> tuple[Expression, Lines]:
    """The weight after decoupled weight decay, and the line that makes it: Loshchilov & Hutter 2019, algorithm 2."""
    return (DECAYED, {"decayed": WEIGHT * float(1 - rate * decay)}) if decay else (WEIGHT, {})


def start(rate: Number, decay: Number, decoupled: bool, maximize: bool) -> tuple[Expression, Expression, Lines]:
    """(weight, gradient, lines) after either kind of weight decay."""
    if not decoupled:
        gradient, before = decayed(decay, maximize)
        return WEIGHT, gradient, before
    gradient, before = uphill(maximize)
    weight, shrinking = shrunk(rate, decay)
    return weight, gradient, {**before, **shrinking}


def mean(gradient: Expression, beta: float) -> Lines:
    return {"mean_after": MEAN * beta + gradient * (1 - beta)}


def mean_square(gradient: Expression, beta: float, precision: str) -> Lines:
    """The mean of the squared gradients. 16 bits round twice, and near 0 a rounding error is as large as the number."""
    added = gradient * gradient * (1 - beta)
    if precision in NARROW:
        return {"mean_square_kept": SQUARE * beta, "mean_square_after": SQUARE_KEPT + added}
    return {"mean_square_after": SQUARE * beta + added}


def denominator(
    square: Expression, epsilon: float, precision: str, name: str = "denominator"
) -> tuple[Expression, Lines]:
    """The divisor of a step. In 16 bits it has a separate line, because epsilon may vanish in it."""
    divisor = sqrt(square) + epsilon
    return (ROOT, {name: divisor}) if precision in NARROW else (divisor, {})


def op(
    kind: str,
    remembered: tuple[str, ...],
    lines: Lines,
    precision: str = "",
    constants: Mapping[str, float] | None = None,
    unlimited: tuple[str, ...] = (),
) -> Op:
    """An op of single numbers from lines in order, each in the range of `precision`.

    `unlimited`: lines that PyTorch computes in another order, and does not store.
    """
    constants = constants or {}
    inputs = ("weight", "gradient", *remembered)
    free = (OUT, *unlimited)  # out is compared with PyTorch's
    stages = tuple(
        Stage(out, {}, {out: (), **dict.fromkeys(term.names(), ())}, term, precision="" if out in free else precision)
        for out, term in lines.items()
    )
    shapes = dict.fromkeys((*inputs, *constants, *lines), ())
    return Op(kind, shapes, inputs, stages, {name: np.array(value) for name, value in constants.items()})
