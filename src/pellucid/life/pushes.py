"""How far each picture pushed each filter in a span of steps: running sums, and the strongest pushes each way."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pellucid.life.makers import Ranked

BYTES = 20
"""For each picture and filter: five numbers of four bytes."""


class Pushes:
    """Arrays of (pictures, filters): the sum of the pushes, and the largest and the smallest push, each with its step.

    Steps are counted from 1; 0 where there was no push of that sign.
    """

    def __init__(self, pictures: int, filters: int) -> None:
        self.total, self.high, self.low = (np.zeros((pictures, filters), np.float32) for _ in range(3))
        self.high_step, self.low_step = (np.zeros((pictures, filters), np.int32) for _ in range(2))

    def add(self, places: NDArray[np.int64], pushes: NDArray[np.float64], step: int) -> None:
        """Add a step's pushes, (n, filters), of the pictures at `places`, (n,), none of them twice."""
        each = pushes.astype(np.float32)
        self.total[places] += each
        _keep(self.high, self.high_step, places, each, step, np.greater)
        _keep(self.low, self.low_step, places, each, step, np.less)

    def take(self, span: Pushes) -> None:
        """Add the pushes of a span, and clear it."""
        self.total += span.total
        for own, steps, new, at, further in (
            (self.high, self.high_step, span.high, span.high_step, np.greater),
            (self.low, self.low_step, span.low, span.low_step, np.less),
        ):
            better = further(new, own)
            np.copyto(own, new, where=better)
            np.copyto(steps, at, where=better)
        for each in (span.total, span.high, span.low, span.high_step, span.low_step):
            each.fill(0)

    def strongest(self, rows: NDArray[np.int64], count: int) -> list[tuple[Ranked, Ranked]]:
        """For each filter, at most `count` pictures with the largest sums, and as many with the smallest.

        Only positive sums count as large, and negative ones as small. `rows`: the rows of the pictures, (pictures,).
        """
        toward = _ranked(rows, self.total, self.high, self.high_step, _largest(self.total, count))
        away = _ranked(rows, self.total, self.low, self.low_step, _largest(-self.total, count))
        return list(zip(toward, away, strict=True))


def _ranked(
    rows: NDArray[np.int64],
    total: NDArray[np.float32],
    most: NDArray[np.float32],
    steps: NDArray[np.int32],
    order: NDArray[np.int64],
) -> list[Ranked]:
    """Of each filter, in the order of `order`, (count, filters), those whose strongest push is one of that sign."""
    sums, best = (np.take_along_axis(each, order, 0) for each in (total, most))
    at = np.take_along_axis(steps, order, 0)
    pushed = (sums * best > 0).sum(0)
    return [
        Ranked(rows[order[:n, filter_]], sums[:n, filter_], at[:n, filter_], best[:n, filter_])
        for filter_, n in enumerate(pushed.tolist())
    ]


def _keep(
    best: NDArray[np.float32],
    steps: NDArray[np.int32],
    places: NDArray[np.int64],
    pushes: NDArray[np.float32],
    step: int,
    further: np.ufunc,
) -> None:
    before, at = best[places], steps[places]
    better = further(pushes, before)
    np.copyto(before, pushes, where=better)
    at[better] = step
    best[places], steps[places] = before, at


def _largest(values: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """The places of the largest values in each column, (count, columns), the largest first; of equals the earlier."""
    if count < len(values):
        some = np.sort(np.argpartition(-values, count - 1, axis=0)[:count], axis=0)
    else:
        some = np.broadcast_to(np.arange(len(values))[:, None], values.shape)
    order = np.argsort(-np.take_along_axis(values, some, 0), axis=0, kind="stable")
    return np.take_along_axis(some, order, 0)
