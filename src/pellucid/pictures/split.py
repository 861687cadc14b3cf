"""Which pictures to learn from, to choose by, and to report from: stratified, seeded, stable, twins together.

Every class's groups of twins are laid in an order that only the seed and the files' contents decide, and the order is
cut at the fractions. A file that is added moves the cuts by a fraction of a picture, so only neighbours of a cut
change sides. `docs/why/split.md` has the measurements.
"""

from collections.abc import Sequence
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import RecipeError

SIDES = ("train", "val", "test")
TRAIN, VAL, TEST = range(3)


def split(
    labels: NDArray[np.integer],
    digests: Sequence[bytes | str],
    groups: NDArray[np.integer],
    given: NDArray[np.integer],
    validation: float,
    test: float,
    seed: int,
) -> NDArray[np.int8]:
    """The side of each of N pictures, (N,) int8: an index in SIDES, or -1 for a picture to be left out.

    labels (N,) the class; digests (N) of the files' contents; groups (N,) equal for twins; given (N,) the side that the
    folders give, or -1. validation and test are fractions, 0 for no such side, together below 1 (RecipeError).

    * Free pictures are divided among all three sides, each class at the fractions to within one group. Pictures whose
      folder says train are divided between train and the sides that no folder gives; given val and test are kept.
    * A group of twins stands on one side. It counts for the class of most of its members (ties: the smallest label).
    * Two groups or more of a class: at least one in train. Three: at least one on every side that is asked for.
    * Twins that folders put on several sides: the members on the last (test after val after train) stay, and the
      others, free ones included, are left out: learning from them would make the reported figure untrue.
    """
    if not (0 <= validation < 1 and 0 <= test < 1 and validation + test < 1):
        raise RecipeError(
            f"validation {validation} and test {test}: fractions of 0 or more that leave something for training are "
            f"needed (together below 1, here {validation + test:g}); 0.15 and 0.15 are usual"
        )
    sides = np.full(len(labels), -1, dtype=np.int8)
    given_sides = {int(side) for side in np.unique(given)}
    fractions = {VAL: validation, TEST: test}
    from_train = {side: 0.0 if side in given_sides else fraction for side, fraction in fractions.items()}
    divided: dict[tuple[int, bool], list[tuple[bytes, NDArray[np.intp]]]] = {}
    for members in _members(groups):
        last = int(given[members].max())
        if last in (VAL, TEST):
            sides[members] = np.where(given[members] == last, last, -1)
            continue
        label = int(np.bincount(labels[members]).argmax())
        smallest = min(_bytes(digests[i]) for i in members)
        order = sha256(f"{seed}:".encode() + smallest).digest()
        divided.setdefault((label, last == TRAIN), []).append((order, members))
    for (_, in_train), order in divided.items():
        order.sort(key=lambda item: (item[0], int(item[1][0])))
        _cut([members for _, members in order], from_train if in_train else fractions, sides)
    return sides


def _cut(order: list[NDArray[np.intp]], fractions: dict[int, float], sides: NDArray[np.int8]) -> None:
    """Writes the sides of one class's groups: test from the front, validation after it, train to the end."""
    sizes = np.array([len(members) for members in order])
    ends = np.cumsum(sizes)
    middles = ends - sizes / 2  # a group is on the side of a cut on which more than half of it is
    cuts = [int(np.searchsorted(middles, ends[-1] * f)) for f in (fractions[TEST], fractions[TEST] + fractions[VAL])]
    n_test, n_val = cuts[0], cuts[1] - cuts[0]
    asked_test, asked_val = fractions[TEST] > 0, fractions[VAL] > 0
    if len(order) >= 1 + asked_test + asked_val:  # enough for one group on every side
        n_test = max(n_test, int(asked_test))
        n_val = max(n_val, int(asked_val))
    while n_test + n_val >= len(order):  # train keeps one
        n_test, n_val = (n_test - 1, n_val) if n_test > n_val else (n_test, n_val - 1)
    for k, members in enumerate(order):
        sides[members] = TEST if k < n_test else VAL if k < n_test + n_val else TRAIN


def _members(groups: NDArray[np.integer]) -> list[NDArray[np.intp]]:
    """Indices of each group's pictures, ascending."""
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order])) + 1
    return np.split(order, starts) if len(order) else []


def _bytes(digest: bytes | str) -> bytes:
    return digest.encode() if isinstance(digest, str) else digest
