"""Two models on the same pictures: the interval of the difference, and the probability of chance."""

import numpy as np
import pytest

from pellucid.debugging.paired import Paired, paired


def test_the_counts_come_from_who_is_right() -> None:
    first = np.array([True, True, False, False, True])
    second = np.array([True, False, True, False, True])
    counts = paired(first, second)
    assert counts == Paired(both=2, only_first=1, only_second=1, neither=1)
    assert (counts.pictures, counts.first, counts.second, counts.difference) == (5, 0.6, 0.6, 0.0)


@pytest.mark.parametrize(
    ("only_first", "only_second", "chance"),
    [(0, 0, 1.0), (1, 0, 1.0), (5, 0, 2 / 32), (1, 9, 2 * 11 / 1024), (4, 4, 1.0)],
)
def test_mcnemars_exact_test_throws_a_coin_for_each_picture_that_only_one_gets_right(
    only_first: int, only_second: int, chance: float
) -> None:
    assert Paired(50, only_first, only_second, 10).chance == pytest.approx(chance)
    assert Paired(0, only_first, only_second, 7).chance == pytest.approx(chance), "the others say nothing"


def test_the_interval_without_correlation_is_that_of_independent_proportions() -> None:
    """With nobody's error in common (phi is 0), the squared distances of both Wilson intervals add up."""
    counts = Paired(both=10, only_first=0, only_second=5, neither=0)
    low, high = counts.difference_interval
    (second_low, second_high), (first_low, first_high) = counts.second_interval, counts.first_interval
    assert low == pytest.approx(counts.difference - np.hypot(counts.second - second_low, first_high - counts.first))
    assert high == pytest.approx(counts.difference + np.hypot(second_high - counts.second, counts.first - first_low))


def test_the_interval_turns_with_the_models() -> None:
    low, high = Paired(70, 12, 5, 13).difference_interval
    other_low, other_high = Paired(70, 5, 12, 13).difference_interval
    assert (low, high) == (pytest.approx(-other_high), pytest.approx(-other_low))


@pytest.mark.parametrize("shares", [(0.85, 0.05, 0.02, 0.08), (0.5, 0.1, 0.2, 0.2), (0.93, 0.03, 0.03, 0.01)])
def test_the_interval_holds_the_true_difference_in_about_95_of_100_samples(shares: tuple[float, ...]) -> None:
    samples = np.random.default_rng(1).multinomial(100, shares, 2000).tolist()
    true = shares[2] - shares[1]
    ends = [Paired(*counts).difference_interval for counts in samples]
    assert 0.94 <= np.mean([low <= true <= high for low, high in ends]) <= 0.99
