"""Figures for several labels a picture, against scikit-learn and by hand."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from sklearn import metrics as sk

from pellucid.errors import CatalogError
from pellucid.network import scores
from pellucid.training import several
from pellucid.training.evaluate import interval

CLASSES = ("cat", "dog", "owl")


def made(count: int = 60, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Informative scores, and the labels of each picture; owl is rare."""
    generator = np.random.default_rng(seed)
    targets = generator.random((count, 3)) < (0.5, 0.3, 0.1)
    logits = (generator.normal(0, 1.5, (count, 3)) + 3 * targets - 2).astype(np.float32)
    return logits, targets


def test_the_figures_are_scikit_learns() -> None:
    logits, targets = made()
    chosen = (0.5, 0.3, 0.6)
    measured = several.measure("test", logits, targets, CLASSES, 1.3, chosen)
    p = 1 / (1 + np.exp(-logits.astype(float) / 1.3))
    called = p >= chosen
    assert measured.several
    assert measured.accuracy == pytest.approx(sk.accuracy_score(targets, called))
    assert measured.macro_f1 == pytest.approx(sk.f1_score(targets, called, average="macro"))
    assert measured.micro_f1 == pytest.approx(sk.f1_score(targets, called, average="micro"))
    assert measured.mean_average_precision == pytest.approx(sk.average_precision_score(targets, p, average="macro"))
    assert measured.loss == pytest.approx(np.mean([sk.log_loss(targets[:, n], p[:, n]) for n in range(3)]))
    precision, recall, f1, pictures = sk.precision_recall_fscore_support(targets, called)
    for n, each in enumerate(measured.classes):
        assert (each.name, each.pictures, each.threshold) == (CLASSES[n], pictures[n], chosen[n])
        assert (each.precision, each.recall, each.f1) == pytest.approx((precision[n], recall[n], f1[n]))
        assert each.average_precision == pytest.approx(sk.average_precision_score(targets[:, n], p[:, n]))
    content = json.loads(json.dumps(measured.as_json(), allow_nan=False))
    assert "balanced_accuracy" not in content
    assert content["micro_f1"] == measured.micro_f1


@given(
    st.integers(2, 30).flatmap(
        lambda n: st.tuples(
            arrays(float, n, elements=st.sampled_from([0.1, 0.2, 0.3, 0.5, 0.9])),
            arrays(bool, n, elements=st.booleans()),
        )
    )
)
def test_average_precision_with_ties(inputs: tuple[NDArray[np.float64], NDArray[np.bool_]]) -> None:
    p, has = inputs
    if not has.any():
        assert several.average_precision(p, has) is None
    else:
        assert several.average_precision(p, has) == pytest.approx(sk.average_precision_score(has, p))


@given(
    st.integers(1, 25).flatmap(
        lambda n: st.tuples(
            arrays(float, n, elements=st.floats(0.01, 0.99)), arrays(bool, n, elements=st.booleans()).filter(np.any)
        )
    )
)
def test_no_threshold_has_a_better_f1(inputs: tuple[NDArray[np.float64], NDArray[np.bool_]]) -> None:
    p, has = inputs

    def f1(threshold: float) -> float:
        called = p >= threshold
        return 2 * (called & has).sum() / (called.sum() + has.sum())

    result = several.best_threshold(p, has)
    assert 0 < result < 1
    assert f1(result) >= max(f1(each) for each in p) - 1e-12


def test_a_threshold_of_few_pictures_is_drawn_towards_that_of_all() -> None:
    logits, targets = made(200)
    p = several.probabilities(logits, 1.0)
    result = several.thresholds(p, targets)
    together = several.best_threshold(p.ravel(), targets.ravel())
    for n, count in enumerate(targets.sum(axis=0).tolist()):
        own = several.best_threshold(p[:, n], targets[:, n])
        logit = (count * _logit(own) + several.PULL * _logit(together)) / (count + several.PULL)
        assert result[n] == pytest.approx(1 / (1 + np.exp(-logit)))
    assert min(together, own) <= result[2] <= max(together, own)


