"""Mathematical functions: roots, logarithms, exponentials, trigonometry, rounding; of one number, two or three.

Rounding has the gradient 0 everywhere, as in PyTorch.
"""

from __future__ import annotations

import math

from pellucid.glassbox.arithmetic.declaration import Op, Shape
from pellucid.glassbox.arithmetic.expression import (
    Expression,
    asin,
    atan,
    cos,
    erf,
    exp,
    expm1,
    floor,
    greater,
    log,
    log1p,
    maximum,
    minimum,
    power,
    sin,
    sqrt,
    where,
)
from pellucid.glassbox.arithmetic.ops.elementwise import INPUT, alone, combined, joined, truncated


def rsqrt_of(input: Shape) -> Op:
    return alone("1 / square root", input, 1 / sqrt(INPUT))


def square_of(input: Shape) -> Op:
    return alone("square", input, power(INPUT, 2))


def exp2_of(input: Shape) -> Op:
    return alone("power of 2", input, exp(INPUT * math.log(2)))


def expm1_of(input: Shape) -> Op:
    return alone("exp(x) - 1", input, expm1(INPUT))


def log1p_of(input: Shape) -> Op:
    return alone("log(1 + x)", input, log1p(INPUT))


def log2_of(input: Shape) -> Op:
    return alone("logarithm to the base 2", input, log(INPUT) / math.log(2))


def log10_of(input: Shape) -> Op:
    return alone("logarithm to the base 10", input, log(INPUT) / math.log(10))


def logit_of(input: Shape, eps: float | None = None) -> Op:
    """log(x / (1 - x)), with x clamped to eps .. 1 - eps."""
    x = INPUT if eps is None else minimum(1 - eps, maximum(eps, INPUT))
    return alone("logit", input, log(x / (1 - x)))


def sin_of(input: Shape) -> Op:
    return alone("sine", input, sin(INPUT))


def cos_of(input: Shape) -> Op:
    return alone("cosine", input, cos(INPUT))


def tan_of(input: Shape) -> Op:
    return alone("tangent", input, sin(INPUT) / cos(INPUT))


def asin_of(input: Shape) -> Op:
    return alone("arcsine", input, asin(INPUT))


def acos_of(input: Shape) -> Op:
    return alone("arccosine", input, math.pi / 2 - asin(INPUT))


def atan_of(input: Shape) -> Op:
    return alone("arctangent", input, atan(INPUT))


def atan2_of(input: Shape, other: Shape) -> Op:
    """The angle of the point (other, input), from -pi to pi."""

    def angle(y: Expression, x: Expression) -> Expression:
        behind = where(greater(0, y), -math.pi, math.pi)
        beside = where(greater(y, 0), math.pi / 2, -math.pi / 2) - atan(x / y)
        steep = greater(maximum(y, -y), maximum(x, -x))
        return where(steep, beside, atan(y / x) + where(greater(0, x), behind, 0))

    return joined("angle", input, other, angle)


def sinh_of(input: Shape) -> Op:
    return alone("hyperbolic sine", input, (expm1(INPUT) - expm1(-INPUT)) / 2)


def cosh_of(input: Shape) -> Op:
    return alone("hyperbolic cosine", input, (exp(INPUT) + exp(-INPUT)) / 2)


def asinh_of(input: Shape) -> Op:
    """log(x + sqrt(x^2 + 1)), written for the size of x: nothing cancels."""

    def of(x: Expression) -> Expression:
        return log1p(x + x * x / (sqrt(x * x + 1) + 1))

    return alone("inverse hyperbolic sine", input, where(greater(0, INPUT), -of(-INPUT), of(INPUT)))


def acosh_of(input: Shape) -> Op:
    above = INPUT - 1
    return alone("inverse hyperbolic cosine", input, log1p(above + sqrt(above * (INPUT + 1))))


def atanh_of(input: Shape) -> Op:
    return alone("inverse hyperbolic tangent", input, (log1p(INPUT) - log1p(-INPUT)) / 2)


def sinc_of(input: Shape) -> Op:
    """sin(pi x) / (pi x), and 1 at 0."""
    x = INPUT * math.pi
    return alone("sinc", input, where(INPUT, sin(x) / x, 1))


def erf_of(input: Shape) -> Op:
    return alone("error function", input, erf(INPUT))


def erfc_of(input: Shape) -> Op:
    return alone("1 - error function", input, 1 - erf(INPUT))


def frac_of(input: Shape) -> Op:
    return alone("fractional part", input, INPUT - truncated(INPUT))


def degrees_of(input: Shape) -> Op:
    return alone("degrees", input, INPUT * (180 / math.pi))


def radians_of(input: Shape) -> Op:
    return alone("radians", input, INPUT * (math.pi / 180))


def positive_of(input: Shape) -> Op:
    return alone("same numbers", input, INPUT)


def fmod_of(input: Shape | float, other: Shape | float) -> Op:
    """The remainder of a division, with the sign of the input."""
    return joined("remainder", input, other, lambda a, b: a - truncated(a / b) * b)


def remainder_of(input: Shape | float, other: Shape | float) -> Op:
    """The remainder of a division, with the sign of the other: a % b."""
    return joined("remainder", input, other, lambda a, b: a - floor(a / b) * b)


def floor_divide_of(input: Shape | float, other: Shape | float) -> Op:
    return joined("whole quotient", input, other, lambda a, b: floor(a / b))


def hypot_of(input: Shape, other: Shape) -> Op:
    return joined("hypotenuse", input, other, lambda a, b: sqrt(a * a + b * b))


def logaddexp_of(input: Shape, other: Shape) -> Op:
    """log(exp(a) + exp(b)), written without overflow."""
    return joined("log(exp(a) + exp(b))", input, other, lambda a, b: maximum(a, b) + log1p(exp(minimum(a - b, b - a))))


def xlogy_of(input: Shape | float, other: Shape | float) -> Op:
    """a * log(b), and 0 if a is 0 and b is not above it."""
    return joined("a * log(b)", input, other, lambda a, b: where(greater(b, 0), a * log(b), where(a, a * log(b), 0)))


def power_of(input: Shape | float, exponent: Shape | float) -> Op:
    """input^exponent, each an array or a number. 0^b is 0 for a b above 0, and a negative number needs a whole b."""
    if not isinstance(exponent, tuple):
        assert isinstance(input, tuple)
        return alone("power", input, power(INPUT, float(exponent)))

    def of(a: Expression, b: Expression) -> Expression:
        negative = cos(b * math.pi) * exp(b * log(-a))  # the cosine is 1 for an even b and -1 for an odd one
        zero = where(greater(b, 0), 0, where(greater(0, b), 1 / a, 1))
        return where(greater(a, 0), exp(b * log(a)), where(greater(0, a), negative, zero))

    return combined("power", {"input": input, "exponent": exponent}, of)


def addcmul_of(input: Shape, tensor1: Shape, tensor2: Shape, value: float = 1) -> Op:
    arrays = {"input": input, "tensor1": tensor1, "tensor2": tensor2}
    return combined("addition of a product", arrays, lambda a, b, c: a + b * c * value)


def addcdiv_of(input: Shape, tensor1: Shape, tensor2: Shape, value: float = 1) -> Op:
    arrays = {"input": input, "tensor1": tensor1, "tensor2": tensor2}
    return combined("addition of a quotient", arrays, lambda a, b, c: a + b / c * value)


def lerp_of(input: Shape, end: Shape, weight: Shape | float) -> Op:
    """input + weight * (end - input)."""
    arrays = {"input": input, "end": end, "weight": weight}
    return combined("linear interpolation", arrays, lambda a, b, w: a + w * (b - a))
