"""Steps along the gradient or against its sign: SGD, its average, and Rprop."""

from __future__ import annotations

from pellucid.glassbox.arithmetic.declaration import OUT, Op
from pellucid.glassbox.arithmetic.expression import expression, greater, maximum, minimum, names
from pellucid.glassbox.arithmetic.ops.optimizers.lines import WEIGHT, Number, decayed, op, uphill

MOMENTUM, AVERAGE, SHRUNK, ETA, MU, PREVIOUS, SIZE = names(
    "momentum", "average", "shrunk", "eta", "mu", "previous_gradient", "step_size"
)


def sgd(
    rate: Number,
    momentum: float = 0.0,
    dampening: float = 0.0,
    nesterov: bool = False,
    decay: float = 0.0,
    first: bool = False,
    *,
    maximize: bool = False,
    precision: str = "",
) -> Op:
    """weight - rate * step; with momentum m, velocity = m * velocity + gradient, and the step is the velocity.

    Sutskever et al. 2013, "On the importance of initialization and momentum in deep learning", eq. 1 to 4, in PyTorch's
    form, with the rate outside the velocity. Nesterov: step = gradient + m * velocity. Weight decay adds decay * weight
    to the gradient. The `first` step takes the gradient as velocity, undampened.
    """
    gradient, before = decayed(decay, maximize)
    rate = float(rate)
    if not momentum:
        return op("SGD", (), {**before, OUT: WEIGHT - gradient * rate}, precision)
    after = names("momentum_after")[0]
    velocity = MOMENTUM * momentum + gradient * (1.0 if first else 1 - dampening)
    step = gradient + after * momentum if nesterov else after
    lines = {**before, "momentum_after": velocity, OUT: WEIGHT - step * rate}
    return op("SGD with Nesterov momentum" if nesterov else "SGD with momentum", ("momentum",), lines, precision)


def asgd(
    rate: Number,
    lambd: float,
    alpha: float,
    t0: float,
    step: int,
    eta: float,
    mu: float,
    decay: float = 0.0,
    *,
    maximize: bool = False,
    precision: str = "",
) -> Op:
    """SGD at the rate eta, and the average of the weights after it.

    Polyak & Juditsky 1992, "Acceleration of stochastic approximation by averaging", with the schedule of Xu 2011,
    "Towards optimal one pass large scale learning with averaged stochastic gradient descent": lambd shrinks the weight,
    and eta_after = rate / (1 + lambd * rate * step)^alpha. The average begins after t0 steps; until then it is the
    weight. `eta` and `mu` are PyTorch's state.
    """
    gradient, before = decayed(decay, maximize)
    out = names(OUT)[0]
    lines = {
        **before,
        "shrunk": WEIGHT * (1 - lambd * eta),
        OUT: SHRUNK - gradient * ETA,
        "average_after": AVERAGE + (out - AVERAGE) * MU if mu != 1 else out,
        "eta_after": expression(float(rate / ((1 + lambd * rate * step) ** alpha))),
        "mu_after": expression(float(1 / max(1, step - t0))),
    }
    constants = {"eta": eta, "mu": mu}
    return op("averaged SGD", ("average",), lines, precision, constants, unlimited=("eta_after", "mu_after"))


def rprop(
    shrink: float, grow: float, smallest: float, largest: float, *, maximize: bool = False, precision: str = ""
) -> Op:
    """A step with a separate size for each weight, against the sign of the gradient.

    Riedmiller & Braun 1993, "A direct adaptive method for faster backpropagation learning: the RPROP algorithm", eq. 4
    and 5. The size grows while the gradient keeps its sign. It shrinks when the sign changes, and then the weight
    pauses for a step (Igel & Huesken 2000, "Improving the Rprop learning algorithm", iRprop-).
    """
    gradient, before = uphill(maximize)
    agreement, size, used = names("agreement", "step_size_after", "previous_gradient_after")
    factor = 1 + greater(agreement, 0) * (grow - 1) - greater(0, agreement) * (1 - shrink)
    lines = {
        **before,
        "agreement": gradient * PREVIOUS,
        "step_size_after": minimum(maximum(SIZE * factor, smallest), largest),
        "previous_gradient_after": gradient * (1 - greater(0, agreement)),
        OUT: WEIGHT - size * (greater(used, 0) - greater(0, used)),
    }
    return op("Rprop", ("previous_gradient", "step_size"), lines, precision)
