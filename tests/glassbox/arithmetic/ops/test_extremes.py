"""The largest and the smallest along whole axes: by hand, against PyTorch with many ties, and by differences."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.glassbox.arithmetic.evaluator import Evaluator, everything
from pellucid.glassbox.arithmetic.ops import extremes

MANY = settings(max_examples=15, deadline=None)
SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple)
TIED = {"input": np.array([[3.0, 1, 3], [0, 0, 0]])}


def whole(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-1, 2, shape).astype(np.float64)


def test_ties_share_the_gradient() -> None:
    evaluator = Evaluator(extremes.amax((2, 3), 1), TIED, np.array([12.0, 6]))
    (terms,) = evaluator.forward((0,))
    assert (terms.pick, terms.total, terms.winner) == ("max", 3, 0)
    assert [evaluator.gradient_of("input", (0, x))[0] for x in range(3)] == [6, 0, 6]
    assert [evaluator.gradient_of("input", (1, x))[0] for x in range(3)] == [2, 2, 2]
    (back,) = evaluator.backward("input", (0, 2))
    assert [(column.name, column.values.tolist()) for column in back.columns] == [
        ("gradient of out", [12]),
        ("won", [0.5]),
    ]


def test_along_an_axis_the_first_has_the_gradient() -> None:
    evaluator = Evaluator(extremes.max_of((2, 3), 1), TIED, np.array([12.0, 6]))
    assert [evaluator.gradient_of("input", (0, x))[0] for x in range(3)] == [12, 0, 0]
    evaluator = Evaluator(extremes.min_of((2, 3), 1), TIED, np.array([12.0, 6]))
    assert [evaluator.gradient_of("input", (0, x))[0] for x in range(3)] == [0, 12, 0]
    assert [evaluator.gradient_of("input", (1, x))[0] for x in range(3)] == [6, 0, 0]


def test_the_smallest_is_minus_the_largest_of_the_negatives() -> None:
    op = extremes.amin((2, 3), 1)
    evaluator = Evaluator(op, TIED)
    assert everything(op, TIED).tolist() == [1, 0]
    (terms,) = evaluator.forward((0,), "largest")
    assert (str(terms.formula), terms.values.tolist(), terms.winner) == ("-input", [-3, -1, -3], 1)


def test_places_by_hand() -> None:
    assert everything(extremes.argmax((2, 3), 1), TIED).tolist() == [0, 0]
    assert everything(extremes.argmin((2, 3), 1, True), TIED).tolist() == [[1], [0]]
    assert everything(extremes.argmin((2, 3)), TIED).tolist() == 3
    assert Evaluator(extremes.argmax((2, 3), 1), TIED, np.ones(2)).backward("input", (0, 0)) == ()


def test_any_and_all_by_hand() -> None:
    assert everything(extremes.any_of((2, 3), 1), TIED).tolist() == [1, 0]
    assert everything(extremes.all_of((2, 3), 1), TIED).tolist() == [1, 0]
    assert everything(extremes.all_of((2, 3)), TIED).tolist() == 0


@MANY
@given(SHAPES, st.booleans(), st.integers(0, 99), st.data())
def test_extremes_agree_with_pytorch_at_ties(oracle, shape, keepdim, seed, data) -> None:
    arrays = {"input": whole(shape, seed)}
    axes = st.integers(-len(shape), len(shape) - 1)
    dims = data.draw(st.lists(axes, max_size=len(shape), unique_by=lambda a: a % len(shape)))
    oracle.agrees(extremes.amax(shape, dims, keepdim), lambda x: x.amax(dims, keepdim), arrays, at=8)
    oracle.agrees(extremes.amin(shape, dims, keepdim), lambda x: x.amin(dims, keepdim), arrays, at=8)
    oracle.agrees(extremes.max_of(shape), torch.max, arrays, at=8)
    oracle.agrees(extremes.min_of(shape), torch.min, arrays, at=8)
    dim = data.draw(axes)
    oracle.agrees(extremes.max_of(shape, dim, keepdim), lambda x: x.max(dim, keepdim)[0], arrays, at=8)
    oracle.agrees(extremes.min_of(shape, dim, keepdim), lambda x: x.min(dim, keepdim)[0], arrays, at=8)
    for piece in (0, 1):
        op = extremes.aminmax(shape, piece, dim, keepdim)
        oracle.agrees(op, lambda x, p=piece: torch.aminmax(x, dim=dim, keepdim=keepdim)[p], arrays, at=8)


@MANY
@given(SHAPES, st.booleans(), st.integers(0, 99), st.data())
def test_places_agree_with_pytorch_at_ties(shape, keepdim, seed, data) -> None:
    array = whole(shape, seed)
    tensor = torch.tensor(array)
    dim = data.draw(st.one_of(st.none(), st.integers(-len(shape), len(shape) - 1)))
    keepdim = keepdim and dim is not None
    for declare, function in ((extremes.argmax, torch.argmax), (extremes.argmin, torch.argmin)):
        expected = function(tensor, dim, keepdim).numpy()
        np.testing.assert_array_equal(everything(declare(shape, dim, keepdim), {"input": array}), expected)
    if dim is not None:
        expected = tensor.max(dim, keepdim)[1].numpy()
        result = everything(extremes.max_of(shape, dim, keepdim, piece=1), {"input": array})
        np.testing.assert_array_equal(result, expected)
        for declare, function in ((extremes.any_of, torch.any), (extremes.all_of, torch.all)):
            np.testing.assert_array_equal(
                everything(declare(shape, dim, keepdim), {"input": array}), function(tensor, dim, keepdim).numpy()
            )


@pytest.mark.parametrize(
    "op",
    [
        extremes.amax((2, 3, 2), [0, 2]),
        extremes.amin((2, 3), [1], True),
        extremes.max_of((2, 3), 0),
        extremes.min_of((2, 3)),
        extremes.min_of((2, 3), other=(3,)),
    ],
)
def test_gradients_by_differences(oracle, op) -> None:
    oracle.by_differences(op)
