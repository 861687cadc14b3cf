"""From scores to probabilities, and from these to predicted classes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.network import scores

LOGITS = np.array([[2.0, 0.0, -1.0], [0.5, 0.5, 0.6]], np.float32)


def test_one_label_shares_and_several_do_not() -> None:
    shared = scores.probabilities(LOGITS, 2.0, several=False)
    powers = np.exp(LOGITS.astype(float) / 2)
    assert shared == pytest.approx(powers / powers.sum(axis=1, keepdims=True))
    alone = scores.probabilities(LOGITS, 2.0, several=True)
    assert alone == pytest.approx(1 / (1 + np.exp(-LOGITS.astype(float) / 2)))
    assert shared.sum(axis=1) == pytest.approx([1, 1])
    assert (alone.sum(axis=1) > 1).all()


@given(st.floats(-1e4, 1e4))
def test_the_sigmoid_never_overflows(x: float) -> None:
    low, high = scores.sigmoid(np.array([-abs(x), abs(x)]))
    assert 0 <= low <= 0.5 <= high <= 1
    assert low + high == pytest.approx(1)


def test_one_class_is_called_or_all_from_their_thresholds_on() -> None:
    p = np.array([[0.3, 0.6, 0.1], [0.2, 0.2, 0.1]])
    assert scores.called(p, None).tolist() == [[False, True, False], [True, False, False]]
    assert scores.called(p, (0.3, 0.5, 0.05)).tolist() == [[True, True, True], [False, False, True]]


def test_names_come_with_the_most_probable_first() -> None:
    p = np.array([0.3, 0.6, 0.1])
    assert scores.names(("a", "b", "c"), p, None) == ("b",)
    assert scores.names(("a", "b", "c"), p, (0.2, 0.5, 0.5)) == ("b", "a")
    assert scores.names(("a", "b", "c"), p, (0.9, 0.9, 0.9)) == ()
