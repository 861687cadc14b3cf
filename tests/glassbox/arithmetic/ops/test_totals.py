"""Running sums, variances and standard deviations: by hand, against PyTorch, and by differences."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.glassbox.arithmetic.evaluator import Evaluator, everything
from pellucid.glassbox.arithmetic.ops import totals

MANY = settings(max_examples=15, deadline=None)
SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple)


def test_a_running_sum_by_hand() -> None:
    row = {"input": np.array([1.0, 2, 4])}
    evaluator = Evaluator(totals.cumsum((3,), 0), row, np.array([1.0, 10, 100]))
    assert everything(evaluator.op, row).tolist() == [1, 3, 7]
    (terms,) = evaluator.forward((1,))
    assert terms.values.tolist() == [1, 2]
    assert [evaluator.gradient_of("input", (n,))[0] for n in range(3)] == [111, 110, 100]


def test_the_spread_by_hand() -> None:
    row = {"input": np.array([1.0, 2, 6])}  # mean 3; squares 4 + 1 + 9
    assert everything(totals.var((3,)), row) == pytest.approx(7)
    assert everything(totals.var((3,), correction=0), row) == pytest.approx(14 / 3)
    assert everything(totals.std((3,), unbiased=False), row) == pytest.approx((14 / 3) ** 0.5)
    assert everything(totals.std((3,), piece=1), row) == pytest.approx(3)
    assert totals.var((1, 3), 0) is None


def test_equal_numbers_have_no_spread_and_no_gradient() -> None:
    evaluator = Evaluator(totals.std((3,)), {"input": np.full(3, 2.0)}, np.array(1.0))
    assert evaluator.value("out", ())[0] == 0
    assert evaluator.gradient_of("input", (1,))[0] == 0


@MANY
@given(SHAPES, st.booleans(), st.data())
def test_totals_agree_with_pytorch(oracle, shape, keepdim, data) -> None:
    axes = st.integers(-len(shape), len(shape) - 1)
    dim = data.draw(axes)
    oracle.agrees(totals.cumsum(shape, dim), lambda x: x.cumsum(dim), at=6)
    dims = data.draw(st.lists(axes, min_size=1, max_size=len(shape), unique_by=lambda a: a % len(shape)))
    correction = data.draw(st.integers(0, 1))
    count = np.prod([shape[axis] for axis in dims])
    if count <= correction:
        assert totals.var(shape, dims, correction=correction) is None
        return
    settings = {"correction": correction, "keepdim": keepdim}
    oracle.agrees(totals.var(shape, dims, **settings), lambda x: x.var(dims, **settings), at=4)
    for piece in (0, 1):
        op = totals.var(shape, dims, **settings, piece=piece)
        oracle.agrees(op, lambda x, p=piece: torch.var_mean(x, dims, **settings)[p], at=4)
    if count > 1:
        oracle.agrees(totals.std(shape, dims, **settings), lambda x: x.std(dims, **settings), at=4)


@pytest.mark.parametrize(
    "op", [totals.cumsum((2, 3), -1), totals.var((2, 3), [1]), totals.std((2, 3), [0, 1], keepdim=True)]
)
def test_gradients_by_differences(oracle, op) -> None:
    oracle.by_differences(op)
