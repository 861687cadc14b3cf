"""Figures worked out by hand, or published."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.errors import CatalogError
from pellucid.training import evaluate, targets

CLASSES = ("cat", "dog", "owl")
# predicted 0, 0, 1, 1, 1, 0; the truth is 0, 0, 0, 1, 1, 1; nothing is an owl
LOGITS = np.log(
    np.array([[8, 1, 1], [5, 4, 1], [3, 6, 1], [2, 7, 1], [1, 8, 1], [90, 5, 5]], np.float32), dtype=np.float32
)
LABELS = np.array([0, 0, 0, 1, 1, 1])


@pytest.mark.parametrize(
    ("correct", "total", "low", "high"),
    [  # Wilson's score interval without continuity correction, as statistical tables give it
        (8, 10, 0.4902, 0.9433),
        (5, 10, 0.2366, 0.7634),
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (1, 1, 0.2065, 1.0),
        (81, 263, 0.2553, 0.3662),  # Newcombe 1998, table I
    ],
)
def test_interval(correct: int, total: int, low: float, high: float) -> None:
    assert evaluate.interval(correct, total) == pytest.approx((low, high), abs=5e-5)


@given(total=st.integers(1, 10_000), data=st.data())
def test_an_interval_holds_the_share_and_stays_between_0_and_1(total: int, data: st.DataObject) -> None:
    correct = data.draw(st.integers(0, total))
    low, high = evaluate.interval(correct, total)
    assert 0 <= low <= correct / total <= high <= 1


def test_balanced_accuracy_is_the_mean_of_the_recalls() -> None:
    value, (low, high) = evaluate.balanced_accuracy([90, 5], [100, 10])
    assert value == pytest.approx((0.9 + 0.5) / 2)
    (first_low, first_high), (second_low, second_high) = evaluate.interval(90, 100), evaluate.interval(5, 10)
    assert low == pytest.approx(0.7 - math.hypot(0.9 - first_low, 0.5 - second_low) / 2)
    assert high == pytest.approx(0.7 + math.hypot(first_high - 0.9, second_high - 0.5) / 2)
    # for one class it is the interval of its recall; a class without pictures does not count
    alone = evaluate.balanced_accuracy([81, 0], [263, 0])
    assert alone == (81 / 263, pytest.approx(evaluate.interval(81, 263)))


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 50)), min_size=1, max_size=9))
def test_a_balanced_interval_holds_the_mean_and_stays_between_0_and_1(classes: list[tuple[int, int]]) -> None:
    value, (low, high) = evaluate.balanced_accuracy([min(n, k) for n, k in classes], [k for _, k in classes])
    assert 0 <= low <= value + 1e-12
    assert value <= high + 1e-12 <= 1 + 1e-12


def test_a_balanced_interval_holds_the_truth_19_times_in_20() -> None:
    generator, truth, pictures = np.random.default_rng(0), np.array([0.95, 0.7, 0.85]), np.array([200, 30, 60])
    inside = 0
    for hits in generator.binomial(pictures, truth, (2000, 3)).tolist():
        low, high = evaluate.balanced_accuracy(hits, pictures.tolist())[1]
        inside += low <= truth.mean() <= high
    assert 0.935 < inside / 2000 < 0.975


def test_confusion_precision_and_recall_by_hand() -> None:
    metrics = evaluate.measure("test", LOGITS, LABELS, CLASSES, temperature=1.0)
    assert (metrics.pictures, metrics.correct, metrics.accuracy) == (6, 4, 4 / 6)
    assert metrics.confusion == ((2, 1, 0), (1, 2, 0), (0, 0, 0))
    cat, dog, owl = metrics.classes
    assert (cat.name, cat.pictures) == ("cat", 3)
    assert (cat.precision, cat.recall, cat.f1) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    assert (dog.precision, dog.recall, dog.f1) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    assert (owl.pictures, owl.precision, owl.recall, owl.f1) == (0, None, None, None)
    assert metrics.loss == pytest.approx(-np.log([0.8, 0.5, 0.3, 0.7, 0.8, 0.05]).mean(), abs=1e-6)
    assert metrics.loss == metrics.loss_uncalibrated
    assert json.loads(json.dumps(metrics.as_json(), allow_nan=False))["interval"] == list(metrics.interval)


def test_precision_and_recall_differ_where_they_should() -> None:
    called = np.eye(2, dtype=np.float32)[[0, 0, 0, 1]]
    first, second = evaluate.measure("x", called, np.array([0, 1, 1, 1]), ("a", "b"), 1.0).classes
    assert (first.precision, first.recall) == (1 / 3, 1.0)
    assert (second.precision, second.recall) == (1.0, 1 / 3)
    assert first.f1 == second.f1 == 0.5


def test_temperature_enters_the_calibrated_figures_only() -> None:
    metrics = evaluate.measure("test", LOGITS, LABELS, CLASSES, temperature=2.0)
    plain = evaluate.measure("test", LOGITS, LABELS, CLASSES, temperature=1.0)
    root = np.sqrt(np.exp(LOGITS.astype(float)))  # softmax(log(p) / 2)
    halved = root / root.sum(axis=1, keepdims=True)
    assert metrics.loss == pytest.approx(-np.log(halved[np.arange(6), LABELS]).mean(), abs=1e-6)
    assert metrics.loss_uncalibrated == plain.loss
    assert metrics.calibration_before == plain.calibration
    assert metrics.calibration != plain.calibration
    assert metrics.confusion == plain.confusion


def test_calibration_error_of_four_pictures_by_hand() -> None:
    p = np.array([[0.55, 0.45], [0.45, 0.55], [0.95, 0.05], [0.0, 1.0]])
    result = evaluate.calibration(p, np.array([0, 0, 0, 1]))
    # 0.5 to 0.6: two pictures, 0.55 believed, 0.5 right; 0.9 to 1: two, 0.975 believed, both right
    assert result.error == pytest.approx(2 / 4 * 0.05 + 2 / 4 * 0.025)
    filled = {item.low: item for item in result.bins if item.pictures}
    assert sorted(filled) == [0.5, 0.9]
    assert (filled[0.5].pictures, filled[0.5].accuracy) == (2, 0.5)
    assert filled[0.5].confidence == pytest.approx(0.55)
    assert (filled[0.9].pictures, filled[0.9].accuracy) == (2, 1.0)
    assert sum(item.pictures for item in result.bins) == 4
    assert len(result.bins) == 10


def drawn(true_temperature: float, count: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels drawn from softmax(logits / true_temperature)."""
    random = np.random.default_rng(5)
    logits = random.normal(0, 3, (count, 4)).astype(np.float32)
    p = evaluate.probabilities(logits, true_temperature)
    labels = (p.cumsum(axis=1) > random.random((count, 1))).argmax(axis=1)
    return logits, labels


