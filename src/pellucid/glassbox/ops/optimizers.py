"""The optimizers' updates of one weight, as PyTorch computes them: from its gradient to its new value.

Arrays are single numbers. `weight` and `gradient` come in, with what the optimizer remembers of the weight from step
to step; "out" is the new weight, and what will be remembered stands among the numbers between ("momentum_after").
"""

from __future__ import annotations

from pellucid.glassbox.declaration import OUT, Op, Stage
from pellucid.glassbox.expression import Expression, names, sqrt

WEIGHT, GRADIENT, DECAYED, MOMENTUM, MEAN, SQUARE = names(
    "weight", "gradient", "decayed", "momentum", "mean", "mean_square"
)


def sgd(
    rate: float,
    momentum: float = 0.0,
    dampening: float = 0.0,
    nesterov: bool = False,
    decay: float = 0.0,
    first: bool = False,
) -> Op:
    """weight - rate * step; with momentum m, velocity = m * velocity + gradient, and the step is the velocity.

    Sutskever et al. 2013, "On the importance of initialization and momentum in deep learning", eq. 1 to 4, in PyTorch's
    form, where the rate stands outside of the velocity. Nesterov: step = gradient + m * velocity. Weight decay adds
    decay * weight to the gradient. The `first` step takes the gradient as velocity, undampened.
    """
    gradient, before = _decayed(decay)
    if not momentum:
        return _op("SGD", (), {**before, OUT: WEIGHT - gradient * rate})
    after = names("momentum_after")[0]
    velocity = MOMENTUM * momentum + gradient * (1.0 if first else 1 - dampening)
    step = gradient + after * momentum if nesterov else after
    lines = {**before, "momentum_after": velocity, OUT: WEIGHT - step * rate}
    return _op("SGD with Nesterov momentum" if nesterov else "SGD with momentum", ("momentum",), lines)


def adam(rate: float, beta1: float, beta2: float, epsilon: float, step: int, decay: float = 0.0) -> Op:
    """Kingma & Ba 2015, "Adam: a method for stochastic optimization", algorithm 1; decay is added to the gradient."""
    gradient, before = _decayed(decay)
    return _op("Adam", ("mean", "mean_square"), before | _moments(WEIGHT, gradient, rate, beta1, beta2, epsilon, step))


def adamw(rate: float, beta1: float, beta2: float, epsilon: float, step: int, decay: float = 0.0) -> Op:
    """Loshchilov & Hutter 2019, "Decoupled weight decay regularization", algorithm 2: the weight decays by itself."""
    before = {"decayed": WEIGHT * (1 - rate * decay)} if decay else {}
    moments = _moments(DECAYED if decay else WEIGHT, GRADIENT, rate, beta1, beta2, epsilon, step)
    return _op("AdamW", ("mean", "mean_square"), before | moments)


def rmsprop(rate: float, alpha: float, epsilon: float, momentum: float = 0.0, decay: float = 0.0) -> Op:
    """Tieleman & Hinton 2012, "Lecture 6.5: rmsprop", with momentum as PyTorch adds it."""
    gradient, before = _decayed(decay)
    square, velocity = names("mean_square_after", "momentum_after")
    lines = {**before, "mean_square_after": SQUARE * alpha + gradient * gradient * (1 - alpha)}
    if not momentum:
        return _op("RMSprop", ("mean_square",), {**lines, OUT: WEIGHT - gradient * rate / (sqrt(square) + epsilon)})
    lines["momentum_after"] = MOMENTUM * momentum + gradient / (sqrt(square) + epsilon)
    return _op("RMSprop with momentum", ("mean_square", "momentum"), {**lines, OUT: WEIGHT - velocity * rate})


def _moments(
    weight: Expression, gradient: Expression, rate: float, beta1: float, beta2: float, epsilon: float, step: int
) -> dict[str, Expression]:
    """Means of gradient and squared gradient, freed of their start at 0 (Adam, section 3), and the step they give."""
    mean, square, unbiased, unbiased_square = names(
        "mean_after", "mean_square_after", "mean_unbiased", "mean_square_unbiased"
    )
    return {
        "mean_after": MEAN * beta1 + gradient * (1 - beta1),
        "mean_square_after": SQUARE * beta2 + gradient * gradient * (1 - beta2),
        "mean_unbiased": mean / (1 - beta1**step),
        "mean_square_unbiased": square / (1 - beta2**step),
        OUT: weight - unbiased * rate / (sqrt(unbiased_square) + epsilon),
    }


def _decayed(decay: float) -> tuple[Expression, dict[str, Expression]]:
    """The gradient with weight decay in it (an L2 penalty's gradient), and the line that makes it."""
    return (DECAYED, {"decayed": GRADIENT + WEIGHT * decay}) if decay else (GRADIENT, {})


def _op(kind: str, remembered: tuple[str, ...], lines: dict[str, Expression]) -> Op:
    inputs = ("weight", "gradient", *remembered)
    stages = tuple(Stage(out, {}, {out: (), **dict.fromkeys(term.names(), ())}, term) for out, term in lines.items())
    return Op(kind, dict.fromkeys((*inputs, *lines), ()), inputs, stages)
