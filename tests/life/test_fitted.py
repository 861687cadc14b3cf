"""A head that was fitted at once: its start and the pushes of the pictures are its weights, at the minimum."""

import numpy as np
import pytest

from pellucid.errors import TraceError
from pellucid.life import fitted
from pellucid.life.recorded import Place
from pellucid.training import head
from pellucid.training.head import LinearHead, Side

N, D, CLASSES = 60, 12, 3


def side(kind: str) -> tuple[Side, LinearHead, int]:
    """Pictures of three classes that overlap, the start of the search, and how many views a picture has."""
    random = np.random.default_rng(5)
    classes = random.integers(CLASSES, size=N)
    features = random.normal(size=(N, D)).astype(np.float32) + 2 * np.eye(D, dtype=np.float32)[classes]
    start = LinearHead(np.zeros((CLASSES, D), np.float32), np.zeros(CLASSES, np.float32))
    if kind == "several":
        return Side(features, random.random((N, CLASSES)) < 0.4), start, 1  # type: ignore[arg-type]
    if kind == "views":
        mirrored = features + random.normal(size=features.shape).astype(np.float32)
        both, labels = np.concatenate([features, mirrored]), np.concatenate([classes] * 2)
        return Side(both, labels, np.array([1.0, 2.0, 0.5])[labels] / 2), start, 2
    if kind == "known rows":
        start.weight[1] = random.normal(size=D) / 3
    return Side(features, classes), start, 1


@pytest.mark.parametrize("kind", ["one", "several", "views", "known rows"])
def test_start_and_pushes_are_the_weight(kind: str) -> None:
    train, start, views = side(kind)
    fit = head.fit(train, None, start)
    heads = fitted.taken_apart("dense1", train, start, fit.rows, fit.c, views)
    for row in range(CLASSES):
        for column in range(D):
            place = Place("", "dense1.weight", (row, column))
            assert heads.fits(place)
            first, pushes = heads.of(place)
            assert first == start.weight[row, column]
            assert pushes.shape == (N,)
            assert first + pushes.sum() == pytest.approx(float(fit.rows.weight[row, column]), abs=2e-4)
    assert not heads.fits(Place("", "conv1.weight", (0, 0, 0, 0)))


def test_a_push_is_what_the_weight_loses_with_its_picture() -> None:
    """Held errors: the head without one picture's term is the sum of the others; a sure picture pushes least."""
    train, start, _ = side("one")
    fit = head.fit(train, None, start)
    heads = fitted.taken_apart("dense1", train, start, fit.rows, fit.c, 1)
    logits = fit.rows.logits(train.features)
    sure = np.exp(logits[np.arange(N), train.labels] - np.log(np.exp(logits).sum(1)))
    each = np.array([heads.of(Place("", "dense1.weight", (0, column)))[1] for column in range(D)])
    sizes = np.abs(each).sum(0)
    assert sizes[np.argmax(sure)] < np.median(sizes) < sizes[np.argmin(sure)]


def test_a_bias_and_an_unfinished_search_are_no_sum() -> None:
    train, start, _ = side("one")
    fit = head.fit(train, None, start)
    heads = fitted.taken_apart("dense1", train, start, fit.rows, fit.c, 1)
    with pytest.raises(TraceError, match="makes the errors of its class add up to 0"):
        heads.of(Place("dense1.bias[1]", "dense1.bias", (1,)))
    moved = LinearHead(fit.rows.weight + np.float32(0.1), fit.rows.bias)
    away = fitted.taken_apart("dense1", train, start, moved, fit.c, 1)
    with pytest.raises(TraceError, match="the search for the head ended before its minimum"):
        away.of(Place("dense1.weight[0, 0]", "dense1.weight", (0, 0)))
