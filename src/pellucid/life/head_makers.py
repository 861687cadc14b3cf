"""Who made a head that was fitted at once: the pictures' parts in its one solution.

Its movement from its start is a sum over the pictures (fitted.py). A picture's push on unit c is the length of its term
along that sum, and the pushes add up to the length of the movement:

    M = C * sum over i of n_i (y_ic - p_ic) (f_i - mean)        push(i) = <M / |M|, C n_i (y_ic - p_ic) (f_i - mean)>
"""

from __future__ import annotations

from collections.abc import Generator

import numpy as np

from pellucid.life import fitted
from pellucid.life.again import Again
from pellucid.life.makers import FilterMakers, LayerMakers, Span
from pellucid.life.pushes import Pushes
from pellucid.steps import Steps


def makers(again: Again, count: int) -> Generator[tuple[int, int], None, LayerMakers]:
    """The makers of each unit of the head, at most `count` each way. Yields (pictures done, pictures)."""
    extracting = Steps(fitted.heads(again))
    for progress in extracting:
        yield progress.done, progress.total
    head, rows = extracting.result, again.task.train
    errors = head.c * head.errors  # (N, classes), each picture once in each view
    movement = errors.T @ head.features
    straight = np.linalg.norm(movement, axis=1)
    direction = movement / np.maximum(straight, 1e-30)[:, None]
    each = (errors * (head.features @ direction.T)).reshape(head.views, len(rows), -1).sum(0)
    sums = Pushes(*each.shape)
    sums.add(np.arange(len(rows)), each, 0)
    filters = []
    for unit, (toward, away) in enumerate(sums.strongest(rows, count)):
        length = float(straight[unit])
        whole = Span(0, 0, length, float(each[:, unit].sum()), 0.0, length, toward, away)
        filters.append(FilterMakers(unit, length, whole, ()))
    return LayerMakers(head.layer, head.start.weight, head.weight.astype(np.float32), tuple(filters))
