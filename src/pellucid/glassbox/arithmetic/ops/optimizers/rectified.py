"""Adam with Nesterov's momentum, and Adam with rectified first steps."""

from __future__ import annotations

from pellucid.glassbox.arithmetic.declaration import OUT, Op
from pellucid.glassbox.arithmetic.expression import names
from pellucid.glassbox.arithmetic.ops.optimizers.lines import (
    AFTER,
    SQUARE_AFTER,
    Number,
    denominator,
    mean,
    mean_square,
    op,
    start,
)

UNBIASED, SQUARE_UNBIASED, PRODUCT, PRODUCT_AFTER = names(
    "mean_unbiased", "mean_square_unbiased", "mu_product", "mu_product_after"
)


def nadam(
    rate: Number,
    beta1: float,
    beta2: float,
    epsilon: float,
    momentum_decay: float,
    step: Number,
    mu_product: Number = 1.0,
    decay: float = 0.0,
    *,
    decoupled: bool = False,
    maximize: bool = False,
    precision: str = "",
) -> Op:
    """Dozat 2016, "Incorporating Nesterov momentum into Adam", algorithm 2, with PyTorch's schedule of the momentum.

    mu of step t is beta1 * (1 - 0.96^(t * momentum_decay) / 2). `mu_product` is the product of mu over all earlier
    steps. `decoupled`: the weight decay is decoupled, as in AdamW.
    """
    weight, gradient, before = start(rate, decay, decoupled, maximize)
    mu, following = (beta1 * (1.0 - 0.5 * (0.96 ** (number * momentum_decay))) for number in (step, step + 1))
    divisor, dividing = denominator(SQUARE_UNBIASED, epsilon, precision)
    product = mu_product * mu
    product = product if hasattr(step, "device") else float(product)
    # the sizes of the two steps, rounded as in PyTorch if the rate is a tensor
    now, ahead = float(rate * (1 - mu) / (1 - product)), float(rate * following / (1 - product * following))
    mu, product, following = float(mu), float(product), float(following)
    factor = product / float(mu_product) if product else mu  # mu with the product's rounding
    lines = {
        **before,
        "mu_product_after": PRODUCT * factor,
        **mean(gradient, beta1),
        **mean_square(gradient, beta2, precision),
        "mean_square_unbiased": SQUARE_AFTER / float(1 - beta2**step),
        **dividing,
        OUT: weight
        - gradient * (now * (1 - product)) / (1 - PRODUCT_AFTER) / divisor
        - AFTER * (ahead * (1 - product * following)) / (1 - PRODUCT_AFTER * following) / divisor,
    }
    kind, constants = "NAdamW" if decoupled else "NAdam", {"mu_product": float(mu_product)}
    return op(kind, ("mean", "mean_square"), lines, precision, constants, unlimited=("mu_product_after",))


def radam(
    rate: Number,
    beta1: float,
    beta2: float,
    epsilon: float,
    step: Number,
    decay: float = 0.0,
    *,
    decoupled: bool = False,
    maximize: bool = False,
    precision: str = "",
) -> Op:
    """Liu et al. 2020, "On the variance of the adaptive learning rate and beyond", algorithm 2.

    The step is rectified and divided by the root of the mean square only if the length of the approximated average is
    above 5 (PyTorch's bound; the paper has 4). Before that it is the mean alone.
    """
    weight, gradient, before = start(rate, decay, decoupled, maximize)
    correction1, correction2 = 1 - beta1**step, 1 - beta2**step
    longest = 2 / (1 - beta2) - 1
    length = longest - 2 * step * (beta2**step) / correction2
    lines = {
        **before,
        **mean(gradient, beta1),
        **mean_square(gradient, beta2, precision),
        "mean_unbiased": AFTER / float(correction1),
    }
    if length > 5:
        rectified = ((length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)) ** 0.5
        divisor, dividing = denominator(SQUARE_AFTER, epsilon, precision)
        step_size = UNBIASED * float(rate) * (float(rectified) * float(correction2**0.5))
        lines |= {**dividing, OUT: weight - step_size / divisor}
    else:
        lines[OUT] = weight - UNBIASED * float(rate)
    return op("RAdamW" if decoupled else "RAdam", ("mean", "mean_square"), lines, precision)
