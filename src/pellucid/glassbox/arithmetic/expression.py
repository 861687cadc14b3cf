"""Formulas as data: the arithmetic of one term, to evaluate, differentiate, print and send as JSON.

    >>> x, w = names("x", "w")
    >>> str(maximum(x * w, 0)), str(maximum(x * w, 0).derivative("x"))
    ('max(x * w, 0)', '(x * w > 0) * w')

Everything follows from a formula's tree: no derivative is written by hand.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pellucid.glassbox.arithmetic import heads

Array = NDArray[np.float64]
Operand: TypeAlias = "Expression | float | int"

_INFIX = {"+": 1, "-": 1, "*": 2, "/": 2, ">": 0, ">=": 0, "==": 0}  # how tightly each binds
_COMPARISONS = {">", ">=", "=="}
# loss of float32 if a product underflows (up to 2^-149), in units of its rounding (2^-24)
_UNDERFLOW = 2.0**-125
# the same for an exponential: PyTorch's vectorised kernels return 0 below float32's smallest normal number, 2^-126
_UNDERFLOW_OF_EXP = 2.0**-102


@dataclass(frozen=True)
class Expression:
    """A node of the tree: `head` is the operation on `arguments`. Leaves: a "name" or a "number", stored in `leaf`.

    Heads: + - * /, > >= == (1 where true, else 0), max, min, power (a constant exponent), where (the second argument if
    the first is not 0, else the third), infinity (JSON has no such number), and functions of one argument: exp, expm1,
    log, log1p, sqrt, sin, cos, asin, atan, tanh, erf, floor, round (halves to even).
    """

    head: str
    arguments: tuple[Expression, ...] = ()
    leaf: str | float = 0.0

    def __add__(self, other: Operand) -> Expression:
        return _add(self, expression(other))

    def __radd__(self, other: Operand) -> Expression:
        return _add(expression(other), self)

    def __sub__(self, other: Operand) -> Expression:
        return _subtract(self, expression(other))

    def __rsub__(self, other: Operand) -> Expression:
        return _subtract(expression(other), self)

    def __mul__(self, other: Operand) -> Expression:
        return _multiply(self, expression(other))

    def __rmul__(self, other: Operand) -> Expression:
        return _multiply(expression(other), self)

    def __truediv__(self, other: Operand) -> Expression:
        return _divide(self, expression(other))

    def __rtruediv__(self, other: Operand) -> Expression:
        return _divide(expression(other), self)

    def __neg__(self) -> Expression:
        return _multiply(expression(-1), self)

    def __str__(self) -> str:
        return self.written({})

    def written(self, values: Mapping[str, str]) -> str:
        """As text, with the names in `values` replaced, for example by numbers or by longer names."""
        return _written(self, values, 0)

    def names(self) -> Iterator[str]:
        """Every name in it, in reading order, without repetition."""
        yield from dict.fromkeys(_names(self))

    def as_json(self) -> Any:
        """A number, a name, or [head, argument, ...]."""
        if self.head in ("name", "number"):
            return self.leaf
        if self.head == "power":
            return ["power", self.arguments[0].as_json(), self.leaf]
        return [self.head, *(argument.as_json() for argument in self.arguments)]

    def derivative(self, name: str) -> Expression:
        """The partial derivative with respect to a name. If there is none (max at a tie), PyTorch's choice."""
        return _derivative(self, name)

    def evaluate(self, values: Mapping[str, Array]) -> Array:
        """float64, the names' arrays broadcast against each other."""
        return _evaluate(self, values)[()]

    def magnitude(self, values: Mapping[str, Array], magnitudes: Mapping[str, Array]) -> Array:
        """The scale of rounding errors: the formula's size if nothing in it cancelled.

        It gives an error bound in units of rounding for any order of the sum and any arrangement of its factors (Higham
        2002, "Accuracy and Stability of Numerical Algorithms", sections 3.1 and 3.5). `magnitudes` are those of the
        names: |value|, or more if a value is itself the result of such a formula.
        """
        return _magnitude(self, values, magnitudes)


def expression(value: Operand) -> Expression:
    """A number as a formula; a formula unchanged. Raises TypeError for anything else."""
    if not isinstance(value, Expression | float | int):
        raise TypeError(f"{value!r} is neither a formula nor a number")
    return value if isinstance(value, Expression) else Expression("number", leaf=value)


def number(value: float) -> Expression:
    """A number, possibly infinite, as a formula that can be written as JSON. NaN cannot."""
    if not math.isinf(value):
        return expression(value)
    infinity = Expression("infinity")
    return infinity if value > 0 else -infinity


def names(*each: str) -> tuple[Expression, ...]:
    return tuple(Expression("name", leaf=name) for name in each)


def maximum(a: Operand, b: Operand) -> Expression:
    return Expression("max", (expression(a), expression(b)))


