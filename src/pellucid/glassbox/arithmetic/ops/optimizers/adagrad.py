"""A step divided by the root of squared gradients: their sum (Adagrad), or their mean (RMSprop, Adadelta)."""

from __future__ import annotations

from pellucid.glassbox.arithmetic.declaration import OUT, Op
from pellucid.glassbox.arithmetic.expression import names, sqrt
from pellucid.glassbox.arithmetic.ops.optimizers.lines import (
    NARROW,
    SQUARE_AFTER,
    WEIGHT,
    Number,
    decayed,
    denominator,
    mean,
    mean_square,
    op,
)

MOMENTUM, SUM, STEP, STEPS = names("momentum", "sum_of_squares", "step", "mean_square_step")


def adagrad(
    rate: Number,
    rate_decay: float,
    epsilon: float,
    step: int,
    decay: float = 0.0,
    *,
    maximize: bool = False,
    precision: str = "",
) -> Op:
    """Duchi et al. 2011, "Adaptive subgradient methods for online learning and stochastic optimization", section 1.1.

    The rate falls to rate / (1 + (step - 1) * rate_decay), as in PyTorch.
    """
    gradient, before = decayed(decay, maximize)
    divisor, dividing = denominator(names("sum_of_squares_after")[0], epsilon, precision)
    lines = {
        **before,
        "sum_of_squares_after": SUM + gradient * gradient,
        **dividing,
        OUT: WEIGHT - gradient * float(rate / (1 + (step - 1) * rate_decay)) / divisor,
    }
    return op("Adagrad", ("sum_of_squares",), lines, precision)


def rmsprop(
    rate: Number,
    alpha: float,
    epsilon: float,
    momentum: float = 0.0,
    decay: float = 0.0,
    *,
    centered: bool = False,
    maximize: bool = False,
    precision: str = "",
) -> Op:
    """Tieleman & Hinton 2012, "Lecture 6.5: rmsprop", with PyTorch's momentum.

    `centered` divides by the root of the variance, as Graves 2013, "Generating sequences with recurrent neural
    networks", eq. 38 to 41; PyTorch adds epsilon outside the root.
    """
    gradient, before = decayed(decay, maximize)
    velocity, variance, average = names("momentum_after", "centered_mean_square", "mean_after")
    centering = {**mean(gradient, alpha), "centered_mean_square": SQUARE_AFTER - average * average} if centered else {}
    divisor, dividing = denominator(variance if centered else SQUARE_AFTER, epsilon, precision)
    lines = {**before, **mean_square(gradient, alpha, precision), **centering, **dividing}
    remembered = ("mean_square", *(("mean",) if centered else ()))
    kind = "centered RMSprop" if centered else "RMSprop"
    rate = float(rate)
    if not momentum:
        return op(kind, remembered, {**lines, OUT: WEIGHT - gradient * rate / divisor}, precision)
    lines |= {"momentum_after": MOMENTUM * momentum + gradient / divisor, OUT: WEIGHT - velocity * rate}
    return op(f"{kind} with momentum", (*remembered, "momentum"), lines, precision)


def adadelta(
    rate: Number, rho: float, epsilon: float, decay: float = 0.0, *, maximize: bool = False, precision: str = ""
) -> Op:
    """Zeiler 2012, "ADADELTA: an adaptive learning rate method", algorithm 1, with PyTorch's additional rate."""
    gradient, before = decayed(decay, maximize)
    root, size = sqrt(SQUARE_AFTER + epsilon), sqrt(STEPS + epsilon)
    dividing = {}
    if precision in NARROW:
        dividing = {"denominator": root, "numerator": size}
        root, size = names("denominator", "numerator")
    lines = {
        **before,
        **mean_square(gradient, rho, precision),
        **dividing,
        "step": size / root * gradient,
        "mean_square_step_after": STEPS * rho + STEP * STEP * (1 - rho),
        OUT: WEIGHT - STEP * float(rate),
    }
    return op("Adadelta", ("mean_square", "mean_square_step"), lines, precision)
