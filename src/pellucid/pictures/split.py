"""The split into training, validation and test pictures: stratified, seeded, stable, twins together.

Each class's groups of twins are put into an order that depends only on the seed and the files' contents, and the order
is cut at the fractions. An added file moves the cuts by a fraction of a picture, so only neighbours of a cut change
sides. If the cuts leave a class without a side that it has enough groups for, its smallest group moves there.
`docs/why/split.md` has the measurements. The folds of a cross-validation are cut from the same order.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import product
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import CatalogError, RecipeError
from pellucid.pictures.grouped import Grouped, Held
from pellucid.pictures.spread import spread

SIDES = ("train", "val", "test")
TRAIN, VAL, TEST = range(3)
FIRST = (TRAIN, TEST, VAL)
"""Sides in the order of need: without the first a class is not learned, without the second it has no figure."""


@dataclass(frozen=True)
class Swallowed:
    """A class that has more than half of its pictures in one group of twins, and so on one side."""

    label: int
    alike: int  # its pictures in that group
    pictures: int  # all of its pictures


def split(
    labels: NDArray[np.integer],
    digests: Sequence[bytes | str],
    groups: NDArray[np.integer],
    known_sides: NDArray[np.integer],
    validation: float,
    test: float,
    seed: int,
) -> NDArray[np.int8]:
    """The side of each of N pictures, (N,) int8: an index in SIDES, or -1 for a picture to leave out.

    labels (N,) the class; digests (N) of the files' contents; groups (N,) equal for twins; known_sides (N,) the side
    that the folders give, or -1. validation and test are fractions, 0 for no such side, together below 1 (RecipeError).

    * Free pictures are divided among all three sides, each class at the fractions to within one group. Pictures whose
      folder says train are divided between train and the sides that no folder names; val and test folders stay as they
      are.
    * A group of twins is on one side. It counts for the class of most of its members (ties: the smallest label).
    * A class that has members in one group is on train, in two on train and test, in three on every requested side;
      without a test side, two are enough for train and val. If groups hold several classes, or folders fix a side, that
      may not be possible for all: then train comes before test, and test before val.
    * Twins that folders put on several sides: the members on the last (test after val after train) stay, and the
      others, including free ones, are left out: training on them would make the reported figure untrue.
    """
    check(validation, test)
    here = {int(side) for side in np.unique(known_sides)}
    fractions = {VAL: validation, TEST: test}
    from_train = {side: 0.0 if side in here else fraction for side, fraction in fractions.items()}
    every = Grouped.by(groups)
    last = every.largest(known_sides)
    free, in_train = np.flatnonzero(last <= TRAIN), last == TRAIN
    used = (last[every.of] <= TRAIN) | (known_sides == last[every.of])
    held = Held.by(every.of[used], labels[used])
    label_of, keys = held.commonest(), np.zeros((len(last), 3), np.uint64)
    keys[free, :2], keys[:, 2] = every.drawn(free, digests, seed), every.firsts
    sides = np.where(last <= TRAIN, -1, last).astype(np.int8)
    order = free[np.lexsort((*keys[free, ::-1].T, in_train[free], label_of[free]))]
    edges = np.flatnonzero(np.diff(2 * label_of[order] + in_train[order])) + 1
    for some in np.split(order, edges) if len(order) else []:
        _cut(some, every.sizes, from_train if in_train[some[0]] else fractions, sides)
    allowed = np.zeros((len(last), 3), np.bool_)
    for groups_open, open_to in ((in_train, from_train), (last < TRAIN, fractions)):
        allowed[groups_open] = [True, *(open_to[side] > 0 for side in (VAL, TEST))]
    wanted = [side for side in FIRST if side == TRAIN or fractions[side] > 0 or side in here]
    spread(held, label_of, allowed, every.sizes, keys, wanted, sides)
    return np.where(used, sides[every.of], -1).astype(np.int8)


def check(validation: float, test: float) -> None:
    """Raises RecipeError if these are not fractions, or leave nothing for training."""
    if not (0 <= validation < 1 and 0 <= test < 1 and validation + test < 1):
        raise RecipeError(
            f"validation is {validation} and test is {test}; both must be 0 or more, and together below 1 (here "
            f"{validation + test:g}) to leave pictures for training; 0.15 and 0.15 are usual"
        )


def together(groups: NDArray[np.integer], pairs: NDArray[np.integer]) -> NDArray[np.int64]:
    """Which of N pictures must be on one side, (N,) int64: equal numbers for twins and for members of one group.

    groups: (N,), equal numbers for pictures of one group, -1 for none. pairs: (P, 2) rows of twins. A picture's number
    is the smallest row reachable from it through groups and twins.
    """
    rows = np.flatnonzero(groups >= 0)
    _, first, number = np.unique(groups[rows], return_index=True, return_inverse=True)
    edges = np.concatenate([pairs.reshape(-1, 2), np.stack([rows[first][number], rows], axis=1)])
    root = np.arange(len(groups), dtype=np.int64)
    while True:
        low, high = np.sort(root[edges], axis=1).T
        if (low == high).all():
            return root
        np.minimum.at(root, high, low)
        while (root[root] != root).any():
            root = root[root]


def overruled(groups: NDArray[np.integer], known_sides: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Which pictures with a given side have a group member on a later given side; all (N,), as in `split`."""
    rows = np.flatnonzero(groups >= 0)
    last = np.full(int(groups.max(initial=-1)) + 1, -1)
    np.maximum.at(last, groups[rows], known_sides[rows])
    moved = np.zeros(len(groups), np.bool_)
    moved[rows] = (last[groups[rows]] > TRAIN) & (known_sides[rows] < last[groups[rows]])
    return moved


