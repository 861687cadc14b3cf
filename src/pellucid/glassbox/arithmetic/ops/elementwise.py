"""Element-wise ops of one array, and of several arrays.

At a tie, the derivative of max or min is that of the second argument: their written order is PyTorch's choice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from pellucid.glassbox.arithmetic.declaration import OUT, Axis, Op, Shape, Stage, at, each
from pellucid.glassbox.arithmetic.expression import (
    Expression,
    Operand,
    erf,
    exp,
    expression,
    floor,
    greater,
    log,
    log1p,
    maximum,
    minimum,
    names,
    power,
    sigmoid,
    sqrt,
    tanh,
    where,
)

INPUT, WEIGHT = names("input", "weight")


def alone(kind: str, input: Shape, formula: Expression) -> Op:
    """out[n] = formula of input[n]."""
    maps = {OUT: at("n"), "input": at("n")}
    return Op(kind, {"input": input, OUT: input}, ("input",), (Stage(OUT, each(input), maps, formula),))


def relu(input: Shape) -> Op:
    """max(x, 0): Nair & Hinton 2010, "Rectified linear units improve restricted Boltzmann machines"."""
    return alone("ReLU", input, maximum(INPUT, 0))


def leaky_relu(input: Shape, negative_slope: float = 0.01) -> Op:
    """x, or slope * x below 0: Maas et al. 2013, "Rectifier nonlinearities improve neural network acoustic models"."""
    return alone("leaky ReLU", input, _leaky(negative_slope))


def prelu(input: Shape, weight: Shape) -> Op:
    """x above 0, weight[c] * x below; one weight, or one for each channel: He et al. 2015, "Delving deep", eq. 1."""
    axes = [f"d{axis}" for axis in range(len(input))]
    slope = at(axes[1]) if weight[0] > 1 else at(0)
    formula = maximum(INPUT, 0) + WEIGHT * minimum(0, INPUT)
    ranges = dict(zip(axes, input, strict=True))
    stage = Stage(OUT, ranges, {OUT: at(*axes), "input": at(*axes), "weight": slope}, formula)
    return Op("PReLU", {"input": input, "weight": weight, OUT: input}, ("input", "weight"), (stage,))


def elu(input: Shape, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> Op:
    """x above 0, alpha * (exp(x) - 1) below: Clevert et al. 2015, "Fast and accurate deep network learning by ELUs"."""
    below = (exp(minimum(0, INPUT) * input_scale) - 1) * alpha
    return alone("ELU", input, (maximum(INPUT, 0) + below) * scale)


def celu(input: Shape, alpha: float = 1.0) -> Op:
    """An ELU whose slope at 0 is 1 for every alpha: Barron 2017, "Continuously differentiable ELUs", eq. 2."""
    return elu(input, alpha, 1.0, 1 / alpha)


def selu(input: Shape) -> Op:
    """An ELU whose constants keep mean 0 and variance 1: Klambauer et al. 2017, "Self-normalizing neural networks"."""
    return elu(input, 1.6732632423543772, 1.0507009873554805)


def gelu(input: Shape, approximate: str = "none") -> Op:
    """x * Phi(x), Phi the standard normal distribution: Hendrycks & Gimpel 2016, "Gaussian error linear units"."""
    if approximate == "tanh":
        inner = (INPUT + power(INPUT, 3) * 0.044715) * math.sqrt(2 / math.pi)
        return alone("GELU", input, INPUT * 0.5 * (tanh(inner) + 1))
    return alone("GELU", input, INPUT * 0.5 * (erf(INPUT * math.sqrt(0.5)) + 1))


def silu(input: Shape) -> Op:
    """x * sigmoid(x): Ramachandran et al. 2017, "Searching for activation functions"."""
    return alone("SiLU", input, INPUT * sigmoid(INPUT))


def hardswish(input: Shape) -> Op:
    """x * min(max(x + 3, 0), 6) / 6: Howard et al. 2019, "Searching for MobileNetV3", section 5.2."""
    return alone("hard swish", input, INPUT * minimum(maximum(INPUT + 3, 0), 6) / 6)


def hardsigmoid(input: Shape) -> Op:
    return alone("hard sigmoid", input, minimum(maximum(INPUT + 3, 0), 6) / 6)


def hardtanh(input: Shape, min_val: float = -1.0, max_val: float = 1.0) -> Op:
    name = "ReLU6" if (min_val, max_val) == (0, 6) else "hard tanh"  # as PyTorch exports it
    return alone(name, input, minimum(maximum(INPUT, min_val), max_val))


def relu6(input: Shape) -> Op:
    return alone("ReLU6", input, minimum(maximum(INPUT, 0), 6))


def threshold(input: Shape, threshold: float, value: float) -> Op:
    """x above the threshold, `value` at it and below."""
    return alone("threshold", input, where(greater(INPUT, threshold), INPUT, value))


def hardshrink(input: Shape, lambd: float = 0.5) -> Op:
    """x, and 0 from -lambd to lambd."""
    return alone("hard shrink", input, where(greater(maximum(INPUT, -INPUT), lambd), INPUT, 0))


def softshrink(input: Shape, lambd: float = 0.5) -> Op:
    """x moved towards 0 by lambd, and 0 from -lambd to lambd."""
    below = where(greater(-lambd, INPUT), INPUT + lambd, 0)
    return alone("soft shrink", input, where(greater(INPUT, lambd), INPUT - lambd, below))


def rrelu(input: Shape, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False) -> Op | None:
    """A leaky ReLU with the middle slope: Xu et al. 2015, "Empirical evaluation of rectified activations", section 2.4.

    In training each number's slope is drawn, not computed.
    """
    return None if training else alone("randomised leaky ReLU", input, _leaky((lower + upper) / 2))


def log_sigmoid(input: Shape) -> Op:
    """log(1 / (1 + exp(-x))) = min(x, 0) - log(1 + exp(-|x|)), which does not overflow for a large x."""
    return alone("log-sigmoid", input, minimum(INPUT, 0) - log1p(exp(minimum(INPUT, -INPUT))))


def glu(input: Shape, dim: int = -1) -> Op:
    """The first half along an axis, times the sigmoid of the second half: Dauphin et al. 2017, "Language modeling with
    gated convolutional networks", eq. 1.
    """
    dim = dim % len(input)
    half = input[dim] // 2
    out = (*input[:dim], half, *input[dim + 1 :])
    axes = [f"d{axis}" for axis in range(len(input))]
    later = at(*(Axis(((axis, 1),), half if index == dim else 0) for index, axis in enumerate(axes)))
    ranges = dict(zip(axes, out, strict=True))
    whole = at(*axes)
    stages = (
        Stage("gate", ranges, {"gate": whole, "input": later}, sigmoid(INPUT)),
        Stage(OUT, ranges, {OUT: whole, "input": whole, "gate": whole}, INPUT * names("gate")[0]),
    )
    return Op("gated linear unit", {"input": input, "gate": out, OUT: out}, ("input",), stages)


def sigmoid_of(input: Shape) -> Op:
    return alone("sigmoid", input, sigmoid(INPUT))


def tanh_of(input: Shape) -> Op:
    return alone("tanh", input, tanh(INPUT))


def softplus(input: Shape, beta: float = 1.0, threshold: float = 20.0) -> Op:
    """log(1 + exp(beta * x)) / beta, and x itself where beta * x is above the threshold, as in PyTorch."""
    below = softplus_of(INPUT * beta) / beta
    return alone("softplus", input, where(greater(INPUT * beta, threshold), INPUT, below))


def mish(input: Shape) -> Op:
    """x * tanh(softplus(x)): Misra 2019, "Mish: a self regularized non-monotonic activation function"."""
    return alone("mish", input, INPUT * tanh(softplus_of(INPUT)))


def exp_of(input: Shape) -> Op:
    return alone("exp", input, exp(INPUT))


def log_of(input: Shape) -> Op:
    return alone("log", input, log(INPUT))


def sqrt_of(input: Shape) -> Op:
    return alone("square root", input, sqrt(INPUT))


def abs_of(input: Shape) -> Op:
    """max(x, 0) + max(-x, 0), whose derivative at 0 is 0, as in PyTorch."""
    return alone("absolute value", input, maximum(INPUT, 0) + maximum(-INPUT, 0))


def neg(input: Shape) -> Op:
    return alone("negation", input, -INPUT)


def reciprocal(input: Shape) -> Op:
    return alone("reciprocal", input, 1 / INPUT)


def pow(input: Shape, exponent: float) -> Op:
    return alone("power", input, power(INPUT, float(exponent)))


def clamp(input: Shape, min: float | None = None, max: float | None = None) -> Op:
    """min(max, max(min, x)). At a bound the gradient passes through, as in PyTorch (but not in hard tanh and ReLU6)."""
    low = INPUT if min is None else maximum(min, INPUT)
    return alone("clamp", input, low if max is None else minimum(max, low))


def add(input: Shape | float, other: Shape | float, alpha: float = 1) -> Op:
    """out = input + alpha * other, as in a residual."""
    return joined("addition", input, other, lambda a, b: a + b * alpha)


def sub(input: Shape | float, other: Shape | float, alpha: float = 1) -> Op:
    return joined("subtraction", input, other, lambda a, b: a - b * alpha)


def rsub(input: Shape | float, other: Shape | float, alpha: float = 1) -> Op:
    """PyTorch's form of `1 - x`."""
    return joined("subtraction", input, other, lambda a, b: b - a * alpha)