def minimum(a: Operand, b: Operand) -> Expression:
    return Expression("min", (expression(a), expression(b)))


def greater(a: Operand, b: Operand) -> Expression:
    """1 where a > b, else 0. Its derivative is 0."""
    return Expression(">", (expression(a), expression(b)))


def at_least(a: Operand, b: Operand) -> Expression:
    """1 where a >= b, else 0. Its derivative is 0."""
    return Expression(">=", (expression(a), expression(b)))


def equal(a: Operand, b: Operand) -> Expression:
    """1 where a == b, else 0. Its derivative is 0."""
    return Expression("==", (expression(a), expression(b)))


def where(condition: Operand, a: Operand, b: Operand) -> Expression:
    """a where the condition is not 0, else b. The other one does not count, and may be infinite."""
    return Expression("where", (expression(condition), expression(a), expression(b)))


def exp(a: Operand) -> Expression:
    return Expression("exp", (expression(a),))


def expm1(a: Operand) -> Expression:
    """exp(a) - 1, exact near 0."""
    return Expression("expm1", (expression(a),))


def log(a: Operand) -> Expression:
    return Expression("log", (expression(a),))


def log1p(a: Operand) -> Expression:
    """log(1 + a), exact near 0."""
    return Expression("log1p", (expression(a),))


def sqrt(a: Operand) -> Expression:
    return Expression("sqrt", (expression(a),))


def sin(a: Operand) -> Expression:
    return Expression("sin", (expression(a),))


def cos(a: Operand) -> Expression:
    return Expression("cos", (expression(a),))


def asin(a: Operand) -> Expression:
    return Expression("asin", (expression(a),))


def atan(a: Operand) -> Expression:
    return Expression("atan", (expression(a),))


def floor(a: Operand) -> Expression:
    """The largest whole number up to a. Its derivative is 0."""
    return Expression("floor", (expression(a),))


def nearest(a: Operand) -> Expression:
    """The nearest whole number, ties to even ("round"). Its derivative is 0."""
    return Expression("round", (expression(a),))


def tanh(a: Operand) -> Expression:
    return Expression("tanh", (expression(a),))


def erf(a: Operand) -> Expression:
    """The error function, 2/sqrt(pi) times the integral of exp(-t^2) from 0 to a."""
    return Expression("erf", (expression(a),))


def power(a: Operand, exponent: float) -> Expression:
    return expression(a) if exponent == 1 else Expression("power", (expression(a),), exponent)


def sigmoid(a: Operand) -> Expression:
    """1 / (1 + exp(-a)), computed as (tanh(a / 2) + 1) / 2, because exp could overflow."""
    return (tanh(expression(a) * 0.5) + 1) * 0.5


def _is(node: Expression, number: float) -> bool:
    return node.head == "number" and node.leaf == number


def _add(a: Expression, b: Expression) -> Expression:
    if _is(a, 0) or _is(b, 0):
        return b if _is(a, 0) else a
    return Expression("+", (a, b))


def _subtract(a: Expression, b: Expression) -> Expression:
    if _is(b, 0):
        return a
    return -b if _is(a, 0) else Expression("-", (a, b))


def _multiply(a: Expression, b: Expression) -> Expression:
    if _is(a, 0) or _is(b, 0):
        return expression(0)
    if _is(a, 1) or _is(b, 1):
        return b if _is(a, 1) else a
    if a.head == b.head == "number":
        return expression(float(a.leaf) * float(b.leaf))
    return Expression("*", (a, b))


def _divide(a: Expression, b: Expression) -> Expression:
    return a if _is(a, 0) or _is(b, 1) else Expression("/", (a, b))


def _written(node: Expression, values: Mapping[str, str], around: int) -> str:
    match node.head:
        case "name":
            return values.get(str(node.leaf), str(node.leaf))
        case "number":
            return f"{node.leaf:.9g}"
        case "infinity":
            return "inf"
        case "power":
            base = _written(node.arguments[0], values, 3)
            # -2^2 would be -4, and x^2^3 would be x^8
            bare = not base.startswith("-") and node.arguments[0].head != "power"
            return f"{base}^{node.leaf:.9g}" if bare else f"({base})^{node.leaf:.9g}"
        case "*" if _is(node.arguments[0], -1):
            negated = _written(node.arguments[1], values, 3)
            return f"-({negated})" if negated.startswith("-") else f"-{negated}"
        case head if head in _INFIX:
            binds = _INFIX[head]
            left = _written(node.arguments[0], values, binds)
            # a - (b + c) and a / (b * c) keep their parentheses
            right = _written(node.arguments[1], values, binds + (head in "-/"))
            text = f"{left} {head} {right}"
            return f"({text})" if binds < around or head in _COMPARISONS else text
        case head:
            return f"{head}({', '.join(_written(argument, values, 0) for argument in node.arguments)})"


