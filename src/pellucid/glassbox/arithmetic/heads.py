"""The numeric operations of a formula's heads (expression.py)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_ROUNDING = 2.0**-24  # of float32
_erf = np.frompyfunc(math.erf, 1, 1)


def applied(head: str, a: Array, b: Array, exponent: float | str) -> Array:
    """Apply a head to one or two arguments, `a` and `b`, float64. `exponent` is that of "power", a constant."""
    match head:
        case "+":
            return a + b
        case "-":
            return a - b
        case "*":
            return a * b
        case "/":
            return a / b
        case ">":
            return (a > b).astype(np.float64)
        case ">=":
            return (a >= b).astype(np.float64)
        case "==":
            return (a == b).astype(np.float64)
        case "max":
            return np.maximum(a, b)
        case "min":
            return np.minimum(a, b)
        case "exp":
            return np.exp(a)
        case "expm1":
            return np.expm1(a)
        case "log":
            return np.log(a)
        case "log1p":
            return np.log1p(a)
        case "sqrt":
            return np.sqrt(a)
        case "sin":
            return np.sin(a)
        case "cos":
            return np.cos(a)
        case "asin":
            return np.arcsin(a)
        case "atan":
            return np.arctan(a)
        case "floor":
            return np.floor(a)
        case "round":
            return np.round(a)
        case "tanh":
            return np.tanh(a)
        case "erf":
            return np.asarray(_erf(a), np.float64)
        case "power":
            return a ** float(exponent)
    raise AssertionError(head)


def magnitude_of_root(a: Array, m: Array, exponent: float) -> Array:
    """The magnitude of a^exponent, for an exponent below 1: by the slope, if a is the result of cancellation.

    The slope at 0 has no bound, but a rounding of u * m changes a^exponent by no more than (u * m)^exponent.
    """
    with np.errstate(all="ignore"):
        by_slope = np.where(m == 0, 0, exponent * np.abs(a) ** (exponent - 1) * m)
    root = m**exponent
    return np.maximum(root, np.minimum(by_slope, root * _ROUNDING ** (exponent - 1)))