def mul(input: Shape | float, other: Shape | float) -> Op:
    return joined("product", input, other, lambda a, b: a * b)


def div(input: Shape | float, other: Shape | float, rounding_mode: str | None = None) -> Op:
    """`rounding_mode` "floor" gives the largest whole number up to the quotient, "trunc" the one towards 0."""
    if rounding_mode == "floor":
        return joined("whole quotient", input, other, lambda a, b: floor(a / b))
    if rounding_mode == "trunc":
        return joined("whole quotient", input, other, lambda a, b: truncated(a / b))
    return joined("quotient", input, other, lambda a, b: a / b)


def softplus_of(x: Expression) -> Expression:
    """log(1 + exp(x)), written without overflow for a large x."""
    return maximum(x, 0) + log(exp(minimum(-x, x)) + 1)


def truncated(x: Expression) -> Expression:
    """The whole number next to x towards 0. Its derivative is 0."""
    return where(greater(0, x), -floor(-x), floor(x))


def _leaky(slope: float) -> Expression:
    return INPUT * slope + maximum(INPUT, 0) * (1 - slope)


def joined(
    kind: str,
    input: Shape | float,
    other: Shape | float,
    formula: Callable[[Expression, Expression], Expression],
) -> Op:
    """out = formula(input, other), each an array or a number; arrays are broadcast as in NumPy."""
    return combined(kind, {"input": input, "other": other}, formula)