def _names(node: Expression) -> Iterator[str]:
    if node.head == "name":
        yield str(node.leaf)
    for argument in node.arguments:
        yield from _names(argument)


def _derivative(node: Expression, name: str) -> Expression:
    if node.head in ("name", "number", "infinity", "floor", "round", *_COMPARISONS):
        return expression(1 if node.head == "name" and node.leaf == name else 0)
    d = [_derivative(argument, name) for argument in node.arguments]
    if all(_is(each, 0) for each in d):
        return expression(0)
    match node.head, node.arguments:
        case "+", _:
            return d[0] + d[1]
        case "-", _:
            return d[0] - d[1]
        case "*", (a, b):
            return d[0] * b + a * d[1]
        case "/", (a, b):
            return d[0] / b - (a * d[1] / (b * b) if not _is(d[1], 0) else 0)
        case "max", (a, b):  # at a tie the derivative is b's: max(x, 0) has the derivative 0 at 0, as in PyTorch
            return greater(a, b) * d[0] + (1 - greater(a, b)) * d[1] if not _is(d[1], 0) else greater(a, b) * d[0]
        case "min", (a, b):
            return greater(b, a) * d[0] + (1 - greater(b, a)) * d[1] if not _is(d[1], 0) else greater(b, a) * d[0]
        case "where", (condition, _, _):
            return where(condition, d[1], d[2]) if not (_is(d[1], 0) and _is(d[2], 0)) else expression(0)
        case _, (a,):
            return _slope(node, a) * d[0]
    raise AssertionError(node.head)


def _slope(node: Expression, a: Expression) -> Expression:
    """The derivative of a function of one argument."""
    match node.head:
        case "exp":
            return node
        case "expm1":
            return exp(a)
        case "log":
            return 1 / a
        case "log1p":
            return 1 / (a + 1)
        case "sqrt":
            return 0.5 / node
        case "sin":
            return cos(a)
        case "cos":
            return -sin(a)
        case "asin":
            return 1 / sqrt(1 - a * a)
        case "atan":
            return 1 / (a * a + 1)
        case "floor" | "round":
            return expression(0)
        case "tanh":
            return 1 - node * node
        case "erf":
            return exp(-(a * a)) * (2 / math.sqrt(math.pi))
        case "power":
            return power(a, float(node.leaf) - 1) * float(node.leaf)
    raise AssertionError(node.head)


def _evaluate(node: Expression, values: Mapping[str, Array]) -> Array:
    if node.head == "name":
        return np.asarray(values[str(node.leaf)], np.float64)
    if node.head == "number":
        return np.asarray(node.leaf, np.float64)
    if node.head == "infinity":
        return np.asarray(np.inf)
    a, *rest = (_evaluate(argument, values) for argument in node.arguments)
    if node.head == "where":
        return np.where(a != 0, *rest)
    return heads.applied(node.head, a, rest[0] if rest else a, node.leaf)


def _magnitude(node: Expression, values: Mapping[str, Array], magnitudes: Mapping[str, Array]) -> Array:
    if node.head == "name":
        return np.asarray(magnitudes[str(node.leaf)], np.float64)
    if node.head == "number":
        return np.abs(np.asarray(node.leaf, np.float64))
    if node.head == "infinity":
        return np.asarray(0.0)  # exact
    m = [_magnitude(argument, values, magnitudes) for argument in node.arguments]
    match node.head:
        case "+" | "-" | "max" | "min":
            return m[0] + m[1]
        case "*":
            return m[0] * m[1] + _UNDERFLOW
        case ">" | ">=" | "==":
            return _evaluate(node, values)
        case "where":
            return np.where(_evaluate(node.arguments[0], values) != 0, m[1], m[2])
        case "/":
            b = np.abs(_evaluate(node.arguments[1], values))
            size = m[0] / b + np.abs(_evaluate(node.arguments[0], values)) * m[1] / (b * b)
            return np.where(np.isinf(b), 0, size) + _UNDERFLOW  # beside infinity the other's rounding does not matter
        case "sqrt":
            return heads.magnitude_of_root(_evaluate(node.arguments[0], values), m[0], 0.5)
        case "power" if 0 < float(node.leaf) < 1:
            return heads.magnitude_of_root(_evaluate(node.arguments[0], values), m[0], float(node.leaf))
        case "erf":  # PyTorch's GELU approximates it, with an error that does not shrink with the value
            return 1 + np.abs(_evaluate(_slope(node, node.arguments[0]), values)) * m[0]
        case _:
            slope = np.abs(_evaluate(_slope(node, node.arguments[0]), values))
            lost = _UNDERFLOW_OF_EXP if node.head in ("exp", "expm1") else _UNDERFLOW
            # 0 * infinity is 0 here
            return np.abs(_evaluate(node, values)) + slope * np.where(slope == 0, 0, m[0]) + lost
