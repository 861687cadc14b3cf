"""Numbers taken from indexed places: by hand, against PyTorch, and by differences."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.glassbox.arithmetic.evaluator import Evaluator, everything
from pellucid.glassbox.arithmetic.ops import indexing

MANY = settings(max_examples=30, deadline=None)
SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple)
SIX = {"input": np.arange(6.0).reshape(2, 3)}  # 0 1 2 / 3 4 5


def test_by_hand() -> None:
    assert everything(indexing.index_select((2, 3), 1, np.array([2, 2, 0])), SIX).tolist() == [[2, 2, 0], [5, 5, 3]]
    assert everything(indexing.gather((2, 3), 1, np.array([[2], [0]])), SIX).tolist() == [[2], [3]]
    assert everything(indexing.take((2, 3), np.array([-1, 0])), SIX).tolist() == [5, 0]
    assert everything(indexing.repeat_interleave((2, 3), np.array([0, 2]), 0), SIX).tolist() == [[3, 4, 5]] * 2
    rows, columns = np.array([1, 0]), np.array([2, -1])
    assert everything(indexing.index((2, 3), [rows, columns]), SIX).tolist() == [5, 2]


def test_a_number_taken_twice_has_two_terms() -> None:
    evaluator = Evaluator(
        indexing.index_select((2, 3), 1, np.array([2, 2, 0])), SIX, np.array([[1.0, 2, 4], [8, 16, 32]])
    )
    (terms,) = evaluator.backward("input", (0, 2))
    assert terms.values.tolist() == [1, 2]
    assert evaluator.backward("input", (0, 1)) == ()


def test_a_mask_stands_for_where_it_is_true() -> None:
    op = indexing.index((2, 3), [np.array([[True, False, True], [False, True, False]])])
    assert everything(op, SIX).tolist() == [0, 2, 4]
    assert everything(indexing.index((2, 3), [None, np.array([True, False, True])]), SIX).tolist() == [[0, 2], [3, 5]]


def test_indices_that_an_operator_returned() -> None:
    places = np.array([[2, 0], [1, 1]])
    assert everything(indexing.ranked((2, 3), places, 0, 1), SIX).tolist() == [[2, 0], [4, 4]]
    assert everything(indexing.ranked((2, 3), np.array([2, 0]), 0, 1), SIX).tolist() == [2, 3]
    assert indexing.ranked((2, 3), places, 1, 1) is None


def test_few_indices_take_no_long_json() -> None:
    shape = (1, 64, 112, 112)
    rows, columns = np.arange(0, 112, 2)[:, None], np.arange(56)[None]
    for op in (
        indexing.index(shape, [None, None, rows, columns]),
        indexing.index_select(shape, 1, np.array([3, 1])),
        indexing.gather(shape, 1, np.broadcast_to(np.array([3, 1])[None, :, None, None], (1, 2, 112, 112))),
    ):
        assert len(json.dumps(op.as_json())) < 2_000


@MANY
@given(SHAPES, st.data())
def test_one_array_of_indices_agrees_with_pytorch(oracle, shape, data) -> None:
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    one = st.integers(0, shape[dim] - 1)
    chosen = np.array(data.draw(st.lists(one, min_size=1, max_size=5)))
    oracle.agrees(indexing.index_select(shape, dim, chosen), lambda x: x.index_select(dim, torch.tensor(chosen)), at=6)
    sizes = [data.draw(st.integers(1, size)) for size in shape]
    sizes[dim] = data.draw(st.integers(1, 5))
    random = np.random.default_rng(data.draw(st.integers(0, 99)))
    index = random.integers(0, shape[dim], sizes)
    oracle.agrees(indexing.gather(shape, dim, index), lambda x: x.gather(dim, torch.tensor(index)), at=8)
    same = np.broadcast_to(
        np.moveaxis(index, dim, -1)[(0,) * (index.ndim - 1)].reshape(
            [-1 if axis == dim % len(shape) else 1 for axis in range(len(shape))]
        ),
        sizes,
    )
    oracle.agrees(indexing.gather(shape, dim, same), lambda x: x.gather(dim, torch.tensor(same.copy())), at=8)
    few = [1 if data.draw(st.booleans()) else size for size in shape]
    few[dim] = 2
    some = random.integers(0, shape[dim], few)
    oracle.agrees(indexing.take_along_dim(shape, some, dim), lambda x: x.take_along_dim(torch.tensor(some), dim), at=8)
    flat = random.integers(-np.prod(shape), np.prod(shape), (2, 3))
    oracle.agrees(indexing.take(shape, flat), lambda x: x.take(torch.tensor(flat)), at=8)
    times = random.integers(0, 3, shape[dim]) + (np.arange(shape[dim]) == 0)
    oracle.agrees(
        indexing.repeat_interleave(shape, times, dim), lambda x: x.repeat_interleave(torch.tensor(times), dim), at=6
    )


@MANY
@given(st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple), st.data())
def test_arrays_of_indices_agree_with_pytorch(oracle, shape, data) -> None:
    random = np.random.default_rng(data.draw(st.integers(0, 999)))
    own = data.draw(st.sampled_from([(), (3,), (2, 3), (1,), (2, 1, 2)]))
    indices: list[np.ndarray | None] = []
    for size in shape[: data.draw(st.integers(1, len(shape)))]:
        part = tuple(1 if data.draw(st.booleans()) else n for n in own[data.draw(st.integers(0, len(own))) :])
        indices.append(random.integers(-size, size, part) if data.draw(st.booleans()) else None)
    if all(each is None for each in indices):
        indices[-1] = random.integers(-shape[len(indices) - 1], shape[len(indices) - 1], own)
    tensors = [None if each is None else torch.tensor(each) for each in indices]
    oracle.agrees(indexing.index(shape, indices), lambda x: torch.ops.aten.index(x, tensors), at=10)


@MANY
@given(SHAPES, st.integers(0, 99), st.data())
def test_masks_agree_with_pytorch(oracle, shape, seed, data) -> None:
    axes = data.draw(st.integers(1, len(shape)))
    mask = np.random.default_rng(seed).random(shape[:axes]) < 0.6
    oracle.agrees(indexing.index(shape, [mask]), lambda x: x[torch.tensor(mask)], at=6)


@MANY
@given(SHAPES, st.data())
def test_what_is_ranked_agrees_with_pytorch(oracle, shape, data) -> None:
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    count = data.draw(st.integers(1, shape[dim]))
    largest = data.draw(st.booleans())
    arrays = {"input": np.random.default_rng(len(shape)).integers(-2, 3, shape).astype(np.float64)}
    for function in (
        lambda x: x.topk(count, dim, largest),
        lambda x: x.sort(dim, descending=largest),
        lambda x: x.kthvalue(count, dim),
        lambda x: x.kthvalue(count, dim, True),
        lambda x: x.median(dim),
        lambda x: x.cummax(dim),
    ):
        places = function(torch.tensor(arrays["input"]))[1].numpy()
        op = indexing.ranked(shape, places, 0, dim)
        oracle.agrees(op, lambda x, f=function: f(x)[0], arrays, at=8)


@pytest.mark.parametrize(
    "op",
    [
        indexing.index_select((2, 3), 1, np.array([2, 2, 0])),
        indexing.gather((2, 3), 1, np.array([[2, 0], [1, 1]])),
        indexing.index((2, 3, 4), [np.array([0, 1]), None, np.array([3, 3])]),
        indexing.take((2, 3), np.array([[5, 5], [0, 1]])),
    ],
)
def test_gradients_by_differences(oracle, op) -> None:
    oracle.by_differences(op)
