"""Sides and folds of pictures with several labels: iterative stratification (Sechidis et al. 2011, algorithm 1).

The label in the fewest groups is dealt first, because later it could no longer be spread. Each of its groups of twins
goes to the side that still lacks most of the label, but first to any side that would otherwise have none of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pellucid.pictures.split import FIRST, TEST, TRAIN, VAL, check, drawn, level, members_of


def split(
    labels: NDArray[np.bool_],
    digests: Sequence[bytes | str],
    groups: NDArray[np.integer],
    known_sides: NDArray[np.integer],
    validation: float,
    test: float,
    seed: int,
) -> NDArray[np.int8]:
    """The side of each of N pictures, (N,) int8, as split.split; labels bool (N, classes).

    A label in one group is on train, in two on train and test, in three on every requested side, as far as the labels
    that pictures share, the folders' sides and twins permit. An added file may change the sides of others. Raises
    RecipeError.
    """
    check(validation, test)
    sides = np.full(len(labels), -1, np.int8)
    here = {int(side) for side in np.unique(known_sides)}
    free, in_train = [], []
    for members in members_of(groups):
        last = int(known_sides[members].max())
        if last in (VAL, TEST):
            sides[members] = np.where(known_sides[members] == last, last, -1)
            continue
        key = drawn(digests, members, seed), int(members[0])
        (in_train if last == TRAIN else free).append(_Group(key, members))
    fractions = {TRAIN: 1 - validation - test, VAL: validation, TEST: test}
    for some, closed in ((in_train, here), (free, set())):
        shares = {
            side: share for side in FIRST if (share := fractions[side]) > 0 and (side == TRAIN or side not in closed)
        }
        if not some:
            continue
        order = sorted(some, key=lambda group: group.key)
        _deal(order, labels, shares, sides, ranked=True)
        if not (sides[np.concatenate([group.members for group in order])] == TRAIN).any():
            sides[order[-1].members] = TRAIN
    return sides


def folds(
    labels: NDArray[np.bool_],
    digests: Sequence[bytes | str],
    groups: NDArray[np.integer],
    count: int,
    seed: int,
) -> NDArray[np.int64]:
    """The fold, 0 to count - 1, that tests each of N pictures, (N,) int64, as split.folds; labels bool (N, classes).

    A group is in one fold. Each label of two or more groups (see split.indivisible) is in two or more folds if moving
    a group achieves that. Raises CatalogError if there are fewer groups than folds.
    """
    every = [_Group((drawn(digests, members, seed), int(members[0])), members) for members in members_of(groups)]
    every.sort(key=lambda group: group.key)
    numbers = np.zeros(len(labels), np.int64)
    _deal(every, labels, dict.fromkeys(range(count), 1 / count), numbers, ranked=False)
    level(every, labels, count, numbers)
    return numbers


@dataclass(frozen=True)
class _Group:
    key: tuple[bytes, int]
    members: NDArray[np.intp]


def _deal(
    groups: list[_Group],
    labels: NDArray[np.bool_],
    shares: dict[int, float],
    sides: NDArray[np.signedinteger],
    ranked: bool,
) -> None:
    """Write the sides of these groups, which are in random order; `shares` of all pictures, each above 0.

    `ranked`: of the sides that would go without a label, the first in `shares` gets it. Otherwise the one that lacks
    most of it does, because folds are all alike.
    """
    open_to = list(shares)
    share = np.array(list(shares.values())) / sum(shares.values())
    counts = np.array([labels[group.members].sum(axis=0) for group in groups])  # (groups, classes)
    sizes = np.array([len(group.members) for group in groups])
    wanted = share[:, None] * counts.sum(axis=0)  # pictures of each label that a side still lacks
    room = share * sizes.sum()
    has = np.zeros(wanted.shape, np.int64)
    holders = (counts > 0).sum(axis=0)  # undealt groups with each label
    dealt = np.zeros(len(groups), bool)

    def put(number: int, at: int) -> None:
        sides[groups[number].members] = open_to[at]
        dealt[number] = True
        wanted[at] -= counts[number]
        room[at] -= sizes[number]
        has[at] += counts[number]
        holders[counts[number] > 0] -= 1

    while holders.any():
        label = int(np.where(holders > 0, holders, len(groups) + 1).argmin())
        for number in np.flatnonzero((counts[:, label] > 0) & ~dealt).tolist():
            without = [at for at in range(len(open_to)) if not has[at, label]]
            short = bool(without) and holders[label] <= len(without)
            if short and ranked:
                put(number, without[0])
            else:
                some = without if short else range(len(open_to))
                put(number, max(some, key=lambda at: (wanted[at, label], room[at], -at)))
    for number in np.flatnonzero(~dealt).tolist():  # without any label
        put(number, int(room.argmax()))
