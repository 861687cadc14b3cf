"""The figures of a cross-validation: each picture counts once, and the interval covers the truth."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import NormalDist
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from pellucid.errors import CatalogError
from pellucid.pictures import split as splits
from pellucid.training import evaluate, several
from pellucid.training.folds import SIDE, Fold, FoldPosition, T, interval, interval_of_several, pooled, units
from pellucid.training.recipe import make


def fold(number: int, pictures: int, correct: int, temperature: float = 1.0) -> Fold:
    return Fold(number, 40, 8, pictures, correct, correct / pictures, 0.5, temperature, 3, 1.0)


def test_students_t_is_that_of_scipy() -> None:
    assert len(T) == 19
    np.testing.assert_allclose(T, stats.t.ppf(0.975, np.arange(1, 20)), atol=5e-5)


def test_the_folds_together_are_each_picture_once_in_its_own_place() -> None:
    labels = np.array([0, 1, 0, 1, 1])
    first, second = np.array([4, 0, 2]), np.array([1, 3])
    sure, other = np.array([[0, 4], [3, 0], [0, 1]], np.float32), np.array([[0, 2], [2, 0]], np.float32)
    result = pooled(
        [fold(1, 3, 2, 2.0), fold(2, 2, 1, 0.5)], [first, second], [sure, other], labels, np.arange(5), ("a", "b")
    )
    assert (result.metrics.side, result.metrics.pictures, result.metrics.correct) == (SIDE, 5, 3)
    assert result.metrics.confusion == ((1, 1), (1, 2))
    expected = np.array([[1.5, 0], [0, 4], [0, 0.5], [4, 0], [0, 2]], np.float32)
    np.testing.assert_array_equal(result.logits, expected)
    assert result.metrics.loss == evaluate.cross_entropy(expected, labels, 1.0)
    raw = np.array([[3, 0], [0, 2], [0, 1], [2, 0], [0, 4]], np.float32)
    assert result.metrics.loss_uncalibrated == evaluate.cross_entropy(raw, labels, 1.0)
    assert result.metrics.calibration != result.metrics.calibration_before
    assert result.spread == pytest.approx(abs(2 / 3 - 1 / 2) / math.sqrt(2))
    stated = result.as_json()
    assert (stated["count"], stated["accuracy"], stated["units"]) == (2, 0.6, 5.0)
    assert [each["correct"] for each in stated["each"]] == [2, 1]
    assert "logits" not in stated


def test_of_several_labels_each_picture_is_called_by_the_thresholds_of_its_fold() -> None:
    targets = np.array([[1, 0], [1, 1], [0, 1], [1, 0]], bool)
    logits = [np.array([[0, 0], [2, -2]], np.float32), np.array([[-1, 3], [1, 1]], np.float32)]
    each = [
        replace(fold(1, 2, 2, 2.0), macro_f1=1.0, thresholds=(0.4, 0.6)),
        replace(fold(2, 2, 1, 1.0), macro_f1=0.5, thresholds=(0.5, 0.1)),
    ]
    found = pooled(each, [np.array([0, 3]), np.array([2, 1])], logits, targets, np.arange(4), ("a", "b"))
    assert (found.metrics.correct, found.metrics.several) == (4, True)
    assert found.metrics.macro_f1 == found.metrics.micro_f1 == 1
    assert found.macro_spread == pytest.approx(0.5 / math.sqrt(2))
    assert found.chosen.of(3) == (0.4, 0.6)
    assert found.chosen.of(1) == (0.5, 0.1)
    assert found.metrics.macro_interval == interval_of_several(
        1.0, several.macro_interval(targets, targets, 4), [1, 0.5]
    )
    assert [item.threshold for item in found.metrics.classes] == [None, None]
    strict = pooled(
        [replace(one, thresholds=(0.9, 0.9)) for one in each],
        [np.array([0, 3]), np.array([2, 1])],
        logits,
        targets,
        np.arange(4),
        ("a", "b"),
    )
    assert strict.metrics.correct == 1, "only the last picture but one, 0.95 for b"
    assert "macro_spread" in found.as_json()
    assert [one["thresholds"] for one in found.as_json()["each"]] == [(0.4, 0.6), (0.5, 0.1)]


def test_the_interval_of_several_labels_adds_what_the_folds_differ_by() -> None:
    low, high = interval_of_several(0.6, (0.5, 0.65), [0.6] * 5)
    assert (low, high) == pytest.approx((0.5, 0.65))
    each = [0.5, 0.6, 0.7]
    half = 4.3027 * 0.1 / math.sqrt(3)
    low, high = interval_of_several(0.6, (0.5, 0.65), each)
    assert (low, high) == pytest.approx((0.6 - math.hypot(half, 0.1), 0.6 + math.hypot(half, 0.05)))
    assert interval_of_several(0.6, (0.5, 0.65), [0.1, 1.0]) == (0, 1)


@pytest.mark.parametrize("second", [[1], [1, 3, 3], [1, 2], [1, 5]])
def test_a_picture_twice_or_never_is_refused(second: list[int]) -> None:
    rows = [np.array([4, 0, 2]), np.array(second)]
    logits = [np.zeros((len(some), 2), np.float32) for some in rows]
    with pytest.raises(CatalogError, match="not each of 5 once"):
        pooled([fold(1, 3, 2), fold(2, 2, 1)], rows, logits, np.zeros(5, int), np.arange(5), ("a", "b"))


def test_twins_count_together() -> None:
    assert units(np.arange(7)) == 7
    assert units(np.repeat(np.arange(5), 4)) == 5
    assert 1 < units(np.array([0, 0, 0, 0, 0, 0, 1])) < 2


def test_the_interval_holds_both_others() -> None:
    each = [0.9, 0.9, 0.9, 0.9, 0.9]
    assert interval(0.9, 100, each) == pytest.approx(evaluate.interval(90, 100))  # folds that agree
    low, high = interval(0.9, 1e9, [0.8, 0.9, 1.0])  # any number of pictures, and folds that do not agree
    assert (low, high) == pytest.approx((0.9 - 4.3027 * 0.1 / math.sqrt(3), 1.0))
    assert interval(1.0, 50, [1.0] * 5) == evaluate.interval(50, 50)
    assert interval(0.0, 50, [0.0] * 5) == evaluate.interval(0, 50)


def folded(right: NDArray[np.bool_], number: NDArray[np.int64], count: int) -> Sequence[float]:
    return [float(right[number == each].mean()) for each in range(count)]


@pytest.mark.parametrize(("copies", "least"), [(1, 0.93), (6, 0.90)])
def test_the_interval_covers_the_accuracy_of_the_model_trained_on_all(copies: int, least: float) -> None:
    """Gaussian classes, ridge regression, 5 folds: known truth. `copies` of a fifth of the pictures stay together."""
    random, dimensions, count, runs = np.random.default_rng(3), 15, 120, 400
    centre = np.eye(dimensions)[0] * 1.3
    covered = wilson = 0

    def fit(images: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.linalg.solve(images.T @ images + np.eye(dimensions), images.T @ (2 * labels - 1))

    for _ in range(runs):
        sizes = np.where(random.random(count) < 0.2, copies, 1)
        groups = np.repeat(np.arange(count), sizes)
        labels, folds = np.arange(count) % 2, np.arange(count) // 2 % 5
        images = random.normal(size=(count, dimensions)) + np.outer(2 * labels - 1, centre)
        images, labels, folds = images[groups], labels[groups], folds[groups]
        right = np.empty(len(groups), bool)
        for number in range(5):
            tested = folds == number
            weights = fit(images[~tested], labels[~tested])
            right[tested] = (images[tested] @ weights > 0) == (labels[tested] == 1)
        weights = fit(images, labels)
        truth = NormalDist().cdf(float(weights @ centre / np.linalg.norm(weights)))
        low, high = interval(float(right.mean()), units(groups), folded(right, folds, 5))
        covered += low <= truth <= high
        low, high = evaluate.interval(int(right.sum()), len(right))
        wilson += low <= truth <= high
    assert covered / runs >= least
    assert wilson < covered


@pytest.mark.parametrize("number", range(6))
def test_a_fold_keeps_its_pictures_for_the_test_and_the_rest_is_divided_as_in_the_last_training(number: int) -> None:
    """For a class of three pictures the rest has two or three: one to choose by, as without a test side."""
    labels, groups = np.array([0] * 30 + [1] * 30 + [2] * 3), np.arange(63)
    store = SimpleNamespace(fingerprint="1", digests=[f"{row:064}" for row in range(63)])
    recipe = make(folds=5, validation=0.2)
    sides = FoldPosition(number, 5, Path("out")).sides(store, labels, groups, recipe)  # type: ignore[arg-type]
    tested = splits.folds(labels, store.digests, groups, 5, 0) == number - 1
    np.testing.assert_array_equal(sides == splits.TEST, tested)
    rest = int((~tested).sum())
    assert abs((sides == splits.VAL).sum() - 0.2 * rest) <= 1.5
    assert {splits.TRAIN, splits.VAL} <= set(sides[labels == 2].tolist())
