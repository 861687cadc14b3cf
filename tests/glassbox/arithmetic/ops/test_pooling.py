"""Pooling: by hand, against PyTorch, and by differences."""

import numpy as np
import pytest
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.glassbox.arithmetic.evaluator import Evaluator, everything
from pellucid.glassbox.arithmetic.ops import pooling

# the output of the article's first convolution, which its figures pool
OUTPUT = np.array([[429, 505, 686, 856], [261, 792, 412, 640], [633, 653, 851, 751], [608, 913, 713, 657]], float)[None]
MAXIMA = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
AVERAGES = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
ADAPTIVE_AVERAGES = {1: F.adaptive_avg_pool1d, 2: F.adaptive_avg_pool2d, 3: F.adaptive_avg_pool3d}
ADAPTIVE_MAXIMA = {1: F.adaptive_max_pool1d, 2: F.adaptive_max_pool2d, 3: F.adaptive_max_pool3d}
NORMS = {1: F.lp_pool1d, 2: F.lp_pool2d, 3: F.lp_pool3d}
MANY = settings(max_examples=25, deadline=None)


def test_max_pooling_of_the_article() -> None:
    op = pooling.max_pool((1, 4, 4), 2)
    assert everything(op, {"input": OUTPUT}).tolist() == [[[792, 856], [913, 851]]]
    evaluator = Evaluator(op, {"input": OUTPUT}, np.array([[[2.0, 3], [5, 7]]]))
    (terms,) = evaluator.forward((0, 0, 0))
    assert (terms.pick, terms.values.tolist(), terms.winner, terms.total) == ("max", [429, 505, 261, 792], 3, 792)
    assert terms.columns[0].indices[3].tolist() == [0, 1, 1]
    (won,) = evaluator.backward("input", (0, 1, 1))
    assert (won.values.tolist(), str(won.formula)) == ([2], "gradient of out * won")
    assert [column.values.tolist() for column in won.columns] == [[2], [1]]
    assert evaluator.gradient_of("input", (0, 0, 0))[0] == 0


def test_average_and_norm_pooling_of_the_article() -> None:
    # (429 + 505 + 261 + 792) / 4 = 496.75
    result = everything(pooling.avg_pool((1, 4, 4), 2), {"input": OUTPUT})
    assert result.tolist() == [[[496.75, 648.5], [701.75, 743.0]]]
    # sqrt(429^2 + 505^2 + 261^2 + 792^2) = 1065.106...
    norms = everything(pooling.lp_pool((1, 4, 4), 2), {"input": OUTPUT})[0]
    assert norms[0] == pytest.approx([1065.106098001509, 1335.1689031729281], rel=1e-15)
    assert norms[1] == pytest.approx([1424.896838371115, 1492.7223452470992], rel=1e-15)


def test_at_a_tie_the_first_wins_and_gets_the_gradient() -> None:
    op = pooling.max_pool((1, 2, 2), 2)
    evaluator = Evaluator(op, {"input": np.array([[[1.0, 4], [4, 4]]])}, np.full((1, 1, 1), 10.0))
    (terms,) = evaluator.forward((0, 0, 0))
    assert terms.winner == 1
    assert [evaluator.gradient_of("input", (0, y, x))[0] for y in (0, 1) for x in (0, 1)] == [0, 10, 0, 0]


def test_a_number_that_wins_in_two_windows_gets_both_gradients() -> None:
    op = pooling.max_pool((1, 5), [3], 1)  # windows 0-2, 1-3, 2-4 of 1 5 9 2 3
    evaluator = Evaluator(op, {"input": np.array([[1.0, 5, 9, 2, 3]])}, np.array([[10.0, 20, 40]]))
    (terms,) = evaluator.backward("input", (0, 2))
    assert (sorted(terms.values.tolist()), terms.total) == ([10, 20, 40], 70)
    (other,) = evaluator.backward("input", (0, 1))
    assert (other.values.tolist(), other.total) == ([0, 0], 0)


