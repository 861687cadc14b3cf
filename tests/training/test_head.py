"""The head: scikit-learn's solution, and its further properties."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from pellucid.errors import TrainingError
from pellucid.steps import Steps
from pellucid.training import head
from pellucid.training.head import LinearHead, Side

CLASSES, WIDE = 3, 20


def side(seed: int, count: int, shift: float = 5.0) -> Side:
    """Features as after a ReLU, not centred."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, CLASSES, count)
    centres = np.random.default_rng(0).normal(size=(CLASSES, WIDE))
    return Side(
        (np.maximum(0, random.normal(size=(count, WIDE)) + centres[labels]) * 3 + shift).astype(np.float32), labels
    )


def zeros() -> LinearHead:
    return LinearHead(np.zeros((CLASSES, WIDE), np.float32), np.zeros(CLASSES, np.float32))


def centred(logits: np.ndarray) -> np.ndarray:
    """Softmax depends only on the differences."""
    return logits - logits.mean(1, keepdims=True)


def test_it_is_scikit_learns_logistic_regression():
    train, validation = side(1, 200), side(2, 60)
    fitted = head.fit(train, validation, zeros())
    scale = np.square(train.features - train.features.mean(0)).sum(1).mean()
    theirs = LogisticRegression(C=fitted.c, max_iter=5000, tol=1e-9).fit(train.features.astype(float), train.labels)

    assert fitted.c in [pytest.approx(c / scale) for c in head.GRID]
    expected = centred(theirs.decision_function(validation.features.astype(float)))
    assert np.allclose(centred(fitted.rows.logits(validation.features)), expected, atol=2e-3)
    assert fitted.validation_accuracy == theirs.score(validation.features, validation.labels)


def test_c_is_the_one_with_the_least_validation_loss():
    train, validation = side(1, 60), side(2, 150)
    fitted = head.fit(train, validation, zeros())

    assert len(fitted.losses) > 1
    assert min(fitted.losses, key=lambda pair: pair[1])[0] == fitted.c
    assert fitted.validation_loss == pytest.approx(min(loss for _, loss in fitted.losses), abs=1e-3)


def test_few_validation_pictures_have_to_be_sure():
    """On random labels, no C is better than another by more than chance, and the usual C stays."""
    train = side(1, 60)
    scale = np.square(train.features - train.features.mean(0)).sum(1).mean()
    guessed = side(5, 12)
    alike = Side(np.repeat(train.features.mean(0)[None], 12, axis=0), guessed.labels)  # no C tells them apart
    assert head.fit(train, alike, zeros()).c == pytest.approx(head.DEFAULT / scale)

    opposed = Side(train.features[:60], (train.labels[:60] + 1) % CLASSES)  # the surer, the worse: clearly
    assert head.fit(train, opposed, zeros()).c == pytest.approx(head.GRID[0] / scale)


def test_without_validation_c_is_the_usual_one():
    train = side(1, 60)
    fitted = head.fit(train, None, zeros())

    assert (fitted.losses, fitted.validation_loss, fitted.validation_accuracy) == ((), None, None)
    scale = np.square(train.features - train.features.mean(0)).sum(1).mean()
    assert fitted.c == pytest.approx(head.DEFAULT / scale)


def test_c_is_chosen_with_the_weights_of_the_validation_pictures():
    """A rare class that a strong pull gets wrong: the more it counts, the weaker the pull."""
    train = side(1, 60)
    rare = np.arange(60) < 6
    labels = np.where(rare, train.labels, (train.labels + 1) % CLASSES)  # of most, the surer the worse
    chosen = [
        head.fit(train, Side(train.features, labels, weights), zeros()) for weights in (None, np.where(rare, 1.0, 1e-4))
    ]
    assert chosen[0].c < chosen[1].c
    assert chosen[1].validation_accuracy == np.mean(chosen[1].rows.logits(train.features).argmax(1) == labels)


