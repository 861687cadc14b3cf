import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pellucid.errors import CatalogError, RecipeError
from pellucid.pictures import twins
from pellucid.pictures.split import (
    SIDES,
    Swallowed,
    folds,
    indivisible,
    lacking,
    overruled,
    split,
    swallowed,
    together,
)

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
    known_sides = np.array(given_sides[: len(labels)], dtype=np.int8)
    sides = split(labels, digests(len(labels)), groups, known_sides, validation, test, seed)
    for group in np.unique(groups):
        assert len(set(sides[groups == group].tolist()) - {-1}) == 1
    assert (sides[known_sides == TEST] == TEST).all()


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
    known_sides = np.repeat([0, 1, 2], [6, 2, 2]).astype(np.int8)
    sides = split(np.zeros(10, int), digests(10), np.arange(10), known_sides, 0.15, 0.15, 0)
    np.testing.assert_array_equal(sides, known_sides)


def test_validation_is_carved_from_train_where_folders_give_train_and_test() -> None:
    known_sides = np.repeat([0, 2], [100, 20]).astype(np.int8)
    sides = split(np.zeros(120, int), digests(120), np.arange(120), known_sides, 0.15, 0.3, 0)
    assert (sides[100:] == TEST).all()
    assert counts(sides[:100]) == [85, 15, 0]


def test_twins_on_two_given_sides_stay_on_the_later_one() -> None:
    known_sides = np.array([0, 2, 0, 1, 1, 2, -1, 1, 0, 0], dtype=np.int8)
    groups = np.array([0, 0, 1, 1, 2, 2, 3, 3, 4, 5])
    sides = split(np.zeros(10, int), digests(10), groups, known_sides, 0, 0, 0)
    assert sides.tolist() == [-1, TEST, -1, VAL, -1, TEST, -1, VAL, TRAIN, TRAIN]


@pytest.mark.parametrize(("validation", "test"), [(0.5, 0.5), (-0.1, 0.2), (0.2, 1.0), (float("nan"), 0.1)])
def test_fractions_that_leave_no_train_are_refused_with_their_values(validation: float, test: float) -> None:
    with pytest.raises(RecipeError, match=rf"validation is {validation} and test is {test}"):
        alone(np.zeros(4, int), validation, test)


def test_nothing_to_split() -> None:
    assert alone(np.zeros(0, int)).shape == (0,)
    assert SIDES == ("train", "val", "test")


def on(sides: NDArray[np.int8], labels: NDArray[np.int64], label: int) -> set[int]:
    return set(sides[labels == label].tolist())


@settings(max_examples=300)
@given(data_sets())
def test_each_class_is_spread_as_far_as_its_groups_go(
    data: tuple[NDArray[np.int64], NDArray[np.int64], float, float, int],
) -> None:
    labels, groups, validation, test, seed = data
    groups = groups * 4 + labels  # of one class each
    sides = split(labels, digests(len(labels)), groups, free(len(labels)), validation, test, seed)
    requested = [TRAIN, *([TEST] if test > 0 else []), *([VAL] if validation > 0 else [])]
    for label in np.unique(labels):
        alike = len(np.unique(groups[labels == label]))
        assert on(sides, labels, label) >= set(requested[:alike])
        if alike == 1:
            assert on(sides, labels, label) == {TRAIN}


@given(data_sets(), st.lists(st.sampled_from([-1, 0]), min_size=60, max_size=60))
def test_no_class_is_without_training_pictures_that_could_have_some(
    data: tuple[NDArray[np.int64], NDArray[np.int64], float, float, int], given_sides: list[int]
) -> None:
    labels, groups, validation, test, seed = data  # groups of several classes, too
    known_sides = np.array(given_sides[: len(labels)], dtype=np.int8)
    sides = split(labels, digests(len(labels)), groups, known_sides, validation, test, seed)
    alone = [label for label in np.unique(labels) if len(np.unique(groups[labels == label])) == 1]
    assert all(TRAIN in on(sides, labels, label) for label in alone)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("sizes", "spread"), [((40,), [40]), ((38, 2), [38, 2]), ((37, 2, 1), [37, 2, 1])])
def test_the_largest_group_of_a_class_trains(sizes: tuple[int, ...], spread: list[int], seed: int) -> None:
    groups = np.repeat(np.arange(len(sizes)), sizes)
    count = len(groups)
    sides = split(np.zeros(count, int), digests(count), groups, free(count), 0.15, 0.15, seed)
    assert counts(sides)[TRAIN] == spread[0]
    assert sorted(filter(None, counts(sides)), reverse=True) == spread
    assert (len(sizes) > 1) == (TEST in sides)


def test_of_two_groups_one_trains_and_one_tests_or_validates_where_there_is_no_test() -> None:
    for seed in range(8):
        assert counts(alone(np.zeros(2, int), seed=seed)) == [1, 0, 1]
        assert counts(alone(np.zeros(2, int), 0.3, 0, seed)) == [1, 1, 0]