def test_a_label_that_no_picture_has_gets_the_threshold_of_all() -> None:
    logits, targets = made()
    targets[:, 1] = False
    p = several.probabilities(logits, 1.0)
    assert several.thresholds(p, targets)[1] == pytest.approx(several.best_threshold(p.ravel(), targets.ravel()))
    assert several.thresholds(p, np.zeros_like(targets)) == (0.5, 0.5, 0.5)
    assert several.thresholds(p[:0], targets[:0]) == (0.5, 0.5, 0.5)


def test_the_temperature_has_the_least_loss() -> None:
    logits, targets = made(400)
    best = several.temperature(logits * 3, targets)
    losses = [several.cross_entropy(logits * 3, targets, best * factor) for factor in (0.9, 1.0, 1.1)]
    assert losses[1] < min(losses[0], losses[2])
    assert best == pytest.approx(3 * several.temperature(logits, targets), rel=1e-3)
    assert several.temperature(logits[:0], targets[:0]) == 1.0
    sure = np.where(targets, 5, -5).astype(np.float32)
    assert 0.05 < several.temperature(sure, targets) < 1.5, "all right, and not certain all the same"


def test_calibration_counts_each_label_of_each_picture() -> None:
    p = np.array([[0.05, 0.95], [0.05, 0.85]])
    result = several.calibration(p, np.array([[False, True], [True, False]]))
    assert sum(each.pictures for each in result.bins) == 4
    assert (result.bins[0].confidence, result.bins[0].accuracy) == pytest.approx((0.05, 0.5))
    assert result.error == pytest.approx((2 * 0.45 + 0.05 + 0.85) / 4)


def test_mistakes_begin_with_the_label_furthest_off() -> None:
    p = np.array([[0.9, 0.2], [0.6, 0.1], [0.4, 0.99]])
    targets = np.array([[True, False], [False, True], [True, True]])
    first, second = several.mistakes(p, targets, (0.5, 0.5), 9)
    assert (first.row, first.worst, first.probability) == (1, 1, 0.1)
    assert (second.row, second.worst, second.probability) == (2, 0, 0.4)
    assert several.mistakes(p, targets, (0.5, 0.5), 1) == [first]


def test_a_side_without_pictures_is_refused() -> None:
    with pytest.raises(CatalogError, match=r"There is no picture to evaluate \(test\)"):
        several.measure("test", np.empty((0, 3), np.float32), np.empty((0, 3), bool), CLASSES, 1.0, (0.5,) * 3)


def _logit(p: float) -> float:
    return float(np.log(p / (1 - p)))


def test_the_sigmoid_is_the_one_of_predictions() -> None:
    logits, _ = made(4)
    assert several.probabilities(logits, 2.0) == pytest.approx(scores.probabilities(logits, 2.0, several=True))


def test_the_interval_of_the_macro_f1_follows_from_wilsons() -> None:
    called = np.array([[1, 1], [1, 0], [0, 1], [0, 0]], bool)
    targets = np.array([[1, 1], [0, 1], [0, 1], [0, 0]], bool)
    low, high = several.macro_interval(called, targets, 4)
    ends = [interval(1, 2), interval(2, 3)]
    middles = [2 / 3, 4 / 5]
    f1s = [[2 * end / (1 + end) for end in both] for both in ends]
    mean = sum(middles) / 2
    assert low == pytest.approx(mean - math.hypot(middles[0] - f1s[0][0], middles[1] - f1s[1][0]) / 2)
    assert high == pytest.approx(min(1.0, mean + math.hypot(f1s[0][1] - middles[0], f1s[1][1] - middles[1]) / 2))
    wide = several.macro_interval(called, targets, 2)
    assert wide[0] < low, "fewer independent pictures, a wider interval"
    assert several.macro_interval(np.zeros((4, 2), bool), np.zeros((4, 2), bool), 4) == (0, 1)
    assert several.macro_interval(targets, targets, 4)[0] < 1, "not of zero width where all are right"
