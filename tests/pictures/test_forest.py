"""Similar hashes through trees, against every pair compared; bounded work is counted, not timed."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.pictures.photographs import photograph

from pellucid.pictures import all_pairs, forest, twins
from pellucid.pictures.hashes import ALIKE, MIRROR, NEAREST, NUMBERS, ONE, Hashes, stored
from pellucid.pictures.twins import DESCRIPTION, describe

PLAIN = np.ones(NUMBERS, np.float32)
SPECTRUM = 1 / np.sqrt(np.arange(NUMBERS) + 1)  # hashes spread unequally along their axes, like those of photographs


@pytest.fixture(scope="module")
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def random_hashes(random: np.random.Generator, count: int) -> NDArray[np.float64]:
    numbers = random.standard_normal((count, NUMBERS)) * SPECTRUM
    numbers[:, 0] = 0
    return numbers / np.linalg.norm(numbers, axis=1, keepdims=True)


def copies(random: np.random.Generator, hashes: NDArray[np.float64], noise: float) -> NDArray[np.float64]:
    changed = hashes + noise * random_hashes(random, len(hashes))
    return changed / np.linalg.norm(changed, axis=1, keepdims=True)


def by_trees(
    hashes: Hashes, keys: Hashes, signs: NDArray[np.float32], once: bool, executor: ThreadPoolExecutor
) -> NDArray[np.int64]:
    trees = [tree for _, tree in forest.plant(hashes, executor)]
    parts = list(forest.near(trees, hashes, keys, signs, once, executor))
    return np.concatenate([part for _, part in parts])


def by_every_pair(
    hashes: Hashes, keys: Hashes, signs: NDArray[np.float32], once: bool, executor: ThreadPoolExecutor
) -> NDArray[np.int64]:
    return np.concatenate([part for _, part in all_pairs.near(hashes, keys, signs, once, executor)])


@settings(max_examples=15)
@given(st.integers(0, 10**6), st.integers(1, 1500), st.booleans(), st.booleans())
def test_copies_are_found_as_by_comparing_every_pair(seed: int, count: int, once: bool, mirrored: bool) -> None:
    random = np.random.default_rng(seed)
    originals = random_hashes(random, count)
    some = originals[random.choice(count, -(-count // 3), replace=False)]
    signs = MIRROR if mirrored else PLAIN
    hashes = stored(np.concatenate([originals, copies(random, some, 0.12) * signs]))
    with ThreadPoolExecutor(2) as executor:
        expected = by_every_pair(hashes, hashes, signs, once, executor)
        assert len(expected) >= len(some)
        np.testing.assert_array_equal(by_trees(hashes, hashes, signs, once, executor), expected)


def test_at_the_limit_of_likeness_less_than_one_pair_in_a_hundred_is_missed(executor: ThreadPoolExecutor) -> None:
    random = np.random.default_rng(1)
    originals = random_hashes(random, 20_000)
    keys = copies(random, originals, 0.41)  # 0.92 to 0.93, when they are not below it
    likeness = (originals * keys).sum(axis=1)
    assert ((likeness > ALIKE) & (likeness < 0.94)).sum() > 5_000
    shifted = np.roll(stored(keys), 1, axis=0)  # never i with itself, so the copy of i is at i + 1
    pairs = by_trees(stored(originals), shifted, PLAIN, False, executor)
    hits = np.zeros(20_000, bool)
    hits[pairs[(pairs[:, 0] + 1) % 20_000 == pairs[:, 1]][:, 0]] = True
    at_limit = (likeness > ALIKE + 1e-4) & (likeness < 0.94)
    assert hits[at_limit].mean() > 0.99
    assert not hits[likeness < ALIKE - 1e-4].any()


def test_a_leaf_keeps_the_nearest_of_a_crowd_best_first(executor: ThreadPoolExecutor) -> None:
    crowd = 1 + 0.2 * np.random.default_rng(0).standard_normal((forest.LEAF, NUMBERS))
    hashes = stored(crowd / np.linalg.norm(crowd, axis=1, keepdims=True))
    for once in (False, True):
        expected = by_every_pair(hashes, hashes, PLAIN, once, executor)
        assert len(expected) > 1_000
        likeness = (hashes / ONE) @ (hashes / ONE).T
        near = by_trees(hashes, hashes, PLAIN, once, executor)
        # the two sum the products in different orders, so equally good ones may change places
        np.testing.assert_allclose(likeness[tuple(near.T)], likeness[tuple(expected.T)], atol=1e-6)
        assert len(np.unique(near, axis=0)) == len(near) == len(expected)


def test_the_order_of_the_pictures_and_the_number_of_threads_do_not_matter(executor: ThreadPoolExecutor) -> None:
    random = np.random.default_rng(2)
    originals = random_hashes(random, 3_000)
    hashes = stored(np.concatenate([originals, copies(random, originals[:1_000], 0.3)]))
    near = by_trees(hashes, hashes, PLAIN, True, executor)
    with ThreadPoolExecutor(1) as alone:
        np.testing.assert_array_equal(by_trees(hashes, hashes, PLAIN, True, alone), near)
    order = random.permutation(len(hashes))
    again = order[by_trees(hashes[order], hashes[order], PLAIN, True, executor)]
    np.testing.assert_array_equal(np.unique(np.sort(again, axis=1), axis=0), np.unique(near, axis=0))


def test_some_of_the_hashes_and_other_keys(executor: ThreadPoolExecutor) -> None:
    random = np.random.default_rng(3)
    hashes = stored(random_hashes(random, 2_000))
    rows = np.sort(random.choice(2_000, 500, replace=False))
    keys = np.roll(stored(copies(random, hashes[rows] / float(ONE), 0.1)), 7, axis=0)
    trees = [tree.of(rows) for _, tree in forest.plant(hashes, executor)]
    *_, (share, near) = forest.near(trees, hashes[rows], keys, PLAIN, False, executor)
    assert share == 1
    assert near.tolist() == [[i, (i + 7) % 500] for i in range(500)]


@pytest.mark.parametrize("kind", ["the same", "nearly the same", "two kinds", "zeros"])
def test_whatever_the_hashes_each_is_compared_with_few_others(kind: str, executor: ThreadPoolExecutor) -> None:
    random, count = np.random.default_rng(4), 5_000
    alike = np.repeat(random_hashes(random, 1), count, axis=0)
    hashes = stored(
        {
            "the same": alike,
            "nearly the same": copies(random, alike, 0.05),
            "two kinds": alike * random.choice([-1, 1], (count, 1)),
            "zeros": np.zeros((count, NUMBERS)),
        }[kind]
    )
    comparisons = 0
    for _, tree in forest.plant(hashes, executor):
        sizes = np.bincount(tree.leaf, minlength=len(tree.medians) + 2)[: len(tree.medians) + 1]
        assert sizes.max() <= forest.LEAF
        comparisons += (sizes**2).sum()
    _, trees = forest.trees_for(count)
    assert comparisons <= trees * forest.LEAF * count
    near = by_trees(hashes, hashes, PLAIN, True, executor)
    assert len(near) <= NEAREST * count
    assert (np.bincount(near[:, 0], minlength=count) <= NEAREST).all()
    if kind == "zeros":
        assert len(near) == 0
    elif kind != "two kinds":
        assert len(np.unique(near)) > 0.99 * count


def test_no_hashes_and_one(executor: ThreadPoolExecutor) -> None:
    for count in (0, 1):
        hashes = stored(random_hashes(np.random.default_rng(5), count))
        assert by_trees(hashes, hashes, PLAIN, True, executor).shape == (0, 2)


def test_there_are_few_trees_however_many_hashes() -> None:
    numbers = [forest.trees_for(count) for count in (0, 1, 128, 129, 100_000, 10**6, 10**9)]
    assert numbers == [(0, 1), (0, 1), (0, 1), (1, 3), (10, 19), (13, 29), (23, 122)]
    for levels, trees in numbers:
        assert (1 - forest.SAME_SIDE**levels) ** trees <= forest.LOST


def test_the_search_among_many_is_the_search_of_every_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    originals = np.stack([describe(np.asarray(photograph(seed))) for seed in range(150)])
    random = np.random.default_rng(6)
    one, other = random.integers(0, 150, (2, 1500))
    share = random.uniform(0.3, 0.7, (1500, 1))
    blends = originals[one] * share + originals[other] * (1 - share)
    noisy = blends[:300] + random.uniform(-2, 2, (300, DESCRIPTION))
    flat = np.full((20, DESCRIPTION), 128) + random.integers(0, 2, (20, 1))
    mirrored = blends[300:400].copy()
    for begin, side in ((0, 32), (1024, 8), (1088, 8)):
        part = mirrored[:, begin : begin + side * side].reshape(-1, side, side)
        mirrored[:, begin : begin + side * side] = part[:, :, ::-1].reshape(-1, side * side)
    every = np.clip(np.rint(np.concatenate([blends, noisy, flat, mirrored, blends[:5]])), 0, 255).astype(np.uint8)
    expected = twins.pairs(every)
    assert len(expected) > 400
    monkeypatch.setattr(twins, "ALL_PAIRS", 0)
    np.testing.assert_array_equal(twins.pairs(every), expected)
    steps = list(twins.search(every))
    assert steps == sorted(steps)
    assert steps[-1][0] == steps[-1][1] == 10 * len(every)
    assert len(steps) > 40
    stopped = twins.search(every)
    for _ in range(len(steps) // 2):
        next(stopped)
    stopped.close()