def test_a_class_that_only_shares_groups_with_a_larger_one_is_spread_as_well() -> None:
    labels = np.array([0, 0, 1] * 3 + [0] * 20)
    groups = np.concatenate([np.repeat(np.arange(3), 3), np.arange(3, 23)])
    for seed in range(8):
        sides = split(labels, digests(29), groups, free(29), 0.15, 0.15, seed)
        assert on(sides, labels, 0) == on(sides, labels, 1) == {TRAIN, VAL, TEST}


def test_a_class_within_one_group_of_another_class_trains() -> None:
    labels = np.array([0, 0, 0, 1] + [0] * 3)
    groups = np.array([0, 0, 0, 0, 1, 2, 3])
    for seed in range(20):
        sides = split(labels, digests(7), groups, free(7), 0.4, 0.4, seed)
        assert on(sides, labels, 1) == {TRAIN}
        assert on(sides, labels, 0) == {TRAIN, VAL, TEST}


def test_a_class_of_two_in_a_train_folder_is_carved_for_validation_only_where_test_has_it() -> None:
    labels = np.array([0] * 20 + [1, 1] + [0, 1, 0])
    known_sides = np.array([TRAIN] * 22 + [TEST] * 3, np.int8)
    sides = split(labels, digests(25), np.arange(25), known_sides, 0.15, 0.15, 0)
    assert sorted(sides[20:22].tolist()) == [TRAIN, VAL]  # three groups with the one in test
    known_sides[23] = labels[23] = 0
    labels = np.array([0] * 20 + [1, 1])
    sides = split(labels, digests(22), np.arange(22), known_sides[:22], 0.15, 0.15, 0)
    assert on(sides, labels, 1) == {TRAIN, TEST}


def test_the_classes_that_a_side_lacks() -> None:
    labels, sides = np.array([0, 0, 0, 1, 1, 2]), np.array([TRAIN, VAL, TEST, TRAIN, VAL, TRAIN], np.int8)
    assert lacking(labels, sides, 3) == {"val": (2,), "test": (1, 2)}
    assert lacking(labels, np.where(sides == TEST, -1, sides), 3) == {"val": (2,)}  # no side, no lack


def test_a_class_that_a_group_of_twins_swallows() -> None:
    labels = np.repeat([0, 1, 2, 3], [4, 4, 3, 1])
    groups = np.array([0, 0, 0, 1, 2, 2, 3, 4, 0, 5, 6, 7])
    assert swallowed(labels, groups) == (Swallowed(0, 3, 4),)
    assert swallowed(labels, np.where(labels == 2, 0, groups)) == (Swallowed(0, 3, 4), Swallowed(2, 3, 3))


# ---- the folds of a cross-validation


@st.composite
def crossed(draw: st.DrawFn) -> tuple[NDArray[np.int64], NDArray[np.int64], int, int]:
    """labels, groups of one class each, number of folds, a seed."""
    count = draw(st.integers(2, 6))
    sizes = [draw(st.lists(st.integers(1, 5), min_size=2, max_size=12)) for _ in range(draw(st.integers(1, 4)))]
    labels = np.repeat(np.arange(len(sizes)), [sum(some) for some in sizes])
    count = min(count, sum(map(len, sizes)))
    groups = np.repeat(np.arange(sum(map(len, sizes))), [size for some in sizes for size in some])
    order = np.random.default_rng(draw(st.integers(0, 99))).permutation(len(labels))
    return labels[order], groups[order], count, draw(st.integers(0, 2**32))


@given(crossed())
def test_each_picture_is_in_one_fold_with_its_twins_and_each_class_in_its_share(
    data: tuple[NDArray[np.int64], NDArray[np.int64], int, int],
) -> None:
    labels, groups, count, seed = data
    result = folds(labels, digests(len(labels)), groups, count, seed)
    assert result.shape == labels.shape
    assert set(result.tolist()) == set(range(count))
    for group in np.unique(groups):
        assert len(set(result[groups == group].tolist())) == 1
    for label in np.unique(labels):
        largest = np.unique(groups[labels == label], return_counts=True)[1].max()
        shares = np.bincount(result[labels == label], minlength=count)
        moved = len(np.unique(groups)) < 2 * count  # into a fold that would be empty
        assert np.abs(shares - shares.sum() / count).max() <= largest * (2 if moved else 1)
        assert (shares > 0).sum() >= 2


@given(st.integers(0, 1000), st.permutations(range(40)))
def test_the_order_of_the_files_does_not_matter(seed: int, order: list[int]) -> None:
    labels, names, groups = np.arange(40) % 3, digests(40), np.arange(40) // 2 % 17
    result = folds(labels, names, groups, 5, seed)
    again = folds(labels[order], [names[each] for each in order], groups[order], 5, seed)
    np.testing.assert_array_equal(result[order], again)


