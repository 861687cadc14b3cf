"""Lengths and distances: by hand, against PyTorch (also at 0), and by differences."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.glassbox.arithmetic.evaluator import Evaluator, everything
from pellucid.glassbox.arithmetic.ops import lengths

MANY = settings(max_examples=12, deadline=None)
ORDERS = [2, 1, 0, 3, 1.5, 0.5, math.inf, -math.inf]
SIZES = st.integers(1, 4)


def test_three_and_four_by_hand() -> None:
    op = lengths.vector_norm((2,))
    assert op is not None
    arrays = {"input": np.array([3.0, -4])}
    assert everything(op, arrays) == 5
    evaluator = Evaluator(op, arrays, np.array(10.0))
    assert evaluator.gradient_of("input", (1,))[0] == pytest.approx(10 * -4 / 5)
    (terms,) = evaluator.forward((), "sum")
    assert terms.values.tolist() == [9, 16]


@MANY
@given(st.lists(SIZES, min_size=1, max_size=4), st.sampled_from(ORDERS), st.booleans(), st.data())
def test_norms_agree_with_pytorch(oracle, shape, order, keepdim, data) -> None:
    dims = data.draw(st.one_of(st.none(), st.lists(st.integers(0, len(shape) - 1), min_size=1, unique=True)))
    op = lengths.vector_norm(tuple(shape), order, dims, keepdim)
    oracle.agrees(op, lambda x: torch.linalg.vector_norm(x, order, dims, keepdim))


@pytest.mark.parametrize("order", [2, 1, 3, 1.5, math.inf])
def test_the_length_of_zeros_has_no_slope_as_in_pytorch(oracle, order) -> None:
    op = lengths.vector_norm((2, 3), order, [1])
    assert op is not None
    zeros = oracle.numbers(op, input=[[0, 0, 0], [0, 2, 0]])
    oracle.agrees(op, lambda x: torch.linalg.vector_norm(x, order, 1), zeros, at=12)


def test_the_largest_share_the_gradient_as_in_pytorch(oracle) -> None:
    op = lengths.vector_norm((4,), math.inf)
    assert op is not None
    arrays = {"input": np.array([-5.0, 3, 5, 5])}
    evaluator = Evaluator(op, arrays, np.array(12.0))
    assert [evaluator.gradient_of("input", (n,))[0] for n in range(4)] == [-4, 0, 4, 4]
    oracle.agrees(op, lambda x: torch.linalg.vector_norm(x, math.inf), arrays, at=8)


@pytest.mark.parametrize(
    ("op", "function"),
    [
        (lengths.norm((2, 3), 2.5, [1], True), lambda x: torch.norm(x, 2.5, 1, True)),
        (lengths.norm((2, 3), None), torch.norm),
        (lengths.linalg_norm((2, 3)), torch.linalg.norm),
        (lengths.linalg_norm((2, 3, 4), None, [0, 2]), lambda x: torch.linalg.norm(x, dim=(0, 2))),
        (lengths.linalg_norm((2, 3, 4), "fro", [0, 2]), lambda x: torch.linalg.norm(x, "fro", (0, 2))),
        (lengths.linalg_norm((2, 3, 4), 3, 1), lambda x: torch.linalg.norm(x, 3, 1)),
        (lengths.matrix_norm((2, 3, 4), keepdim=True), lambda x: torch.linalg.matrix_norm(x, keepdim=True)),
    ],
)
def test_other_norms_agree_with_pytorch(oracle, op, function) -> None:
    oracle.agrees(op, function, at=6)


def test_a_matrixs_other_norms_are_not_written() -> None:
    assert lengths.linalg_norm((2, 3), 2) is None
    assert lengths.linalg_norm((2, 3), "nuc") is None
    assert lengths.matrix_norm((2, 3), 1) is None


def test_an_angle_of_60_degrees_by_hand() -> None:
    op = lengths.cosine_similarity((2,), (2,), 0)
    arrays = {"x1": np.array([2.0, 0]), "x2": np.array([0.5, math.sqrt(0.75)])}
    assert everything(op, arrays) == pytest.approx(0.5)


@MANY
@given(SIZES, SIZES, SIZES, st.integers(-3, 2), st.booleans())
def test_cosine_similarity_agrees_with_pytorch(oracle, a, b, c, dim, fewer) -> None:
    first, second = (a, b, c), (b, c) if fewer else (1, b, c)
    if dim % 3 == 0 and (fewer or a > 1):
        second = (a, b, c)
    op = lengths.cosine_similarity(first, second, dim)
    oracle.agrees(op, lambda x, y: F.cosine_similarity(x, y, dim))


@MANY
@given(st.sampled_from([(), (2,), (2, 3)]), SIZES, SIZES, SIZES, st.sampled_from([2.0, 1.0, 3.0, 1.5]), st.booleans())
def test_distances_between_all_agree_with_pytorch(oracle, lead, rows, columns, width, p, shared) -> None:
    first, second = (*lead, rows, width), (columns, width) if shared else (*lead, columns, width)
    oracle.agrees(lengths.cdist(first, second, p), lambda x, y: torch.cdist(x, y, p))


@MANY
@given(SIZES, SIZES, st.sampled_from([2.0, 1.0, 3.0]), st.booleans(), st.booleans())
def test_distances_of_pairs_agree_with_pytorch(oracle, rows, width, p, keepdim, shared) -> None:
    op = lengths.pairwise_distance((rows, width), (width,) if shared else (rows, width), p, 1e-6, keepdim)
    oracle.agrees(op, lambda x, y: F.pairwise_distance(x, y, p, 1e-6, keepdim))


def test_a_distance_of_0_has_no_slope(oracle) -> None:
    op = lengths.cdist((2, 3), (2, 3))
    assert op is not None
    same = oracle.numbers(op)
    same["x2"] = same["x1"].copy()
    oracle.agrees(op, torch.cdist, same, at=6)


def test_the_distances_that_pytorch_takes_from_products_lie_within_the_bound() -> None:
    """From 26 points on PyTorch computes |a|^2 + |b|^2 - 2ab, which cancels: its float32 is far from the distance."""
    random = np.random.default_rng(2)
    points = (100 + random.normal(0, 0.01, (30, 3))).astype(np.float32)
    op = lengths.cdist((30, 3), (30, 3))
    assert op is not None
    result = torch.cdist(torch.from_numpy(points), torch.from_numpy(points[::-1].copy())).numpy()
    evaluator = Evaluator(op, {"x1": points, "x2": points[::-1]})
    away = []
    for index in [(0, 0), (3, 7), (12, 4), (29, 1)]:
        value, scale = evaluator.value("out", index)
        away.append(abs(value - result[index]) / value)
        assert abs(value - result[index]) <= 8 * 2**-24 * scale
    assert max(away) > 1e-3


@pytest.mark.parametrize(("v", "g", "dim"), [((3, 2, 2), (3, 1, 1), 0), ((3, 2, 2), (1, 1, 2), 2), ((3, 2), (), -1)])
def test_weight_norm_agrees_with_pytorch(oracle, v, g, dim) -> None:
    oracle.agrees(lengths.weight_norm(v, g, dim), lambda v, g: torch._weight_norm(v, g, dim), at=6)


@pytest.mark.parametrize(
    "op",
    [
        lengths.vector_norm((2, 3), 2, [1]),
        lengths.vector_norm((2, 3), 3, [0], True),
        lengths.cosine_similarity((2, 3), (3,), 1),
        lengths.cdist((2, 3), (4, 3)),
        lengths.pairwise_distance((2, 3), (2, 3), 1.0),
        lengths.weight_norm((3, 2), (3, 1)),
    ],
)
def test_gradients_by_differences(oracle, op) -> None:
    oracle.by_differences(op)
