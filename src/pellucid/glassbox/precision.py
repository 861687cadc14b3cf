"""Rounding to the dtypes in which PyTorch keeps numbers, with what happens beyond their range.

web/arithmetic/precision.js does the same to the last bit.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Precision(NamedTuple):
    """A binary floating-point format (IEEE 754-2019, section 3.3)."""

    digits: int
    """Of the significand, in bits."""
    lowest: int
    """The exponent of the smallest normal number."""

    @property
    def largest(self) -> float:
        return (2 - 2.0 ** (1 - self.digits)) * 2.0 ** (1 - self.lowest)

    @property
    def smallest(self) -> float:
        """The smallest number above 0, and the distance of the numbers near 0."""
        return 2.0 ** (self.lowest - self.digits + 1)


PRECISIONS = {
    "float64": Precision(53, -1022),
    "float32": Precision(24, -126),
    "float16": Precision(11, -14),
    "bfloat16": Precision(8, -126),
}


def rounded(values: Any, precision: str) -> NDArray[np.float64]:
    """The nearest numbers of a dtype, as float64; of two as near the even one. "" and "float64": unchanged.

    What is too large becomes infinite, and what is too small becomes 0.
    """
    numbers = np.asarray(values, np.float64)
    if precision in ("", "float64"):
        return numbers
    digits, lowest = PRECISIONS[precision]
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        if precision == "float32":
            return numbers.astype(np.float32).astype(np.float64)
        _, exponents = np.frexp(numbers)
        # beside 1.5 * 2^52 of these steps, a float64 has no room for parts of a step
        anchor = np.ldexp(1.5, np.maximum(exponents - 1, lowest) - digits + 1 + 52)
        near = (numbers + anchor) - anchor
        return np.where(np.abs(near) > PRECISIONS[precision].largest, np.copysign(np.inf, near), near)
