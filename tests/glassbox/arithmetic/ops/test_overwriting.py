"""Ops that replace numbers at some places: by hand, against PyTorch, and by differences."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.glassbox.arithmetic.evaluator import Evaluator, everything
from pellucid.glassbox.arithmetic.ops import overwriting

MANY = settings(max_examples=15, deadline=None)
SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple)
SIX = {"input": np.arange(6.0).reshape(2, 3)}  # 0 1 2 / 3 4 5


def test_by_hand() -> None:
    filled = overwriting.index_fill((2, 3), 1, np.array([0, 2]), 9.0)
    assert everything(filled, SIX).tolist() == [[9, 1, 9], [9, 4, 9]]
    arrays = SIX | {"src": np.array([7.0, 8])}
    op = overwriting.select_scatter((2, 3), (2,), 1, -1)
    assert everything(op, arrays).tolist() == [[0, 1, 7], [3, 4, 8]]
    evaluator = Evaluator(op, arrays, np.arange(6.0).reshape(2, 3))
    assert evaluator.gradient_of("src", (1,))[0] == 5
    assert [evaluator.gradient_of("input", (1, x))[0] for x in range(3)] == [3, 4, 0]
    added = overwriting.scatter_add((2, 3), 1, np.array([[1, 1]]), (1, 2))
    assert everything(added, SIX | {"src": np.array([[10.0, 20]])}).tolist() == [[0, 31, 2], [3, 4, 5]]


def test_a_place_that_is_named_twice_is_not_written() -> None:
    twice = np.array([1, 1])
    assert overwriting.index_copy((2, 3), 1, twice, (2, 2)) is None
    assert overwriting.scatter((2, 3), 1, twice[None], (1, 2)) is None
    assert overwriting.index_put((2, 3), [twice], (2, 3)) is None
    assert overwriting.index_put((2, 3), [twice], (2, 3), True) is not None
    assert overwriting.scatter((2, 3), 1, np.array([[1]]), (1, 1), reduce="multiply") is None


@MANY
@given(SHAPES, st.data())
def test_along_an_axis_agrees_with_pytorch(oracle, shape, data) -> None:
    random = np.random.default_rng(data.draw(st.integers(0, 99)))
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    size = shape[dim]
    place = dim % len(shape)
    index = data.draw(st.integers(-size, size - 1))
    less = tuple(np.delete(shape, place))
    oracle.agrees(
        overwriting.select_scatter(shape, less, dim, index), lambda x, y: x.select_scatter(y, dim, index), at=6
    )
    start, step = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, 2))
    part = (*shape[:place], len(range(start, size, step)), *shape[place + 1 :])
    op = overwriting.slice_scatter(shape, part, dim, start, None, step)
    oracle.agrees(op, lambda x, y: x.slice_scatter(y, dim, start, None, step), at=6)
    chosen = random.permutation(size)[: data.draw(st.integers(1, size))]
    tensor = torch.tensor(chosen)
    some = (*shape[:place], len(chosen), *shape[place + 1 :])
    oracle.agrees(overwriting.index_fill(shape, dim, chosen, 0.5), lambda x: x.index_fill(dim, tensor, 0.5), at=6)
    oracle.agrees(overwriting.index_fill(shape, dim, chosen, ()), lambda x, v: x.index_fill(dim, tensor, v), at=6)
    oracle.agrees(overwriting.index_copy(shape, dim, chosen, some), lambda x, y: x.index_copy(dim, tensor, y), at=6)
    several = torch.tensor(random.integers(0, size, len(chosen)))
    op = overwriting.index_add(shape, dim, several.numpy(), some, 0.5)
    oracle.agrees(op, lambda x, y: x.index_add(dim, several, y, alpha=0.5), at=6)


@MANY
@given(SHAPES, st.data())
def test_at_any_places_agrees_with_pytorch(oracle, shape, data) -> None:
    random = np.random.default_rng(data.draw(st.integers(0, 99)))
    dim = data.draw(st.integers(0, len(shape) - 1))
    sizes = [data.draw(st.integers(1, size)) for size in shape]
    once = np.moveaxis(random.permuted(np.broadcast_to(np.arange(shape[dim]), (*sizes, shape[dim])), axis=-1), -1, 0)[0]
    sizes[dim] = 1
    once = torch.tensor(np.ascontiguousarray(once.take([0], dim)))
    source = tuple(once.shape)  # PyTorch's gradient wants it to be of the index's shape
    oracle.agrees(overwriting.scatter(shape, dim, once.numpy(), source), lambda x, y: x.scatter(dim, once, y), at=6)
    oracle.agrees(overwriting.scatter(shape, dim, once.numpy(), value=2.5), lambda x: x.scatter(dim, once, 2.5), at=6)
    sizes[dim] = 3
    many = torch.tensor(random.integers(0, shape[dim], sizes))
    op = overwriting.scatter_add(shape, dim, many.numpy(), tuple(sizes))
    oracle.agrees(op, lambda x, y: x.scatter_add(dim, many, y), at=6)
    rows = torch.tensor(random.permutation(shape[0])[: data.draw(st.integers(1, shape[0]))])
    values = (len(rows), *(1 for _ in shape[1:]))
    for accumulate in (False, True):
        op = overwriting.index_put(shape, [rows.numpy()], values, accumulate)
        oracle.agrees(op, lambda x, y, a=accumulate: torch.ops.aten.index_put(x, [rows], y, a), at=6)


def test_at_places_of_one_row_under_a_mask_and_on_the_diagonal(oracle) -> None:
    places, mask = torch.tensor([[3, -1], [0, 7]]), torch.arange(4) > 1
    op = overwriting.put((3, 4), places.numpy(), (2, 2))
    oracle.agrees(op, lambda x, y: x.put(places, y), at=9)
    twice = torch.tensor([3, 3])
    assert overwriting.put((3, 4), twice.numpy(), (2,)) is None
    oracle.agrees(overwriting.put((3, 4), twice.numpy(), (2,), True), lambda x, y: x.put(twice, y, True), at=9)
    op = overwriting.masked_scatter((3, 4), mask.numpy(), (2, 5))
    oracle.agrees(op, lambda x, y: x.masked_scatter(mask, y), at=9)
    assert overwriting.masked_scatter((4,), np.ones((3, 4), bool), (12,)) is None
    for shape in ((3, 4), (5, 2), (3, 3, 3)):
        op = overwriting.fill_diagonal(shape, 0.5)
        oracle.agrees(op, lambda x: (x * 1).fill_diagonal_(0.5), at=9)
    assert overwriting.fill_diagonal((5, 2), 0.5, True) is None


@pytest.mark.parametrize(
    "op",
    [
        overwriting.slice_scatter((2, 5), (2, 2), 1, 1, None, 2),
        overwriting.index_add((2, 3), 1, np.array([0, 0]), (2, 2)),
        overwriting.index_put((2, 3), [None, np.array([1])], (2, 1)),
    ],
)
def test_gradients_by_differences(oracle, op) -> None:
    oracle.by_differences(op)