@pytest.mark.parametrize("truth", [0.5, 1.0, 2.5, 6.0])
def test_temperature_finds_the_one_that_was_used(truth: float) -> None:
    logits, labels = drawn(truth)
    result = evaluate.temperature(logits, labels)
    assert result == pytest.approx(truth, rel=0.07)
    best = evaluate.cross_entropy(logits, labels, result)
    assert best <= evaluate.cross_entropy(logits, labels, result * 1.03)
    assert best <= evaluate.cross_entropy(logits, labels, result / 1.03)


@pytest.mark.parametrize(
    ("losses", "others", "sure"),
    [
        ([0.1, 0.2, 0.3], [0.2, 0.3, 0.4], True),  # each less by the same
        ([0.2, 0.3, 0.4], [0.1, 0.2, 0.3], False),
        ([0.1, 0.1, 0.1], [0.1, 0.1, 0.1], False),
        ([0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0], False),  # the mean is one standard error, no more
        ([0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0], True),  # 0.5 against 0.29
        ([0.0], [1.0], False),  # one picture has no standard error
        ([], [], False),
    ],
)
def test_surely_less_is_by_more_than_a_standard_error(losses: list[float], others: list[float], sure: bool) -> None:
    assert evaluate.surely_less(np.array(losses), np.array(others)) is sure


@pytest.mark.parametrize(("truth", "count", "stays"), [(1.0, 4000, True), (2.5, 4000, False), (1.15, 10, True)])
def test_the_temperature_stays_1_unless_another_is_surely_better(truth: float, count: int, stays: bool) -> None:
    logits, labels = drawn(truth, count)
    result = targets.fitted(logits, labels).temperature

    assert evaluate.temperature(logits, labels) != 1.0
    assert (result == 1.0) is stays
    if not stays:
        assert result == evaluate.temperature(logits, labels)


@pytest.mark.parametrize("factor", [1.0, 3.0])
def test_the_temperature_of_several_labels_has_to_be_surely_better_too(factor: float) -> None:
    random = np.random.default_rng(7)
    logits = random.normal(0, 2, (3000, 2))
    labels = random.random((3000, 2)) < 1 / (1 + np.exp(-logits))
    result = targets.fitted((factor * logits).astype(np.float32), labels).temperature

    assert result == (1.0 if factor == 1 else pytest.approx(3, rel=0.1))


def test_temperature_of_no_pictures_is_1() -> None:
    assert evaluate.temperature(np.empty((0, 3), np.float32), np.empty(0, np.int64)) == 1.0


def test_temperature_stays_sensible_where_all_or_none_are_right() -> None:
    logits = (np.eye(3, dtype=np.float32)[[0, 1, 2] * 7]) * 4
    right, wrong = np.array([0, 1, 2] * 7), np.array([1, 2, 0] * 7)
    sure = evaluate.temperature(logits, right)
    assert 0.05 <= sure < 1
    p = evaluate.probabilities(logits, sure).max()
    # the target gives (21 + 1/3) / 22 to the truth, and so does the best temperature
    assert p == pytest.approx((21 + 1 / 3) / 22)
    assert evaluate.temperature(logits, wrong) == pytest.approx(20.0)
    assert math.isfinite(evaluate.temperature(np.zeros((5, 3), np.float32), np.zeros(5, np.int64)))


def test_probabilities_of_huge_logits_are_finite() -> None:
    p = evaluate.probabilities(np.array([[1e4, -1e4, 0]], np.float32), 1.0)
    np.testing.assert_array_equal(p, [[1, 0, 0]])
    np.testing.assert_allclose(evaluate.probabilities(LOGITS, 1.0).sum(axis=1), 1)


def test_mistakes_come_with_the_least_believed_truth_first() -> None:
    p = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.4, 0.6], [0.3, 0.7]])
    labels = np.array([0, 0, 0, 0, 1])
    result = evaluate.mistakes(p, labels, most=12)
    assert [mistake.row for mistake in result] == [2, 1, 3]  # equal ones in their order
    assert result[0] == evaluate.Mistake(2, 0, 1, 0.2, 0.8)
    assert [mistake.row for mistake in evaluate.mistakes(p, labels, most=1)] == [2]
    assert evaluate.mistakes(p[:1], labels[:1], most=12) == []


def test_nothing_to_evaluate_is_an_error() -> None:
    with pytest.raises(CatalogError, match=r"no picture to evaluate \(test\)"):
        evaluate.measure("test", np.empty((0, 3), np.float32), np.empty(0, np.int64), CLASSES, 1.0)
