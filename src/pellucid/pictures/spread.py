"""Every class on every side that it has enough groups for: where a cut left one out, its smallest group moves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pellucid.pictures.grouped import Held

TRAIN = 0  # its place in split.SIDES


def spread(
    held: Held,
    labels: NDArray[np.int64],
    allowed: NDArray[np.bool_],
    sizes: NDArray[np.int64],
    keys: NDArray[np.uint64],
    wanted: list[int],
    sides: NDArray[np.int8],
) -> None:
    """Moves groups, the smallest first, until each class with n groups is on the first n of the `wanted` sides.

    A move never takes from a class a side that it needs as much as the served class does, nor its last training group.

    labels, sizes (G,): the class that each group counts for, and its pictures. allowed (G, 3): the sides open to it.
    keys (G, k): decide between groups that are otherwise equal, the first number first. sides (G,) changes in place.
    """
    classes = int(held.labels.max(initial=0)) + 1
    by_class = np.argsort(held.labels, kind="stable")
    groups_of = np.bincount(held.labels, minlength=classes)  # of each class
    ends = np.cumsum(groups_of)
    count = np.zeros((classes, 3), np.int64)  # groups with members of a class on a side
    np.add.at(count, (held.labels, sides[held.groups]), 1)
    own = np.bincount(labels[sides == TRAIN], minlength=classes)  # groups that count for a class and train

    def needs(label: int, side: int) -> bool:
        return side in wanted[: groups_of[label]]

    def missed(group: int, side: int) -> int:
        """How many classes would lack a needed side if this group left it."""
        lost = sum(count[label, side] == 1 and needs(label, side) for label in held.of(group).tolist())
        return lost or int(side == TRAIN and own[labels[group]] == 1)

    for target in wanted:
        as_much = wanted[: wanted.index(target) + 1]
        for label in np.flatnonzero((count[:, target] == 0) & (groups_of > 0)).tolist():
            if count[label, target] or not needs(label, target):
                continue
            moves = []
            for group in held.groups[by_class[ends[label] - groups_of[label] : ends[label]]].tolist():
                side = int(sides[group])
                if allowed[group, target] and not ((lost := missed(group, side)) and side in as_much):
                    size = int(sizes[group])
                    moves.append((lost, -size if target == TRAIN else size, *keys[group].tolist(), group, side))
            if not moves:
                continue
            *_, group, side = min(moves)
            sides[group] = target
            own[labels[group]] += (target == TRAIN) - (side == TRAIN)
            count[held.of(group), side] -= 1
            count[held.of(group), target] += 1
