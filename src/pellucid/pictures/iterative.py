"""The split of pictures with several labels: iterative stratification (Sechidis et al. 2011, algorithm 1).

The rarest label is dealt first, because later it could no longer be spread. Each of its groups of twins goes to the
side that still lacks most of the label, but first to any side that would otherwise have none of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pellucid.pictures.split import FIRST, TEST, TRAIN, VAL, check, drawn, members_of


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
        shares = {side: 0.0 if side in closed and side != TRAIN else share for side, share in fractions.items()}
        if some:
            _deal(sorted(some, key=lambda group: group.key), labels, shares, sides)
    return sides


@dataclass(frozen=True)
class _Group:
    key: tuple[bytes, int]
    members: NDArray[np.intp]


def _deal(groups: list[_Group], labels: NDArray[np.bool_], shares: dict[int, float], sides: NDArray[np.int8]) -> None:
    """Write the sides of these groups, which are in random order."""
    open_to = [side for side in FIRST if side == TRAIN or shares[side] > 0]
    share = np.array([shares[side] for side in open_to]) / sum(shares[side] for side in open_to)
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
            if without and holders[label] <= len(without):
                put(number, without[0])
            else:
                put(number, max(range(len(open_to)), key=lambda at: (wanted[at, label], room[at], -at)))
    for number in np.flatnonzero(~dealt).tolist():  # without any label
        put(number, int(room.argmax()))
    if TRAIN in open_to and not (sides[np.concatenate([g.members for g in groups])] == TRAIN).any():
        sides[groups[-1].members] = TRAIN