def test_weights_count_as_copies_would():
    train, validation = side(1, 60), side(2, 60)
    twice = np.concatenate([np.arange(60), np.arange(20)])
    copied = Side(train.features[twice], train.labels[twice])
    counts = np.where(np.arange(60) < 20, 2.0, 1.0)
    weighted = head.fit(Side(train.features, train.labels, counts), None, zeros())
    plain = head.fit(copied, None, zeros())

    # centre and scale come from other rows, and the grid's C differs accordingly
    assert np.allclose(
        centred(weighted.rows.logits(validation.features)), centred(plain.rows.logits(validation.features)), atol=0.05
    )
    unweighted = head.fit(train, None, zeros())
    differs = centred(unweighted.rows.logits(validation.features)) - centred(plain.rows.logits(validation.features))
    assert np.abs(differs).max() > 0.05


def test_gradient_descent_with_what_is_told_stays_at_the_minimum():
    """The rate and the decay in a model folder have their minimum exactly here."""
    train = side(1, 80)
    fitted = head.fit(train, None, zeros())
    wide = train.features.astype(np.float64)
    weight, bias = fitted.rows.weight.astype(np.float64), fitted.rows.bias.astype(np.float64)
    p = np.exp(centred(wide @ weight.T + bias))
    error = (p / p.sum(1, keepdims=True) - np.eye(CLASSES)[train.labels]) / len(wide)

    assert np.abs(error.T @ wide + fitted.decay * weight).max() < 2e-4
    assert np.abs(error.sum(0)).max() < 1e-4
    assert 0 < fitted.step < 2 / np.square(wide).sum(1).mean()


def test_known_rows_stay_where_nothing_speaks_against_them():
    """The pull is towards the start: a strong one keeps it."""
    train = side(1, 60)
    start = head.fit(train, None, zeros()).rows
    other = side(3, 6)
    stored = head.fit(other, None, start)
    pulled = np.abs(head.fit(other, None, zeros()).rows.weight - start.weight).max()

    assert np.abs(stored.rows.weight - start.weight).max() < pulled


def test_the_same_numbers_give_the_same_bits():
    train, validation = side(1, 100), side(2, 40)
    first, second = (head.fit(train, validation, zeros()).rows for _ in range(2))

    assert first.weight.tobytes() == second.weight.tobytes()
    assert first.bias.tobytes() == second.bias.tobytes()


def test_several_labels_are_a_yes_or_no_each():
    random = np.random.default_rng(4)
    features = random.normal(size=(150, 6)).astype(np.float32)
    labels = features[:, :2] + 0.3 * random.normal(size=(150, 2)) > 0
    fitted = head.fit(Side(features, labels), None, LinearHead(np.zeros((2, 6), np.float32), np.zeros(2, np.float32)))  # type: ignore[arg-type]

    for label in range(2):  # the mean over two labels: each has half of C
        theirs = LogisticRegression(C=fitted.c / 2, tol=1e-9, max_iter=2000).fit(
            features.astype(float), labels[:, label]
        )
        assert np.allclose(fitted.rows.logits(features)[:, label], theirs.decision_function(features), atol=2e-3)
    right = ((fitted.rows.logits(features) > 0) == labels).all(axis=1).mean()  # all labels of a picture
    assert fitted.train_accuracy == right > 0.8


def test_features_that_are_not_finite_are_refused():
    train = side(1, 20)
    train.features[3, 4] = np.nan
    with pytest.raises(TrainingError, match="features are not finite"):
        head.fit(train, None, zeros())


def test_the_progress_ends_at_the_head_that_is_returned():
    train, validation = side(1, 200), side(2, 60)
    steps = Steps(head.fitting(train, validation, zeros()))
    seen = list(steps)
    assert (seen[0].iteration, seen[0].train_loss) == (0, pytest.approx(np.log(CLASSES)))
    counts = [each.iteration for each in seen]
    assert counts == sorted(counts)
    assert steps.result.train_loss <= seen[-1].train_loss < seen[0].train_loss
    assert all(each.validation_loss is not None for each in seen)
    alone = list(head.fitting(train, None, zeros()))
    assert [each.validation_loss for each in alone] == [None] * len(alone)
