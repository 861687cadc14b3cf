"""Adam and its variants: a mean of the gradients, divided by a measure of their size."""

from __future__ import annotations

from functools import lru_cache

from pellucid.glassbox.arithmetic.declaration import OUT, Op
from pellucid.glassbox.arithmetic.expression import maximum, names
from pellucid.glassbox.arithmetic.ops.optimizers.lines import (
    AFTER,
    SQUARE_AFTER,
    WEIGHT,
    Number,
    decayed,
    denominator,
    mean,
    mean_square,
    op,
    start,
)

LARGEST, UNBIASED, SQUARE_UNBIASED, LARGEST_SQUARE, LARGEST_AFTER, SQUARES_AFTER = names(
    "largest",
    "mean_unbiased",
    "mean_square_unbiased",
    "largest_mean_square",
    "largest_after",
    "largest_mean_square_after",
)


def adam(
    rate: Number,
    beta1: float,
    beta2: float,
    epsilon: float,
    step: Number,
    decay: float = 0.0,
    *,
    amsgrad: bool = False,
    maximize: bool = False,
    precision: str = "",
) -> Op:
    """Kingma & Ba 2015, "Adam: a method for stochastic optimization", algorithm 1; decay is added to the gradient.

    `amsgrad` divides by the largest mean square so far: Reddi et al. 2018, "On the convergence of Adam and beyond",
    algorithm 2, with PyTorch's largest, before the bias correction.
    """
    return _adam("Adam", rate, beta1, beta2, epsilon, step, decay, False, amsgrad, maximize, precision)


def adamw(
    rate: Number,
    beta1: float,
    beta2: float,
    epsilon: float,
    step: Number,
    decay: float = 0.0,
    *,
    amsgrad: bool = False,
    maximize: bool = False,
    precision: str = "",
) -> Op:
    """Loshchilov & Hutter 2019, "Decoupled weight decay regularization", algorithm 2: the weight decay is decoupled."""
    return _adam("AdamW", rate, beta1, beta2, epsilon, step, decay, True, amsgrad, maximize, precision)


@lru_cache(maxsize=64)  # every parameter of a group makes the same step
def _adam(
    kind: str,
    rate: Number,
    beta1: float,
    beta2: float,
    epsilon: float,
    step: Number,
    decay: float,
    decoupled: bool,
    amsgrad: bool,
    maximize: bool,
    precision: str,
) -> Op:
    """Bias-corrected means of gradient and squared gradient (Adam, section 3), and the step they give."""
    weight, gradient, before = start(rate, decay, decoupled, maximize)
    correction1, correction2 = 1 - beta1**step, 1 - beta2**step
    largest = {"largest_mean_square_after": maximum(LARGEST_SQUARE, SQUARE_AFTER)} if amsgrad else {}
    divisor, dividing = denominator(SQUARE_UNBIASED, epsilon, precision)
    size = rate / correction1  # rounded as in PyTorch, if the rate is a tensor
    lines = {
        **before,
        **mean(gradient, beta1),
        **mean_square(gradient, beta2, precision),
        **largest,
        "mean_unbiased": AFTER / float(correction1),
        "mean_square_unbiased": (SQUARES_AFTER if amsgrad else SQUARE_AFTER) / float(correction2),
        **dividing,
        OUT: weight - UNBIASED * (float(size) * float(correction1)) / divisor,
    }
    remembered = ("mean", "mean_square", *(("largest_mean_square",) if amsgrad else ()))
    kind = f"{kind} with AMSGrad" if amsgrad else kind
    # PyTorch divides the step's size and the root instead
    return op(kind, remembered, lines, precision, unlimited=("mean_unbiased", "mean_square_unbiased"))


def adamax(
    rate: Number,
    beta1: float,
    beta2: float,
    epsilon: float,
    step: Number,
    decay: float = 0.0,
    *,
    maximize: bool = False,
    precision: str = "",
) -> Op:
    """Kingma & Ba 2015, section 7.1, algorithm 2: divided by a decaying largest gradient.

    PyTorch adds epsilon to the size of each gradient.
    """
    gradient, before = decayed(decay, maximize)
    correction = 1 - beta1**step
    lines = {
        **before,
        **mean(gradient, beta1),
        "largest_after": maximum(LARGEST * beta2, maximum(gradient, -gradient) + epsilon),
        "mean_unbiased": AFTER / float(correction),
        OUT: WEIGHT - UNBIASED * (float(rate / correction) * float(correction)) / LARGEST_AFTER,
    }
    return op("Adamax", ("mean", "largest"), lines, precision, unlimited=("mean_unbiased",))
