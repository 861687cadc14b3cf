import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pellucid.errors import RecipeError
from pellucid.pictures.split import SIDES, split

TRAIN, VAL, TEST = 0, 1, 2


def digests(count: int, start: int = 0) -> list[bytes]:
    return [hashlib.sha256(str(i).encode()).digest() for i in range(start, start + count)]


def free(count: int) -> NDArray[np.int8]:
    return np.full(count, -1, dtype=np.int8)


def alone(labels: NDArray[np.int64], validation: float = 0.15, test: float = 0.15, seed: int = 0) -> NDArray[np.int8]:
    """The split of pictures without twins and without given sides."""
    n = len(labels)
    return split(labels, digests(n), np.arange(n), free(n), validation, test, seed)


def counts(sides: NDArray[np.int8]) -> list[int]:
    return [int((sides == side).sum()) for side in range(3)]


@st.composite
def data_sets(draw: st.DrawFn) -> tuple[NDArray[np.int64], NDArray[np.int64], float, float, int]:
    n = draw(st.integers(1, 60))
    labels = np.array(draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)))
    groups = np.array(draw(st.lists(st.integers(0, n), min_size=n, max_size=n)))
    validation = draw(st.floats(0, 0.6))
    test = draw(st.floats(0, 0.39))
    return labels, groups, validation, test, draw(st.integers(0, 2**32))


@given(data_sets())
def test_twins_never_straddle(data: tuple[NDArray[np.int64], NDArray[np.int64], float, float, int]) -> None:
    labels, groups, validation, test, seed = data
    sides = split(labels, digests(len(labels)), groups, free(len(labels)), validation, test, seed)
    assert set(sides.tolist()) <= {TRAIN, VAL, TEST}
    for group in np.unique(groups):
        assert len(set(sides[groups == group].tolist())) == 1
    assert validation > 0 or VAL not in sides
    assert test > 0 or TEST not in sides


@given(data_sets(), st.lists(st.integers(-1, 2), min_size=60, max_size=60))
def test_twins_on_given_sides_never_straddle_and_given_test_stays(
    data: tuple[NDArray[np.int64], NDArray[np.int64], float, float, int], given_sides: list[int]
) -> None:
    labels, groups, validation, test, seed = data
    told = np.array(given_sides[: len(labels)], dtype=np.int8)
    sides = split(labels, digests(len(labels)), groups, told, validation, test, seed)
    for group in np.unique(groups):
        assert len(set(sides[groups == group].tolist()) - {-1}) == 1
    assert (sides[told == TEST] == TEST).all()


@given(data_sets())
def test_the_order_of_the_pictures_does_not_matter(
    data: tuple[NDArray[np.int64], NDArray[np.int64], float, float, int],
) -> None:
    labels, groups, validation, test, seed = data
    n = len(labels)
    content = digests(n)
    order = np.random.default_rng(seed).permutation(n)
    first = split(labels, content, groups, free(n), validation, test, seed)
    second = split(labels[order], [content[i] for i in order], groups[order], free(n), validation, test, seed)
    np.testing.assert_array_equal(first[order], second)


def test_exact_counts_in_every_class() -> None:
    labels = np.repeat([0, 1, 2], [100, 40, 20])
    sides = alone(labels)
    assert counts(sides[labels == 0]) == [70, 15, 15]
    assert counts(sides[labels == 1]) == [28, 6, 6]
    assert counts(sides[labels == 2]) == [14, 3, 3]


def test_the_articles_split_has_no_test_side() -> None:
    assert counts(alone(np.zeros(10, int), validation=0.3, test=0)) == [7, 3, 0]


@pytest.mark.parametrize(("count", "expected"), [(1, [1, 0, 0]), (3, [1, 1, 1]), (4, [2, 1, 1])])
def test_small_classes_keep_one_in_train_then_one_on_every_side(count: int, expected: list[int]) -> None:
    assert counts(alone(np.zeros(count, int))) == expected


def test_two_pictures_keep_one_in_train() -> None:
    for fraction in (0.01, 0.45):
        assert counts(alone(np.zeros(2, int), fraction, fraction))[TRAIN] >= 1


def test_a_group_counts_with_all_its_members() -> None:
    groups = np.concatenate([np.repeat(np.arange(20), 5), 100 + np.arange(100)])  # 20 groups of 5, 100 single
    sides = split(np.zeros(200, int), digests(200), groups, free(200), 0.2, 0.2, 3)
    assert abs(counts(sides)[VAL] - 40) <= 5
    assert abs(counts(sides)[TEST] - 40) <= 5


def test_a_group_of_two_classes_belongs_to_the_larger_share_then_to_the_smaller_label() -> None:
    # Class 1 has only its share of this group besides two pictures of its own; were the group its own, it would have
    # three groups and one on every side.
    labels = np.array([0, 0, 1, 1, 1])
    sides = split(labels, digests(5), np.array([0, 1, 1, 2, 3]), free(5), 0.4, 0.4, 0)
    assert sides[1] == sides[2]
    assert TRAIN in sides[3:]
    assert counts(sides[:3])[TRAIN] >= 1  # the two groups of class 0


def test_the_seed_decides() -> None:
    labels = np.zeros(200, int)
    np.testing.assert_array_equal(alone(labels, seed=1), alone(labels, seed=1))
    assert (alone(labels, seed=1) != alone(labels, seed=2)).mean() > 0.2


@settings(max_examples=20)
@given(st.integers(0, 1000))
def test_ten_percent_more_files_move_under_two_percent_of_the_others(seed: int) -> None:
    before = alone(np.arange(2000) % 2, seed=seed)
    after = alone(np.arange(2200) % 2, seed=seed)[:2000]
    assert (before != after).mean() < 0.025
    assert not ((before == TEST) & (after == TRAIN)).any()
    assert not ((before == TRAIN) & (after == TEST)).any()


def test_given_sides_are_kept() -> None:
    told = np.repeat([0, 1, 2], [6, 2, 2]).astype(np.int8)
    sides = split(np.zeros(10, int), digests(10), np.arange(10), told, 0.15, 0.15, 0)
    np.testing.assert_array_equal(sides, told)


def test_validation_is_carved_from_train_where_folders_give_train_and_test() -> None:
    told = np.repeat([0, 2], [100, 20]).astype(np.int8)
    sides = split(np.zeros(120, int), digests(120), np.arange(120), told, 0.15, 0.3, 0)
    assert (sides[100:] == TEST).all()
    assert counts(sides[:100]) == [85, 15, 0]


def test_twins_on_two_given_sides_stay_on_the_later_one() -> None:
    told = np.array([0, 2, 0, 1, 1, 2, -1, 1, 0, 0], dtype=np.int8)
    groups = np.array([0, 0, 1, 1, 2, 2, 3, 3, 4, 5])
    sides = split(np.zeros(10, int), digests(10), groups, told, 0, 0, 0)
    assert sides.tolist() == [-1, TEST, -1, VAL, -1, TEST, -1, VAL, TRAIN, TRAIN]


@pytest.mark.parametrize(("validation", "test"), [(0.5, 0.5), (-0.1, 0.2), (0.2, 1.0), (float("nan"), 0.1)])
def test_fractions_that_leave_no_train_are_refused_with_their_values(validation: float, test: float) -> None:
    with pytest.raises(RecipeError, match=rf"validation {validation} and test {test}"):
        alone(np.zeros(4, int), validation, test)


def test_nothing_to_split() -> None:
    assert alone(np.zeros(0, int)).shape == (0,)
    assert SIDES == ("train", "val", "test")