def combined(kind: str, operands: Mapping[str, Shape | float], formula: Callable[..., Expression]) -> Op:
    """out = formula of the operands in their order, arrays or numbers; arrays are broadcast as in NumPy."""
    arrays = {name: shape for name, shape in operands.items() if isinstance(shape, tuple)}
    count = max(map(len, arrays.values()))
    padded = [(1,) * (count - len(shape)) + shape for shape in arrays.values()]
    out = tuple(0 if 0 in sizes else max(sizes) for sizes in zip(*padded, strict=True))
    axes = [f"d{axis}" for axis in range(count)]
    maps = {OUT: at(*axes), **{name: broadcast(shape, out) for name, shape in arrays.items()}}
    leaves: list[Operand] = [names(name)[0] if isinstance(value, tuple) else value for name, value in operands.items()]
    term = formula(*(expression(leaf) for leaf in leaves))
    stage = Stage(OUT, dict(zip(axes, out, strict=True)), maps, term)
    return Op(kind, {**arrays, OUT: out}, tuple(arrays), (stage,))


def broadcast(shape: Shape, out: Shape) -> tuple[Axis, ...]:
    """The index map of an array in an output with names d0, d1, ...: always 0 along axes of length 1."""
    skipped = len(out) - len(shape)
    return at(*(0 if size == 1 else f"d{skipped + axis}" for axis, size in enumerate(shape)))
