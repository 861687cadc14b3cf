"""Ops that reorder numbers in steps: by hand, against PyTorch, and by differences."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pellucid.glassbox.arithmetic.evaluator import Evaluator, everything
from pellucid.glassbox.arithmetic.ops import rearranging

MANY = settings(max_examples=15, deadline=None)
SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple)
SIX = {"input": np.arange(6.0).reshape(2, 3)}  # 0 1 2 / 3 4 5


def test_by_hand() -> None:
    assert everything(rearranging.flip((2, 3), [1]), SIX).tolist() == [[2, 1, 0], [5, 4, 3]]
    assert everything(rearranging.roll((2, 3), [1], [1]), SIX).tolist() == [[2, 0, 1], [5, 3, 4]]
    assert everything(rearranging.roll((2, 3), 1), SIX).tolist() == [[5, 0, 1], [2, 3, 4]]
    assert everything(rearranging.repeat((2, 3), [1, 2]), SIX).tolist() == [[0, 1, 2, 0, 1, 2], [3, 4, 5, 3, 4, 5]]
    assert everything(rearranging.repeat_each((2, 3), 2, 0), SIX).tolist() == [[0, 1, 2]] * 2 + [[3, 4, 5]] * 2
    assert everything(rearranging.tril((2, 3)), SIX).tolist() == [[0, 0, 0], [3, 4, 0]]
    assert everything(rearranging.triu((2, 3), 1), SIX).tolist() == [[0, 1, 2], [0, 0, 5]]
    assert everything(rearranging.diagonal((2, 3), 1), SIX).tolist() == [1, 5]
    assert everything(rearranging.unfold((2, 3), 1, 2, 1), SIX).tolist() == [[[0, 1], [1, 2]], [[3, 4], [4, 5]]]


def test_shuffles_by_hand() -> None:
    four = {"input": np.arange(4.0).reshape(1, 4, 1, 1)}
    assert everything(rearranging.pixel_shuffle((1, 4, 1, 1), 2), four).tolist() == [[[[0, 1], [2, 3]]]]
    assert everything(rearranging.channel_shuffle((1, 4, 1, 1), 2), four).ravel().tolist() == [0, 2, 1, 3]


def test_a_window_that_lies_in_several_columns() -> None:
    # windows of 2 of 0 1 2: the 1 is in both
    op = rearranging.im2col((1, 1, 3), (1, 2), 1, 0, 1)
    evaluator = Evaluator(op, {"input": np.arange(3.0).reshape(1, 1, 3)}, np.array([[1.0, 2], [4, 8]]))
    assert everything(op, evaluator.arrays).tolist() == [[0, 1], [1, 2]]
    (terms,) = evaluator.backward("input", (0, 0, 1))
    assert sorted(terms.values.tolist()) == [2, 4]


def test_a_zero_of_a_triangle_has_no_term() -> None:
    evaluator = Evaluator(rearranging.tril((2, 3)), SIX, np.ones((2, 3)))
    (terms,) = evaluator.forward((0, 2))
    assert (len(terms), terms.total) == (0, 0)
    assert evaluator.backward("input", (0, 2)) == ()


def test_large_arrays_take_no_long_json() -> None:
    shape = (1, 64, 112, 112)
    for op in (
        rearranging.pixel_shuffle(shape, 2),
        rearranging.im2col(shape, 3, 1, 1, 1),
        rearranging.roll(shape, 5),
        rearranging.roll(shape, (3, 2), (2, 3)),
        rearranging.triu(shape),
    ):
        assert len(json.dumps(op.as_json())) < 2_000


@MANY
@given(SHAPES, st.data())
def test_orders_agree_with_pytorch(oracle, shape, data) -> None:
    axes = st.integers(-len(shape), len(shape) - 1)
    dims = data.draw(st.lists(axes, max_size=len(shape), unique_by=lambda a: a % len(shape)))
    oracle.agrees(rearranging.flip(shape, dims), lambda x: x.flip(dims), at=5)
    rolled = data.draw(st.lists(axes, min_size=1, max_size=3))
    shifts = [data.draw(st.integers(-6, 6)) for _ in rolled]
    oracle.agrees(rearranging.roll(shape, shifts, rolled), lambda x: x.roll(shifts, rolled), at=5)
    oracle.agrees(rearranging.roll(shape, shifts[0]), lambda x: x.roll(shifts[0]), at=5)
    if len(shape) > 1:
        turned = data.draw(st.permutations(range(-len(shape), 0)))[:2]
        k = data.draw(st.integers(-4, 4))
        oracle.agrees(rearranging.rot90(shape, k, turned), lambda x: x.rot90(k, turned), at=5)
        oracle.agrees(rearranging.fliplr(shape), torch.fliplr)
        oracle.agrees(rearranging.flipud(shape), torch.flipud)
    dim = data.draw(axes)
    size = data.draw(st.integers(1, shape[dim]))
    step = data.draw(st.integers(1, 3))
    oracle.agrees(rearranging.unfold(shape, dim, size, step), lambda x: x.unfold(dim, size, step), at=5)


@MANY
@given(SHAPES, st.data())
def test_repetitions_agree_with_pytorch(oracle, shape, data) -> None:
    repeats = [data.draw(st.integers(1, 3)) for _ in range(data.draw(st.integers(len(shape), 5)))]
    oracle.agrees(rearranging.repeat(shape, repeats), lambda x: x.repeat(repeats), at=5)
    few = repeats[: data.draw(st.integers(1, len(repeats)))]
    if len(few) <= len(shape):
        oracle.agrees(rearranging.tile(shape, few), lambda x: x.tile(few), at=5)
    dim = data.draw(st.one_of(st.none(), st.integers(-len(shape), len(shape) - 1)))
    oracle.agrees(rearranging.repeat_each(shape, repeats[0], dim), lambda x: x.repeat_interleave(repeats[0], dim), at=5)


@MANY
@given(st.lists(st.integers(1, 4), min_size=2, max_size=4).map(tuple), st.integers(-4, 4), st.data())
def test_triangles_and_diagonals_agree_with_pytorch(oracle, shape, offset, data) -> None:
    oracle.agrees(rearranging.tril(shape, offset), lambda x: x.tril(offset), at=6)
    oracle.agrees(rearranging.triu(shape, offset), lambda x: x.triu(offset), at=6)
    first, second = data.draw(st.permutations(range(len(shape))))[:2]
    new = data.draw(st.permutations(range(-len(shape) - 1, 0)))[:2]
    oracle.agrees(rearranging.diag_embed(shape, offset, *new), lambda x: torch.diag_embed(x, offset, *new), at=6)
    assume(-shape[first] < offset < shape[second])
    oracle.agrees(rearranging.diagonal(shape, offset, first, second), lambda x: x.diagonal(offset, first, second), at=4)


@MANY
@given(st.sampled_from([(), (2,), (2, 3)]), *(st.integers(1, 3) for _ in range(4)))
def test_shuffles_agree_with_pytorch(oracle, lead, channels, height, width, r) -> None:
    coarse, fine = (*lead, channels * r * r, height, width), (*lead, channels, height * r, width * r)
    oracle.agrees(rearranging.pixel_shuffle(coarse, r), lambda x: F.pixel_shuffle(x, r), at=5)
    oracle.agrees(rearranging.pixel_unshuffle(fine, r), lambda x: F.pixel_unshuffle(x, r), at=5)
    shape = (2, channels * r, height, width)
    oracle.agrees(rearranging.channel_shuffle(shape, r), lambda x: F.channel_shuffle(x, r), at=5)


@MANY
@given(st.booleans(), st.data())
def test_windows_as_columns_agree_with_pytorch(oracle, batch, data) -> None:
    two = st.tuples(st.integers(1, 2), st.integers(1, 2))
    kernel, dilation, stride = (
        data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3))),
        data.draw(two),
        data.draw(two),
    )
    padding = data.draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    size = data.draw(st.tuples(st.integers(5, 7), st.integers(5, 7)))
    lead = (2,) if batch else ()
    op = rearranging.im2col((*lead, 3, *size), kernel, dilation, padding, stride)
    oracle.agrees(op, lambda x: F.unfold(x, kernel, dilation, padding, stride), at=5)
    columns = tuple(F.unfold(torch.zeros(*lead, 3, *size), kernel, dilation, padding, stride).shape)
    op = rearranging.col2im(columns, size, kernel, dilation, padding, stride)
    oracle.agrees(op, lambda x: F.fold(x, size, kernel, dilation, padding, stride), at=5)


@pytest.mark.parametrize(
    "op",
    [
        rearranging.pixel_shuffle((1, 4, 2, 3), 2),
        rearranging.unfold((2, 5), 1, 3, 1),
        rearranging.im2col((1, 2, 4, 4), 3, 1, 1, 2),
        rearranging.col2im((1, 4, 9), (4, 4), 2, 1, 0, 1),
        rearranging.roll((2, 3), [1, 1], [0, 1]),
        rearranging.repeat((2, 3), [2, 1, 2]),
        rearranging.triu((3, 3), 0),
    ],
)
def test_gradients_by_differences(oracle, op) -> None:
    oracle.by_differences(op)