def test_padding_is_no_candidate() -> None:
    op = pooling.max_pool((1, 3), [3], 2, 1)
    evaluator = Evaluator(op, {"input": np.array([[-5.0, -2, -7]])}, np.ones((1, 2)))
    (terms,) = evaluator.forward((0, 0))
    assert terms.columns[0].inside.tolist() == [False, True, True]
    assert terms.values.tolist() == [-np.inf, -5, -2]
    assert (terms.total, terms.winner, terms.scale) == (-2, 2, 2)  # -5 cannot be the largest by rounding


def test_a_number_between_windows_has_no_gradient() -> None:
    evaluator = Evaluator(pooling.max_pool((1, 5), [2], 3), {"input": np.ones((1, 5))}, np.ones((1, 2)))
    assert evaluator.backward("input", (0, 2)) == ()
    assert evaluator.gradient_of("input", (0, 2)) == (0, 0)


def test_what_the_padding_counts_for_in_an_average() -> None:
    numbers = {"input": np.array([[6.0, 12, 18]])}
    # windows (pad 6 12) and (12 18 pad)
    assert everything(pooling.avg_pool((1, 3), [3], [2], [1]), numbers)[0] == pytest.approx([6, 10])
    op = pooling.avg_pool((1, 3), [3], [2], [1], count_include_pad=False)
    assert everything(op, numbers)[0] == pytest.approx([9, 15])
    (terms,) = Evaluator(op, numbers).forward((0, 0))
    assert terms.values.tolist() == [0, 3, 6]  # each times 1/2, the share
    assert terms.columns[1].name == "share"
    assert everything(pooling.avg_pool((1, 3), [3], [2], [1], divisor_override=2), numbers)[0] == pytest.approx([9, 15])


def test_adaptive_windows_by_hand() -> None:
    # 5 numbers into 3: from floor(5i/3) to ceil(5(i+1)/3): 0-1, 1-3, 3-4
    numbers = {"input": np.array([[3.0, 5, 10, 12, 20]])}
    assert everything(pooling.adaptive_avg_pool((1, 5), [3]), numbers).tolist() == [[4, 9, 16]]
    assert everything(pooling.adaptive_max_pool((1, 5), [3]), numbers).tolist() == [[5, 12, 20]]
    evaluator = Evaluator(pooling.adaptive_avg_pool((1, 5), [3]), numbers, np.array([[6.0, 12, 24]]))
    (terms,) = evaluator.backward("input", (0, 1))  # in two windows, of 2 and of 3
    assert terms.values == pytest.approx([3, 4])