def folds(
    labels: NDArray[np.integer],
    digests: Sequence[bytes | str],
    groups: NDArray[np.integer],
    count: int,
    seed: int,
) -> NDArray[np.int64]:
    """The fold, 0 to count - 1, that tests each of N pictures, (N,) int64. labels, digests, groups as in `split`.

    A group is in one fold. Each fold gets an equal share of a class's groups, to within the largest group. Each class
    of two or more groups (see `indivisible`) is in two or more folds if moving a group achieves that: whichever fold is
    tested, the others can teach it. Raises CatalogError if there are fewer groups than folds.
    """
    numbers = np.zeros(len(labels), np.int64)
    of_class: dict[int, list[_Group]] = {}
    for members in members_of(groups):
        label = int(np.bincount(labels[members]).argmax())
        of_class.setdefault(label, []).append(_Group(drawn(digests, members, seed), members))
    for label, some in of_class.items():
        some.sort(key=lambda group: group.key)
        ends = np.cumsum([len(group.members) for group in some])
        for group, end in zip(some, ends.tolist(), strict=True):
            # the middle of a group decides. Each class begins at another fold, or else small classes would fill the
            # first.
            middle = (2 * end - len(group.members)) * count // (2 * int(ends[-1]))
            numbers[group.members] = (middle + label) % count
    level([group for some in of_class.values() for group in some], labels, count, numbers)
    return numbers


def indivisible(labels: NDArray[Any], groups: NDArray[np.integer]) -> tuple[int, ...]:
    """The classes whose pictures are all in one group, ascending: no fold could test what another teaches.

    labels: int64 (N,), or with several labels bool (N, classes).
    """
    return tuple(label for label, of_class in _groups_by_class(labels, groups) if len(np.unique(of_class)) == 1)


def lacking(labels: NDArray[np.integer], sides: NDArray[np.integer], classes: int) -> dict[str, tuple[int, ...]]:
    """The classes without a picture on a side, by its name in SIDES; only sides that have pictures but lack a class.

    labels, sides: (N,), as of `split`; labels below `classes`.
    """
    missing = {}
    for side, name in enumerate(SIDES):
        there = np.bincount(labels[sides == side], minlength=classes)
        if there.any() and not there.all():
            missing[name] = tuple(np.flatnonzero(there == 0).tolist())
    return missing


def swallowed(labels: NDArray[Any], groups: NDArray[np.integer]) -> tuple[Swallowed, ...]:
    """The classes with one group of twins that holds at least two pictures and more than half of them.

    labels, groups: as `indivisible`.
    """
    classes = []
    for label, of_class in _groups_by_class(labels, groups):
        largest = int(np.unique(of_class, return_counts=True)[1].max())
        if largest >= 2 and 2 * largest > len(of_class):
            classes.append(Swallowed(label, largest, len(of_class)))
    return tuple(classes)


def _groups_by_class(labels: NDArray[Any], groups: NDArray[np.integer]) -> Iterator[tuple[int, NDArray[np.integer]]]:
    """Of each class that pictures have, the groups that these are in."""
    several = labels.ndim == 2
    for label in np.flatnonzero(labels.any(axis=0)) if several else np.unique(labels):
        yield int(label), groups[labels[:, label] if several else labels == label]


@dataclass(frozen=True)
class _Group:
    """Twins: their place in the order, and their rows."""

    order: bytes
    members: NDArray[np.intp]

    @property
    def key(self) -> tuple[bytes, int]:
        return self.order, int(self.members[0])


