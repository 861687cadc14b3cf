"""The ranges of PyTorch's dtypes, and the effect on numbers beyond them.

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
    def beyond(self) -> float:
        """The smallest number that rounds to infinity."""
        return (2 - 2.0**-self.digits) * 2.0 ** (1 - self.lowest)

    @property
    def smallest(self) -> float:
        """The smallest number above 0, and the spacing of the numbers near 0."""
        return 2.0 ** (self.lowest - self.digits + 1)


PRECISIONS = {
    "float64": Precision(53, -1022),
    "float32": Precision(24, -126),
    "float16": Precision(11, -14),
    "bfloat16": Precision(8, -126),
}


def limited(values: Any, precision: str) -> NDArray[np.float64]:
    """Numbers limited to the range of a dtype, in float64: too large ones become infinite, too small ones 0.

    In between they do not change. Below the smallest normal number, where a dtype has few digits or none, they are
    rounded to the nearest representable number, ties to even. "" and "float64": unchanged.
    """
    numbers = np.asarray(values, np.float64)
    if precision in ("", "float64"):
        return numbers
    limits = PRECISIONS[precision]
    with np.errstate(invalid="ignore"):
        # added to 1.5 * 2^52 of the smallest numbers, a float64 has no room for fractions of one
        anchor = 1.5 * 2.0**52 * limits.smallest
        small = np.where(np.abs(numbers) < 2.0**limits.lowest, (numbers + anchor) - anchor, numbers)
        return np.where(np.abs(small) >= limits.beyond, np.copysign(np.inf, small), small)