@st.composite
def pools(draw, dilated: bool = False):
    """(input's shape, settings) of a pooling in one to three dimensions."""
    dimensions = draw(st.integers(1, 3))
    several = st.lists(st.integers(1, 3), min_size=dimensions, max_size=dimensions)
    kernel = draw(several)
    padding = [draw(st.integers(0, k // 2)) for k in kernel]
    settings = {"kernel_size": kernel, "padding": padding, "ceil_mode": draw(st.booleans())}
    if draw(st.booleans()):
        settings["stride"] = draw(several)
    dilation = draw(several) if dilated else [1] * dimensions
    if dilated:
        settings["dilation"] = dilation
    sizes = [d * (k - 1) + 1 + draw(st.integers(0, 4)) for k, d in zip(kernel, dilation, strict=True)]
    return (*draw(st.sampled_from([(1,), (2,), (2, 2)])), *sizes), settings


@MANY
@given(pools(dilated=True))
def test_max_pooling_agrees_with_pytorch(oracle, drawn) -> None:
    shape, settings = drawn
    function = MAXIMA[len(settings["kernel_size"])]
    oracle.agrees(pooling.max_pool(shape, **settings), lambda x: function(x, **settings))


@MANY
@given(pools())
def test_max_pooling_with_ties_agrees_with_pytorch(oracle, drawn) -> None:
    shape, settings = drawn
    op, function = pooling.max_pool(shape, **settings), MAXIMA[len(settings["kernel_size"])]
    arrays = oracle.numbers(op, input=oracle.random.integers(0, 2, shape))
    oracle.agrees(op, lambda x: function(x, **settings), arrays, at=6)


@MANY
@given(pools(), st.booleans(), st.sampled_from([None, 1, 5]))
def test_average_pooling_agrees_with_pytorch(oracle, drawn, include, divisor) -> None:
    shape, settings = drawn
    dimensions = len(settings["kernel_size"])
    settings["count_include_pad"] = include
    if dimensions > 1:  # one dimension has no such setting
        settings["divisor_override"] = divisor
    op = pooling.avg_pool(shape, **settings)
    oracle.agrees(op, lambda x: AVERAGES[dimensions](x, **settings))


@MANY
@given(pools(), st.sampled_from([1.0, 2.0, 3.0, 2.5]))
def test_norm_pooling_agrees_with_pytorch(oracle, drawn, norm) -> None:
    shape, settings = drawn
    settings = {name: settings[name] for name in ("kernel_size", "stride") if name in settings}
    op = pooling.lp_pool(shape, norm_type=norm, **settings)
    arrays = oracle.numbers(op, input=np.abs(oracle.random.standard_normal(shape)) + 0.1)
    dimensions = len(settings["kernel_size"])
    if dimensions == 1:
        settings = {name: number for name, (number,) in settings.items()}  # PyTorch's takes no tuple
    oracle.agrees(op, lambda x: NORMS[dimensions](x, norm, **settings), arrays)


@MANY
@given(st.lists(st.tuples(st.integers(1, 7), st.integers(1, 7)), min_size=1, max_size=3), st.booleans())
def test_adaptive_pooling_agrees_with_pytorch(oracle, sizes, batch) -> None:
    shape = (*((2,) if batch else ()), 2, *(n for n, _ in sizes))
    wanted = [size for _, size in sizes]
    oracle.agrees(pooling.adaptive_avg_pool(shape, wanted), lambda x: ADAPTIVE_AVERAGES[len(sizes)](x, wanted))
    oracle.agrees(pooling.adaptive_max_pool(shape, wanted), lambda x: ADAPTIVE_MAXIMA[len(sizes)](x, wanted))


@pytest.mark.parametrize(
    "op",
    [
        pooling.max_pool((2, 2, 5, 5), 3, 2, 1),
        pooling.max_pool((2, 7), [2], 1, 0, 2),
        pooling.avg_pool((2, 5, 6), [3, 2], 2, 1, True, False),
        pooling.adaptive_avg_pool((2, 5, 4), [3, 3]),
        pooling.adaptive_max_pool((2, 5, 4), [3, 3]),
        pooling.lp_pool((2, 4, 5), [2, 3], 1),
    ],
    ids=lambda op: op.kind,
)
def test_gradients_by_differences(oracle, op) -> None:
    arrays = {"input": np.abs(oracle.random.standard_normal(op.shapes["input"])) + 0.1}
    oracle.by_differences(op, arrays)


def test_a_norm_of_zeros_is_0_and_its_gradient_too(oracle) -> None:
    for norm in (1, 2):
        op = pooling.lp_pool((1, 2, 4), 2, norm_type=norm)
        arrays = {"input": np.array([[[0.0, 0, 3, 4], [0, 0, 0, 0]]])}
        oracle.agrees(op, lambda x, norm=norm: F.lp_pool2d(x, norm, 2), arrays, at=8)
        evaluator = Evaluator(op, arrays, np.ones((1, 1, 2)))
        assert evaluator.value("out", (0, 0, 0)) == pytest.approx((0, 0))
        assert evaluator.gradient_of("input", (0, 0, 0))[0] == 0


def test_norms_of_1_and_2_take_negative_numbers(oracle) -> None:
    for norm in (1, 2):
        op = pooling.lp_pool((2, 4, 4), 2, norm_type=norm)
        oracle.agrees(op, lambda x, norm=norm: F.lp_pool2d(x, norm, 2))