def drawn(digests: Sequence[bytes | str], members: NDArray[np.intp], seed: int) -> bytes:
    """The sort key of a group: the seed, and the smallest digest of its files."""
    return sha256(f"{seed}:".encode() + min(_bytes(digests[i]) for i in members)).digest()


class Drawn(Protocol):
    """Twins: their place in the order that the seed draws, and their rows."""

    @property
    def key(self) -> tuple[bytes, int]: ...
    @property
    def members(self) -> NDArray[np.intp]: ...


def level(every: Sequence[Drawn], labels: NDArray[Any], count: int, numbers: NDArray[np.int64]) -> None:
    """Moves groups until no fold is empty, and each class of two or more groups is in two or more folds.

    numbers (N,): the fold of each picture, which changes in place; labels as `indivisible`. A class stays in one fold
    if moving one of its groups would leave another class in one fold. Raises CatalogError if there are fewer groups
    than folds.
    """
    if len(every) < count:
        raise CatalogError(
            f"folds is {count}, but without near-duplicates there are only {len(every):,} pictures. "
            "Choose fewer --folds, or add pictures."
        )
    _part_classes(every, labels, count, numbers)
    _fill(every, count, numbers)


def _classes_of(labels: NDArray[Any], members: NDArray[np.intp]) -> list[int]:
    """The classes of these pictures, ascending."""
    some = labels[members]
    return (np.flatnonzero(some.any(axis=0)) if labels.ndim == 2 else np.unique(some)).tolist()


def _part_classes(every: Sequence[Drawn], labels: NDArray[Any], count: int, numbers: NDArray[np.int64]) -> None:
    """Moves groups until no class is in one fold alone, unless a move would leave another class in one.

    The smallest fold and the smallest group come first.
    """
    of_class: dict[int, list[Drawn]] = {}
    for group in sorted(every, key=lambda group: (len(group.members), *group.key)):
        for label in _classes_of(labels, group.members):
            of_class.setdefault(label, []).append(group)

    def spread(label: int) -> set[int]:
        return {int(numbers[group.members[0]]) for group in of_class[label]}

    for label in sorted(of_class):
        if len(of_class[label]) < 2 or len(spread(label)) > 1:
            continue
        (here,) = spread(label)
        smallest_first = np.argsort(np.bincount(numbers, minlength=count), kind="stable")
        for fold, group in product(smallest_first[smallest_first != here].tolist(), of_class[label]):
            numbers[group.members] = fold
            others = _classes_of(labels, group.members)
            if all(len(spread(other)) > 1 or len(of_class[other]) < 2 for other in others):
                break
            numbers[group.members] = here


def _fill(every: Sequence[Drawn], count: int, numbers: NDArray[np.int64]) -> None:
    """Moves, for each empty fold, the smallest group of the fold with the most groups into it."""
    held = Counter(int(numbers[group.members[0]]) for group in every)
    for fold in range(count):
        if not held[fold]:
            most = max(held, key=lambda each: (held[each], -each))
            there = [group for group in every if numbers[group.members[0]] == most]
            group = min(there, key=lambda group: (len(group.members), *group.key))
            numbers[group.members] = fold
            held[most] -= 1
            held[fold] += 1


def _cut(
    order: NDArray[np.int64], sizes: NDArray[np.int64], fractions: dict[int, float], sides: NDArray[np.int8]
) -> None:
    """Writes the sides of one class's groups: test from the front, validation after it, train to the end."""
    ends = np.cumsum(sizes[order])
    middles = ends - sizes[order] / 2  # a group is on the side of a cut that has more than half of it
    cuts = [int(np.searchsorted(middles, ends[-1] * f)) for f in (fractions[TEST], fractions[TEST] + fractions[VAL])]
    n_test, n_val = cuts[0], cuts[1] - cuts[0]
    while n_test + n_val >= len(order):  # train needs one
        n_test, n_val = (n_test - 1, n_val) if n_test > n_val else (n_test, n_val - 1)
    sides[order[:n_test]], sides[order[n_test : n_test + n_val]], sides[order[n_test + n_val :]] = TEST, VAL, TRAIN


def members_of(groups: NDArray[np.integer]) -> list[NDArray[np.intp]]:
    """Indices of each group's pictures, ascending."""
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order])) + 1
    return np.split(order, starts) if len(order) else []


def _bytes(digest: bytes | str) -> bytes:
    return digest.encode() if isinstance(digest, str) else digest
