"""Numbers of about 48 bits as sums of two float32 numbers, for runtimes that compute float64 in float32.

OpenVINO's CPU plugin does so. The sums and products are those of Dekker (1971) and of Hida, Li and Bailey ("Library for
double-double and quad-double arithmetic", 2007), with float32 in place of float64. A fused multiply-add makes none of
them wrong: all products of halves are exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pellucid.exports.expressions import Expression

SPLIT = 4097  # 2^12 + 1: splits 24 bits into two halves of 12
PART, PARTS = 4096, 3  # sums of thousands of numbers stay exact in parts of 12 bits
TIE = 1e-9  # closer to a half than this, a number counts as the half


@dataclass(frozen=True)
class Pair:
    """`high` + `low`, float32 expressions of one shape; `low` is at most half a unit in the last place of `high`.

    `low` is None if it is 0. The methods are those of Expression, with the same names.
    """

    high: Expression
    low: Expression | None = None

    @classmethod
    def exactly(cls, single: Expression) -> Pair:
        """The same numbers as a float32 expression."""
        return cls(single)

    @classmethod
    def sizes(cls, image: Expression) -> list[Expression]:
        """As Expression.sizes, but the result also depends on a pixel, of which 0 is left.

        If OpenVINO sees that numbers follow from the size alone, it computes bounds of them, which takes a minute.
        """
        graph = image.graph
        corner = graph.add("Slice", [image.name, graph.integers(0, 0, 0), graph.integers(1, 1, 1)])
        pixel = graph.add("Squeeze", [corner, graph.integers(0, 1, 2)])
        nothing = Expression(graph, pixel, image.type).cast("float32").least(0)
        return [size + nothing for size in Expression.sizes(image)]

    def __add__(self, other: Pair | float) -> Pair:
        other = self._pair(other)
        high, error = _sum(self.high, other.high)
        if self.low is not None and other.low is not None:
            low, further = _sum(self.low, other.low)
            high, error = _ordered_sum(high, error + low)
            return Pair(*_ordered_sum(high, error + further))
        low = self.low or other.low
        return Pair(*_ordered_sum(high, error if low is None else error + low))

    def __sub__(self, other: Pair | float) -> Pair:
        return self + -self._pair(other)

    def __rsub__(self, other: float) -> Pair:
        return self._pair(other) - self

    def __neg__(self) -> Pair:
        return Pair(self.high.apply("Neg"), None if self.low is None else self.low.apply("Neg"))

    def __mul__(self, other: Pair | float) -> Pair:
        if isinstance(other, int) and other & (other - 1) == 0:  # 0, or a power of two
            return Pair(self.high * other, None if self.low is None else self.low * other)
        other = self._pair(other)
        high, error = _product(self.high, other.high)
        if other.low is not None:
            error = error + self.high * other.low
        if self.low is not None:
            error = error + self.low * other.high
        return Pair(*_ordered_sum(high, error))

    def __truediv__(self, other: Pair | float) -> Pair:
        if isinstance(other, int) and other & (other - 1) == 0:
            return Pair(self.high / other, None if self.low is None else self.low / other)
        other = self._pair(other)
        first = self.high / other.high
        rest = self - other * Pair(first)
        return Pair(*_ordered_sum(first, rest.high / other.high))

    def __rtruediv__(self, other: float) -> Pair:
        return self._pair(other) / self

    def __ge__(self, other: Pair | float) -> Expression:
        return self._less(other).high >= 0

    def __lt__(self, other: Pair | float) -> Expression:
        return self._less(other).high < 0

    def __gt__(self, other: Pair | float) -> Expression:
        return self._less(other).high > 0

    def largest(self, other: Pair | float) -> Pair:
        return self.where(self >= other, other)

    def least(self, other: Pair | float) -> Pair:
        return self.where(self < other, other)

    def absolute(self) -> Pair:
        return self.where(self.high >= 0, -self)

    def floor(self) -> Pair:
        whole = self.high.floor()
        if self.low is None:
            return Pair(whole)
        # only if the upper number is whole does the lower one decide
        return Pair((whole + self.low.floor()).where(whole.equals(self.high), whole))

    def rounded(self) -> Pair:
        """To the nearest whole number, halves to the even one; for numbers below 2^23."""
        nearest = self.high.rounded()
        if self.low is None:
            return Pair(nearest)
        tie = (self.high - self.high.floor()).equals(0.5) & (self.low.absolute() > TIE)
        down = self.high.floor()
        return Pair(down.where(self.low < 0, down + 1).where(tie, nearest))

    def single(self) -> Pair:
        """Rounded to float32."""
        return Pair(self.high)

    def where(self, condition: Expression, other: Pair | float) -> Pair:
        """These numbers where `condition` holds, else the other's."""
        other = self._pair(other)
        if self.low is None and other.low is None:
            return Pair(self.high.where(condition, other.high))
        low, else_low = (each.low or each.high * 0 for each in (self, other))
        return Pair(self.high.where(condition, other.high), low.where(condition, else_low))

    def total(self) -> Pair:
        """The sums along the last of two axes, which stays with length 1. Numbers are between -1 and 1."""
        rest, scale, sums = self, 1, []
        for _ in range(PARTS):
            scale *= PART
            part = (rest * PART).floor()
            rest = rest * PART - part
            sums.append(Pair(part.high.total()) / scale)
        return sums[0] + (sums[1] + (sums[2] + Pair(rest.high.total()) / scale))

    def counted(self) -> Pair:
        """A scalar n -> (n,): 0, 1, 2, ..."""
        return Pair(self.high.counted())

    def numbered(self, count: int) -> Pair:
        """(count,): 0, 1, 2, ..."""
        return Pair(self.high.numbered(count))

    def column(self) -> Pair:
        """(n,) -> (n, 1)"""
        return Pair(self.high.column(), None if self.low is None else self.low.column())

    def cast(self, kind: str) -> Expression:
        """The nearest float32 numbers as another type, a key of TYPES."""
        return self.high if kind == "float32" else self.high.cast(kind)

    def _less(self, other: Pair | float) -> Pair:
        """The difference, of which only the sign is right."""
        other = self._pair(other)
        if self.low is None and other.low is None:
            return Pair(self.high - other.high)
        return self - other

    def _pair(self, other: Pair | float) -> Pair:
        if isinstance(other, Pair):
            return other
        high = float(np.float32(other))
        low = other - high
        numbers = (self.high.of(each) for each in ((high, low) if low else (high,)))
        return Pair(*numbers)


def _sum(one: Expression, other: Expression) -> tuple[Expression, Expression]:
    """(sum, its error), which together are exact (Knuth, 1969)."""
    total = one + other
    second = total - one
    return total, (one - (total - second)) + (other - second)


def _ordered_sum(larger: Expression, smaller: Expression) -> tuple[Expression, Expression]:
    """As `_sum`, if no number of `smaller` is larger than that of `larger` (Dekker, 1971)."""
    total = larger + smaller
    return total, smaller - (total - larger)


def _product(one: Expression, other: Expression) -> tuple[Expression, Expression]:
    """(product, its error), which together are exact (Dekker, 1971)."""
    product = one * other
    (up, low), (other_up, other_low) = _halves(one), _halves(other)
    error = ((up * other_up - product) + up * other_low + low * other_up) + low * other_low
    return product, error


def _halves(number: Expression) -> tuple[Expression, Expression]:
    large = number * SPLIT
    up = large - (large - number)
    return up, number - up
