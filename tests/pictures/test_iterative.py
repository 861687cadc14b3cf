"""The split of pictures with several labels: every label on every side if possible, twins together."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.errors import CatalogError, RecipeError
from pellucid.pictures import iterative, split


def digests(count: int, salt: str = "") -> list[str]:
    return [f"{salt}{number:08}" for number in range(count)]


def free(count: int) -> np.ndarray:
    return np.full(count, -1, np.int8)


@settings(max_examples=60)
@given(
    st.integers(1, 60), st.integers(2, 6), st.integers(0, 1000), st.sampled_from([(0.15, 0.15), (0.2, 0.0), (0, 0.3)])
)
def test_each_picture_has_a_side_and_twins_share_it(
    count: int, classes: int, seed: int, fractions: tuple[float, float]
) -> None:
    generator = np.random.default_rng(seed)
    labels = generator.random((count, classes)) < generator.uniform(0, 0.6, classes)
    groups = generator.integers(0, count, count)
    sides = iterative.split(labels, digests(count), groups, free(count), *fractions, seed)
    requested = {split.TRAIN, *(side for side, share in zip((split.VAL, split.TEST), fractions, strict=True) if share)}
    assert set(sides.tolist()) <= requested
    assert (sides == split.TRAIN).any()
    for group in np.unique(groups):
        assert len(set(sides[groups == group].tolist())) == 1
    again = iterative.split(labels, digests(count), groups, free(count), *fractions, seed)
    assert (sides == again).all()


@pytest.mark.parametrize("seed", range(5))
def test_every_label_is_on_every_side_also_a_rare_one(seed: int) -> None:
    generator = np.random.default_rng(seed)
    labels = generator.random((400, 8)) < (0.6, 0.4, 0.3, 0.2, 0.1, 0.05, 0, 0)
    labels[generator.choice(400, 3, replace=False), 6] = True
    labels[generator.choice(400, 2, replace=False), 7] = True
    sides = iterative.split(labels, digests(400), np.arange(400), free(400), 0.15, 0.15, seed)
    counts = np.array([labels[sides == side].sum(axis=0) for side in range(3)])
    assert (counts[:, :7] > 0).all(), "three pictures of a label are enough for three sides"
    assert (counts[[split.TRAIN, split.TEST], 7] > 0).all(), "two are enough for train and test"
    share = counts[:, :5] / labels[:, :5].sum(axis=0)
    assert share[split.TRAIN] == pytest.approx(0.7, abs=0.06)
    assert share[split.VAL] == pytest.approx(0.15, abs=0.06)
    assert np.bincount(sides) / 400 == pytest.approx([0.7, 0.15, 0.15], abs=0.05)


def test_pictures_without_a_label_are_spread_too() -> None:
    labels = np.zeros((100, 3), bool)
    labels[:20, 0] = labels[10:30, 1] = labels[5:25, 2] = True
    sides = iterative.split(labels, digests(100), np.arange(100), free(100), 0.2, 0.2, 1)
    assert np.bincount(sides[30:], minlength=3) / 70 == pytest.approx([0.6, 0.2, 0.2], abs=0.08)


def test_the_folders_sides_are_kept_and_a_later_twin_wins() -> None:
    labels = np.ones((12, 2), bool)
    labels[::2, 0] = False
    known_sides = free(12)
    known_sides[:4], known_sides[4:6] = split.TEST, split.TRAIN
    groups = np.arange(12)
    groups[5] = groups[0]  # a training picture is the twin of a test picture
    sides = iterative.split(labels, digests(12), groups, known_sides, 0.25, 0.25, 0)
    assert (sides[:4] == split.TEST).all()
    assert sides[5] == -1
    assert sides[4] in (split.TRAIN, split.VAL), "test is given, and nothing that says train joins it"


def test_another_seed_is_another_split() -> None:
    labels = np.random.default_rng(0).random((80, 3)) < 0.4
    one, other = (
        iterative.split(labels, digests(80), np.arange(80), free(80), 0.2, 0.2, seed).tolist() for seed in (0, 1)
    )
    assert one != other


def test_fractions_that_leave_nothing_are_refused() -> None:
    with pytest.raises(RecipeError, match="leave pictures for training"):
        iterative.split(np.ones((3, 2), bool), digests(3), np.arange(3), free(3), 0.5, 0.5, 0)


# ---- the folds of a cross-validation


@settings(max_examples=60)
@given(st.integers(8, 60), st.integers(1, 6), st.integers(2, 5), st.integers(0, 1000))
def test_each_picture_is_in_one_fold_with_its_twins_and_no_label_in_one_alone(
    count: int, classes: int, parts: int, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    labels = generator.random((count, classes)) < generator.uniform(0, 0.6, classes)
    groups = generator.integers(0, count, count)
    groups[:parts] = np.arange(parts)
    found = iterative.folds(labels, digests(count), groups, parts, seed)
    assert set(found.tolist()) == set(range(parts))
    assert all(len(set(found[groups == group].tolist())) == 1 for group in np.unique(groups))
    for label in np.flatnonzero(labels.any(axis=0)):
        of_label = labels[:, label]
        if len(np.unique(groups[of_label])) >= 4:  # of fewer, three labels may need three folds where there are two
            assert len(np.unique(found[of_label])) > 1
    order = generator.permutation(count)
    names = digests(count)
    again = iterative.folds(labels[order], [names[each] for each in order], groups[order], parts, seed)
    assert (again == found[order]).all() or len(np.unique(groups)) < count, "twins are ordered by their rows, too"


def test_every_fold_gets_its_share_of_each_label_and_rare_ones_do_not_fill_the_first() -> None:
    generator = np.random.default_rng(3)
    labels = generator.random((400, 4)) < (0.5, 0.3, 0.1, 0.05)
    found = iterative.folds(labels, digests(400), np.arange(400), 5, 0)
    counts = np.array([labels[found == fold].sum(axis=0) for fold in range(5)])
    assert (np.ptp(counts, axis=0) <= 2).all()
    assert np.ptp(np.bincount(found)) <= 12

    rare = np.repeat(np.eye(15, dtype=bool), 2, axis=0)  # two pictures of each of 15 labels, in five folds
    found = iterative.folds(rare, digests(30), np.arange(30), 5, 0)
    assert (found[::2] != found[1::2]).all()
    assert np.bincount(found).tolist() == [6] * 5


def test_more_folds_than_groups_are_refused() -> None:
    with pytest.raises(CatalogError, match=r"folds is 5, and without near-duplicates there are only 3 pictures"):
        iterative.folds(np.ones((3, 1), bool), digests(3), np.arange(3), 5, 0)


def test_a_label_of_one_group_is_indivisible() -> None:
    labels = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0]], bool)
    assert split.indivisible(labels, np.array([0, 0, 1])) == (0,)
