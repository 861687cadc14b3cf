"""Two models on the same pictures: how much more often one is right, with its interval, and whether chance explains it.

Only the pictures that one model gets right and the other gets wrong say anything about the difference.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.training.evaluate import interval

SOURCE = "Newcombe 1998, method 10"
TEST = "McNemar 1947, exact"


@dataclass(frozen=True)
class Paired:
    """Counts of pictures by who is right about them."""

    both: int
    only_first: int
    only_second: int
    neither: int

    @property
    def pictures(self) -> int:
        return self.both + self.only_first + self.only_second + self.neither

    @property
    def first(self) -> float:
        """The accuracy of the first, 0 to 1."""
        return (self.both + self.only_first) / self.pictures

    @property
    def second(self) -> float:
        return (self.both + self.only_second) / self.pictures

    @property
    def first_interval(self) -> tuple[float, float]:
        """95 % (Wilson 1927)."""
        return interval(self.both + self.only_first, self.pictures)

    @property
    def second_interval(self) -> tuple[float, float]:
        return interval(self.both + self.only_second, self.pictures)

    @property
    def difference(self) -> float:
        """Accuracy of the second minus accuracy of the first, -1 to 1."""
        return (self.only_second - self.only_first) / self.pictures

    @property
    def difference_interval(self) -> tuple[float, float]:
        """95 % of the difference (Newcombe 1998, "Improved confidence intervals for the difference between binomial
        proportions based on paired data", method 10): the Wilson intervals of both accuracies, combined by their
        correlation, which is corrected for continuity.
        """
        (low, high), (other_low, other_high) = self.second_interval, self.first_interval
        below, above = self.second - low, high - self.second
        other_below, other_above = self.first - other_low, other_high - self.first
        phi = self._correlation
        down = math.sqrt(max(0.0, below**2 - 2 * phi * below * other_above + other_above**2))
        up = math.sqrt(max(0.0, above**2 - 2 * phi * above * other_below + other_below**2))
        return max(-1.0, self.difference - down), min(1.0, self.difference + up)

    @property
    def chance(self) -> float:
        """How probable it is that two equally good models differ at least so much (McNemar 1947, exact, two-sided):
        each picture that only one gets right is a throw of a fair coin.
        """
        apart, fewer = self.only_first + self.only_second, min(self.only_first, self.only_second)
        return min(1.0, 2 * sum(math.comb(apart, count) for count in range(fewer + 1)) / 2**apart)

    @property
    def _correlation(self) -> float:
        """Newcombe's phi, from -1 to 1."""
        rows = (self.both + self.only_first) * (self.only_second + self.neither)
        columns = (self.both + self.only_second) * (self.only_first + self.neither)
        if not rows * columns:
            return 0.0
        product = self.both * self.neither - self.only_first * self.only_second
        if product > 0:
            product = max(0.0, product - self.pictures / 2)
        return product / math.sqrt(rows * columns)

    def as_json(self) -> dict[str, Any]:
        """The counts, both accuracies with intervals, the difference with interval and probability, and the sources."""
        return {
            **asdict(self),
            "first": {"accuracy": self.first, "interval": list(self.first_interval)},
            "second": {"accuracy": self.second, "interval": list(self.second_interval)},
            "difference": self.difference,
            "difference_interval": list(self.difference_interval),
            "interval_source": SOURCE,
            "chance": self.chance,
            "chance_source": TEST,
        }


def paired(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> Paired:
    """From whether each is right about each picture, (n,) and (n,), n above 0."""
    return Paired(
        int((first & second).sum()),
        int((first & ~second).sum()),
        int((~first & second).sum()),
        int((~first & ~second).sum()),
    )
