"""Ops that move numbers without changing them: by hand, against PyTorch, and by differences."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.glassbox.arithmetic.evaluator import Evaluator, everything
from pellucid.glassbox.arithmetic.ops import shaping

MANY = settings(max_examples=15, deadline=None)
SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple)
SIX = {"input": np.arange(6.0).reshape(2, 3)}  # 0 1 2 / 3 4 5


def test_flatten_by_hand() -> None:
    op = shaping.flatten((2, 2, 3), 0)
    evaluator = Evaluator(op, {"input": np.arange(12.0).reshape(2, 2, 3)}, np.arange(12.0))
    (terms,) = evaluator.forward((10,))  # number (c*2 + y)*3 + x of [1, 1, 1]
    assert terms.columns[0].indices.tolist() == [[1, 1, 1]]
    assert terms.total == 10
    (back,) = evaluator.backward("input", (1, 0, 2))
    assert (back.columns[0].indices.tolist(), back.total) == ([[8]], 8)


def test_reshaped_and_turned_by_hand() -> None:
    assert everything(shaping.reshape((2, 3), (3, 2)), SIX).tolist() == [[0, 1], [2, 3], [4, 5]]
    assert everything(shaping.permute((2, 3), [1, 0]), SIX).tolist() == [[0, 3], [1, 4], [2, 5]]
    assert everything(shaping.transpose((2, 3), 0, -1), SIX).tolist() == [[0, 3], [1, 4], [2, 5]]
    assert everything(shaping.flatten(()), {"input": np.array(7.0)}).tolist() == [7]


def test_cut_by_hand() -> None:
    op = shaping.slice_of((2, 3), 1, 0, None, 2)
    assert everything(op, SIX).tolist() == [[0, 2], [3, 5]]
    evaluator = Evaluator(op, SIX, np.array([[10.0, 20], [30, 40]]))
    assert [evaluator.gradient_of("input", (1, x))[0] for x in range(3)] == [30, 0, 40]
    assert everything(shaping.select((2, 3), 0, -1), SIX).tolist() == [3, 4, 5]


def test_what_is_not_selected_has_no_gradient() -> None:
    # an array of one axis has no index name left
    evaluator = Evaluator(shaping.select((3,), 0, 1), {"input": np.array([5.0, 6, 7])}, np.array(10.0))
    assert evaluator.value("out", ())[0] == 6
    assert [evaluator.gradient_of("input", (x,))[0] for x in range(3)] == [0, 10, 0]
    assert evaluator.backward("input", (0,)) == ()


def test_joined_and_repeated_by_hand() -> None:
    op = shaping.concatenate([(1, 2), (2, 2)])
    arrays = {"tensors0": np.array([[1.0, 2]]), "tensors1": np.array([[3.0, 4], [5, 6]])}
    assert everything(op, arrays).tolist() == [[1, 2], [3, 4], [5, 6]]
    evaluator = Evaluator(op, arrays, np.array([[1.0, 2], [3, 4], [5, 6]]))
    assert evaluator.gradient_of("tensors1", (1, 0))[0] == 5
    op = shaping.expand((1, 3), (2, 3))
    evaluator = Evaluator(op, {"input": np.array([[1.0, 2, 3]])}, np.array([[1.0, 2, 4], [8, 16, 32]]))
    assert evaluator.value("out", (1, 2))[0] == 3
    (terms,) = evaluator.backward("input", (0, 2))
    assert terms.values.tolist() == [4, 32]


def test_added_up_by_hand() -> None:
    assert everything(shaping.mean((2, 3), 1), SIX) == pytest.approx([1, 4])
    assert everything(shaping.total((2, 3)), SIX).tolist() == 15
    assert everything(shaping.total((2, 3), [0], True), SIX).tolist() == [[3, 5, 7]]
    (terms,) = Evaluator(shaping.mean((2, 3), 1), SIX).forward((1,))
    assert terms.values == pytest.approx([1, 4 / 3, 5 / 3])
    (back,) = Evaluator(shaping.mean((2, 3), 1), SIX, np.array([6.0, 12])).backward("input", (1, 0))
    assert back.values == pytest.approx([4])


def test_no_gradient_goes_through_detached_numbers() -> None:
    evaluator = Evaluator(shaping.detach((2, 3)), SIX, np.ones((2, 3)))
    assert evaluator.value("out", (1, 1))[0] == 4
    assert evaluator.backward("input", (1, 1)) == ()


def test_dropout_is_written_where_nothing_is_dropped() -> None:
    assert shaping.dropout((2, 3), 0.5, True) is None
    for op in (shaping.dropout((2, 3), 0.5, False), shaping.dropout((2, 3), 0, True)):
        assert op is not None
        assert everything(op, SIX).tolist() == SIX["input"].tolist()


@MANY
@given(SHAPES, st.data())
def test_moves_agree_with_pytorch(oracle, shape, data) -> None:
    axis = st.integers(-len(shape), len(shape) - 1)
    first, second = sorted(data.draw(st.tuples(axis, axis)), key=lambda a: a % len(shape))
    oracle.agrees(shaping.flatten(shape, first, second), lambda x: x.flatten(first, second))
    oracle.agrees(shaping.transpose(shape, first, second), lambda x: x.transpose(first, second))
    order = data.draw(st.permutations(range(len(shape))))
    oracle.agrees(shaping.permute(shape, order), lambda x: x.permute(order))
    other = (*shape[::-1], 1)
    oracle.agrees(shaping.reshape(shape, other), lambda x: x.reshape(other))
    index = data.draw(st.integers(-shape[first], shape[first] - 1))
    oracle.agrees(shaping.select(shape, first, index), lambda x: x.select(first, index))
    wider = (*data.draw(SHAPES)[:2], *(n if n > 1 else data.draw(st.integers(1, 3)) for n in shape))
    oracle.agrees(shaping.expand(shape, wider), lambda x: x.expand(wider))


@MANY
@given(SHAPES, st.data())
def test_axes_in_another_order_agree_with_pytorch(oracle, shape, data) -> None:
    axes = st.lists(st.sampled_from(range(len(shape))), min_size=1, max_size=len(shape), unique=True)
    source = data.draw(axes)
    to = data.draw(st.permutations(range(len(shape))))[: len(source)]
    to = [axis - len(shape) if data.draw(st.booleans()) else axis for axis in to]
    oracle.agrees(shaping.movedim(shape, source, to), lambda x: x.movedim(source, to))
    oracle.agrees(shaping.movedim(shape, source[0], to[0]), lambda x: x.movedim(source[0], to[0]))
    oracle.agrees(shaping.swapaxes(shape, source[0], to[0]), lambda x: x.swapaxes(source[0], to[0]))
    if len(shape) <= 2:
        oracle.agrees(shaping.reversed_axes(shape), lambda x: x.t())


@MANY
@given(SHAPES, st.integers(1, 3), st.data())
def test_stacks_and_pieces_agree_with_pytorch(oracle, shape, count, data) -> None:
    dim = data.draw(st.integers(-len(shape) - 1, len(shape)))
    oracle.agrees(shaping.stack([shape] * count, dim), lambda *tensors: torch.stack(tensors, dim))
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    start = data.draw(st.integers(-shape[dim], shape[dim] - 1))
    length = data.draw(st.integers(0, shape[dim] - start % shape[dim]))
    oracle.agrees(shaping.narrow(shape, dim, start, length), lambda x: x.narrow(dim, start, length))
    piece = data.draw(st.integers(0, shape[dim] - 1))
    oracle.agrees(shaping.unbind(shape, piece, dim), lambda x: x.unbind(dim)[piece])
    if len(shape) >= 3:
        oracle.agrees(shaping.hsplit(shape, 0, [shape]), lambda x: x.hsplit(1)[0])
        oracle.agrees(shaping.vsplit(shape, 0, [shape]), lambda x: x.vsplit(1)[0])
        oracle.agrees(shaping.dsplit(shape, 0, [shape]), lambda x: x.dsplit(1)[0])
        oracle.agrees(shaping.matrix_transpose(shape), lambda x: x.mT)
    for cut in (lambda x: x.split(count, dim), lambda x: x.chunk(count, dim), lambda x: x.tensor_split(count, dim)):
        pieces = [tuple(each.shape) for each in cut(torch.zeros(shape))]
        number = data.draw(st.integers(0, len(pieces) - 1))
        oracle.agrees(shaping.split(shape, number, pieces, dim), lambda x, c=cut, n=number: c(x)[n])


@MANY
@given(st.lists(st.integers(1, 4), min_size=1, max_size=3), st.sampled_from(["ij", "xy"]), st.data())
def test_grids_agree_with_pytorch(oracle, sizes, indexing, data) -> None:
    piece = data.draw(st.integers(0, len(sizes) - 1))
    rows = [torch.zeros(size, dtype=torch.float64) for size in sizes]
    out = tuple(torch.meshgrid(*rows, indexing=indexing)[0].shape)
    op = shaping.meshgrid([(size,) for size in sizes], piece, out, indexing)

    def grid(x: torch.Tensor) -> torch.Tensor:
        each = [x if number == piece else row for number, row in enumerate(rows)]
        return torch.meshgrid(*each, indexing=indexing)[piece]

    oracle.agrees(op, grid)


@MANY
@given(SHAPES, st.data())
def test_slices_agree_with_pytorch(oracle, shape, data) -> None:
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    bound = st.one_of(st.none(), st.integers(-6, 6), st.just(2**63 - 1))
    start, end, step = (
        data.draw(st.one_of(st.none(), st.integers(-6, 6))),
        data.draw(bound),
        data.draw(st.integers(1, 3)),
    )
    op = shaping.slice_of(shape, dim, start, end, step)
    oracle.agrees(op, lambda x: torch.ops.aten.slice(x, dim, start, end, step), at=5)


@MANY
@given(SHAPES, st.data())
def test_concatenation_agrees_with_pytorch(oracle, shape, data) -> None:
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    lengths = data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))
    place = dim % len(shape)
    shapes = [(*shape[:place], length, *shape[place + 1 :]) for length in lengths]
    oracle.agrees(shaping.concatenate(shapes, dim), lambda *tensors: torch.cat(tensors, dim))


@MANY
@given(SHAPES, st.booleans(), st.data())
def test_sums_and_averages_agree_with_pytorch(oracle, shape, keepdim, data) -> None:
    axes = st.integers(-len(shape), len(shape) - 1)
    dims = data.draw(st.lists(axes, max_size=len(shape), unique_by=lambda a: a % len(shape)))
    for dim in (dims, tuple(dims), dims[0] if dims else None):
        oracle.agrees(shaping.mean(shape, dim, keepdim), lambda x, d=dim: x.mean(d, keepdim), at=2)
        oracle.agrees(shaping.total(shape, dim, keepdim), lambda x, d=dim: x.sum(d, keepdim), at=2)


@pytest.mark.parametrize(
    "op",
    [
        shaping.flatten((2, 2, 3), 1),
        shaping.permute((2, 3, 2), [2, 0, 1]),
        shaping.concatenate([(2, 1), (2, 3)], 1),
        shaping.slice_of((2, 5), 1, 1, None, 2),
        shaping.select((2, 3), 1, 2),
        shaping.expand((3, 1), (2, 3, 2)),
        shaping.movedim((2, 3, 2), 0, -1),
        shaping.stack([(2, 3), (2, 3)], 1),
        shaping.broadcast_tensors([(3, 1), (2, 3, 2)], 0, (2, 3, 2)),
        shaping.mean((2, 3, 2), [0, 2]),
        shaping.total((2, 3), 0, True),
    ],
    ids=lambda op: op.kind,
)
def test_gradients_by_differences(oracle, op) -> None:
    oracle.by_differences(op)