@settings(max_examples=20)
@given(st.integers(0, 1000))
def test_ten_percent_more_files_change_the_fold_of_few_others(seed: int) -> None:
    before = folds(np.arange(2000) % 2, digests(2000), np.arange(2000), 5, seed)
    after = folds(np.arange(2200) % 2, digests(2200), np.arange(2200), 5, seed)[:2000]
    assert (before != after).mean() < 0.035
    assert set(((after - before) % 5).tolist()) <= {0, 1, 4}  # to a neighbour


def test_one_more_file_moves_a_few_next_to_the_cuts() -> None:
    for seed in range(20):
        before = folds(np.arange(300) % 3, digests(300), np.arange(300), 5, seed)
        after = folds(np.arange(301) % 3, digests(301), np.arange(301), 5, seed)[:300]
        assert (before != after).sum() <= 4  # a cut each, of one class


def test_small_classes_do_not_fill_the_same_folds() -> None:
    labels = np.repeat(np.arange(10), 3)
    sizes = np.bincount(folds(labels, digests(30), np.arange(30), 5, 0), minlength=5)
    assert sizes.tolist() == [6, 6, 6, 6, 6]


def test_a_class_that_shares_its_groups_stands_in_two_folds() -> None:
    # class 1 only has members in groups of class 0
    labels = np.concatenate([np.zeros(36, int), [0, 0, 1], [0, 0, 1]])
    groups = np.concatenate([np.arange(36), [36] * 3, [37] * 3])
    for seed in range(30):
        result = folds(labels, digests(42), groups, 2, seed)
        assert set(result[labels == 1].tolist()) == {0, 1}
        assert set(result[labels == 0].tolist()) == {0, 1}


def test_more_folds_than_groups_are_refused_with_what_would_do() -> None:
    with pytest.raises(CatalogError, match=r"folds is 5, but without near-duplicates there are only 3 pictures"):
        folds(np.zeros(3, int), digests(3), np.arange(3), 5, 0)


def test_the_classes_of_one_group() -> None:
    assert indivisible(np.array([0, 0, 1, 1, 2]), np.array([0, 0, 1, 2, 3])) == (0, 2)


@st.composite
def ties(draw: st.DrawFn) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Groups of pictures, and pairs of twins."""
    n = draw(st.integers(1, 40))
    groups = np.array(draw(st.lists(st.integers(-1, n), min_size=n, max_size=n)), np.int32)
    pairs = draw(st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), max_size=30))
    return groups, np.array(pairs, np.int64).reshape(-1, 2)


@given(ties())
def test_twins_and_groups_are_joined_through_each_other(data: tuple[NDArray[np.int32], NDArray[np.int64]]) -> None:
    groups, pairs = data
    chains = [[a, b] for a in range(len(groups)) for b in range(a) if groups[a] == groups[b] >= 0]
    every = np.concatenate([pairs, np.array(chains, np.int64).reshape(-1, 2)])
    smallest = list(range(len(groups)))
    for _ in groups:  # as many rounds as the longest chain could need
        for a, b in every:
            smallest[a] = smallest[b] = min(smallest[a], smallest[b])
    assert together(groups, pairs).tolist() == smallest
    assert twins.groups(len(groups), every).tolist() == smallest


def test_a_long_chain_is_one() -> None:
    order = np.random.default_rng(0).permutation(5000)
    pairs = np.stack([order[:-1], order[1:]], axis=1)
    assert (together(np.full(5000, -1), pairs) == 0).all()


def test_a_group_on_two_given_sides_stays_on_the_later_one() -> None:
    groups, known_sides = np.array([0, 0, 0, 1, 1, -1]), np.array([0, 2, -1, 0, 0, 1])
    tied = together(groups, np.zeros((0, 2), np.int64))
    assert split(np.array([0, 1, 0, 0, 1, 1]), digests(6), tied, known_sides, 0.0, 0.0, 0).tolist() == [
        -1,
        2,
        -1,
        0,
        0,
        1,
    ]
    assert overruled(groups, known_sides).tolist() == [True, False, True, False, False, False]


def test_a_split_of_earlier_versions_is_the_same() -> None:
    """A model's test pictures are those of its seed: another order would move pictures between the sides."""
    count = np.arange(40)
    known = np.where(count % 9 == 0, count % 3, -1)
    sides = split(count * 7 % 3, digests(40), count * 5 % 23, known, 0.2, 0.2, 1)
    assert "".join(map(str, sides.tolist())) == "0210000221001200010001002100002210012000"
    hexadecimal = [digest.hex() for digest in digests(40)]
    sides = split(count * 7 % 3, hexadecimal, count, free(40), 0.15, 0.15, 7)
    assert "".join(map(str, sides.tolist())) == "2120000010001000000100000012220000001200"


def test_no_pictures_have_no_sides() -> None:
    none = np.zeros(0, np.int64)
    assert split(none, [], none, none, 0.1, 0.1, 0).tolist() == []
