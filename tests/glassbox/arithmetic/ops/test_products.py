"""Convolutions and matrix products: by hand, against PyTorch, and by differences."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.glassbox.arithmetic.declaration import OUT, Axis
from pellucid.glassbox.arithmetic.evaluator import Evaluator, everything
from pellucid.glassbox.arithmetic.ops import products

# The article's picture and its weights, figure "six by six".
PICTURE = np.array(
    [
        [18, 54, 51, 239, 244, 188],
        [55, 121, 75, 78, 95, 88],
        [35, 24, 204, 113, 109, 221],
        [3, 154, 104, 235, 25, 130],
        [15, 253, 225, 159, 78, 233],
        [68, 85, 180, 214, 245, 0],
    ],
    np.float64,
)[None]
CROSS = np.array([[1, 0, 1], [0, 1, 0], [1, 0, 1]], np.float64)[None, None]
CONVOLUTIONS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
MANY = settings(max_examples=25, deadline=None)


def article(**settings):
    return products.conv((1, 6, 6), (1, 1, 3, 3), **settings), {"input": PICTURE, "weight": CROSS}


def test_the_first_unit_of_the_article() -> None:
    (terms,) = Evaluator(*article()).forward((0, 0, 0))
    # 18*1 + 54*0 + 51*1 + 55*0 + 121*1 + 75*0 + 35*1 + 24*0 + 204*1 = 429
    assert terms.values.tolist() == [18, 0, 51, 0, 121, 0, 35, 0, 204]
    assert terms.total == 429
    assert str(terms.formula) == "input * weight"
    assert [column.name for column in terms.columns] == ["input", "weight"]
    assert terms.columns[0].indices.tolist() == [[0, y, x] for y in range(3) for x in range(3)]
    assert terms.columns[1].indices.tolist() == [[0, 0, y, x] for y in range(3) for x in range(3)]
    assert terms.scale == pytest.approx(3 * 429)  # sqrt(9) * the sum of the terms' sizes


def test_the_whole_output_of_the_article() -> None:
    expected = [[429, 505, 686, 856], [261, 792, 412, 640], [633, 653, 851, 751], [608, 913, 713, 657]]
    assert everything(*article()).tolist() == [expected]


def test_stride_two_of_the_article() -> None:
    # the article misprints 412, which is stride 1's
    assert everything(*article(stride=2)).tolist() == [[[429, 686], [633, 851]]]


def test_same_padding_of_the_article() -> None:
    op, arrays = article(padding="same")
    assert op == article(padding=1)[0]
    result = everything(op, arrays)
    assert result[0, 0, :2].tolist() == [139, 184]
    assert result[0, 1:-1, 1:-1].tolist() == everything(*article())[0].tolist()
    (terms,) = Evaluator(op, arrays).forward((0, 0, 0))
    # the window's first row and column lie in the padding: 18*1 + 54*0 + 55*0 + 121*1
    assert terms.columns[0].inside.tolist() == [False] * 4 + [True] * 2 + [False] + [True] * 2
    assert terms.values.tolist() == [0, 0, 0, 0, 18, 0, 0, 0, 121]


def test_a_single_weight_and_a_pair_of_weights() -> None:
    three = products.conv((1, 2, 2), (1, 1, 1, 1))
    numbers = {"input": np.array([[[25.0, 2], [223, 7]]]), "weight": np.full((1, 1, 1, 1), 3.0)}
    assert everything(three, numbers).tolist() == [[[75, 6], [669, 21]]]
    pair = {"input": np.array([[[86.0, 4, 8, 184]]]), "weight": np.array([[[[1, 0.3]]]])}
    result = everything(products.conv((1, 1, 4), (1, 1, 1, 2)), pair)
    assert result[0, 0] == pytest.approx([87.2, 6.4, 63.2])  # 86 + 0.3*4, 4 + 0.3*8, 8 + 0.3*184
    padded = everything(products.conv((1, 1, 4), (1, 1, 1, 2), padding=(0, 1)), pair)
    assert padded[0, 0] == pytest.approx([25.8, 87.2, 6.4, 63.2, 184])


def test_gradients_of_one_weight_and_one_pixel_by_hand() -> None:
    # 1 x 2 weights over [2, 3, 5]: out = [2a + 3b, 3a + 5b]; with the loss's gradient [10, 1]
    op = products.conv((1, 3), (1, 1, 2), (1,))
    arrays = {"input": np.array([[2.0, 3, 5]]), "weight": np.array([[[7.0, 11]]]), "bias": np.array([1.0])}
    evaluator = Evaluator(op, arrays, np.array([[10.0, 1]]))
    assert everything(op, arrays).tolist() == [[2 * 7 + 3 * 11 + 1, 3 * 7 + 5 * 11 + 1]]
    (weight,) = evaluator.backward("weight", (0, 0, 0))
    assert weight.values.tolist() == [10 * 2, 1 * 3]
    assert str(weight.formula) == "gradient of out * input"
    (pixel,) = evaluator.backward("input", (0, 1))
    assert sorted(pixel.values.tolist()) == [1 * 7, 10 * 11]
    assert str(pixel.formula) == "gradient of out * weight"
    (bias,) = evaluator.backward("bias", (0,))
    assert (bias.values.tolist(), str(bias.formula)) == ([10, 1], "gradient of out")


def test_bias_is_a_part_of_its_own() -> None:
    op = products.conv((1, 3), (2, 1, 2), (2,))
    evaluator = Evaluator(op, {"input": np.ones((1, 3)), "weight": np.ones((2, 1, 2)), "bias": np.array([4.0, 5])})
    products_part, bias = evaluator.forward((1, 0))
    assert (products_part.total, bias.total, bias.columns[0].indices.tolist()) == (2, 5, [[1]])
    assert evaluator.value(OUT, (1, 0))[0] == 7


def test_a_pixel_that_no_window_meets_has_no_gradient() -> None:
    op = products.conv((1, 6), (1, 1, 2), stride=3)  # windows 0-1 and 3-4
    arrays = {"input": np.ones((1, 6)), "weight": np.ones((1, 1, 2))}
    evaluator = Evaluator(op, arrays, np.ones((1, 2)))
    assert [len(evaluator.backward("input", (0, x))) for x in range(6)] == [1, 1, 0, 1, 1, 0]
    assert evaluator.gradient_of("input", (0, 2)) == (0, 0)


def test_a_transposed_convolution_by_hand() -> None:
    op = products.conv_transpose((1, 2), (1, 1, 3), stride=2)
    arrays = {"input": np.array([[5.0, 7]]), "weight": np.array([[[1.0, 2, 3]]])}
    # 5*[1 2 3 . .] + 7*[. . 1 2 3]: the middle one gets from both
    assert everything(op, arrays).tolist() == [[5, 10, 15 + 7, 14, 21]]
    (terms,) = Evaluator(op, arrays).forward((0, 2))
    assert sorted(terms.values.tolist()) == [7, 15]


def test_dense_and_matrix_products_by_hand() -> None:
    arrays = {"input": np.array([2.0, 3]), "weight": np.array([[5.0, 7], [11, 13]]), "bias": np.array([1.0, 2])}
    op = products.linear((2,), (2, 2), (2,))
    assert everything(op, arrays).tolist() == [2 * 5 + 3 * 7 + 1, 2 * 11 + 3 * 13 + 2]
    pair = {"input": np.array([[1.0, 2], [3, 4]]), "other": np.array([[5.0, 6], [7, 8]])}
    product = products.matmul((2, 2), (2, 2))
    assert everything(product, pair).tolist() == [[19, 22], [43, 50]]
    vector = {"input": np.array([[1.0, 2], [3, 4]]), "other": np.array([5.0, 6])}
    assert everything(products.matmul((2, 2), (2,)), vector).tolist() == [1 * 5 + 2 * 6, 3 * 5 + 4 * 6]
    assert everything(products.matmul((2,), (2,)), {"input": np.array([1.0, 2]), "other": np.array([3.0, 4])}) == 11


@st.composite
def windows(draw, transposed: bool = False):
    """(input's shape, weight's shape, has a bias, settings) of a convolution in one to three dimensions."""
    dimensions = draw(st.integers(1, 3))
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    per_in, per_out = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    if draw(st.booleans()) and groups > 1:
        per_in = 1  # depthwise
    several = st.tuples(*[st.integers(1, 3)] * dimensions)
    kernel, dilation = draw(several), draw(several)
    stride = draw(st.one_of(st.integers(1, 3), several))
    lead = draw(st.sampled_from([(), (1,), (2,)]))
    sizes = tuple(
        d * (k - 1) + 1 + draw(st.integers(0, 3)) if not transposed else draw(st.integers(1, 4))
        for k, d in zip(kernel, dilation, strict=True)
    )
    padding = draw(st.tuples(*[st.integers(0, 2)] * dimensions))
    channels = (per_in * groups, per_out) if transposed else (per_out * groups, per_in)
    settings = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return (*lead, per_in * groups, *sizes), (*channels, *kernel), draw(st.booleans()), settings


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@MANY
@given(windows(), st.sampled_from(["same", "valid", None]))
def test_convolution_agrees_with_pytorch(oracle, drawn, words) -> None:
    input, weight, bias, settings = drawn
    if words == "same":
        settings |= {"padding": "same", "stride": 1}
    elif words == "valid":
        settings |= {"padding": "valid"}
    op = products.conv(input, weight, (weight[0],) if bias else None, **settings)
    function = CONVOLUTIONS[len(weight) - 2]
    oracle.agrees(op, lambda x, w, b=None: function(x, w, b, **settings))


@MANY
@given(windows(transposed=True), st.integers(0, 2))
def test_transposed_convolution_agrees_with_pytorch(oracle, drawn, extra) -> None:
    input, weight, bias, settings = drawn
    strides = settings["stride"]
    strides = (strides,) * (len(weight) - 2) if isinstance(strides, int) else strides
    settings["output_padding"] = tuple(
        min(extra, max(s, d) - 1) for s, d in zip(strides, settings["dilation"], strict=True)
    )
    op = products.conv_transpose(input, weight, (weight[1] * settings["groups"],) if bias else None, **settings)
    if min(op.shapes[OUT]) < 1:
        return  # the padding cuts off everything: PyTorch refuses
    function = TRANSPOSED[len(weight) - 2]
    oracle.agrees(op, lambda x, w, b=None: function(x, w, b, **settings))


@MANY
@given(st.lists(st.integers(1, 4), max_size=3), st.integers(1, 5), st.integers(1, 5), st.booleans())
def test_dense_agrees_with_pytorch(oracle, lead, inputs, outputs, bias) -> None:
    op = products.linear((*lead, inputs), (outputs, inputs), (outputs,) if bias else None)
    oracle.agrees(op, F.linear)


@MANY
@given(st.lists(st.sampled_from([(2, 2), (1, 3), (3, 1), (1, 1)]), max_size=2), st.integers(0, 2), st.integers(1, 4))
def test_matrix_products_agree_with_pytorch(oracle, lead, shorter, inner) -> None:
    left, right = (*(a for a, _ in lead), 2, inner), (*(b for _, b in lead), inner, 3)
    right = right[min(shorter, len(right) - 2) :]
    oracle.agrees(products.matmul(left, right), torch.matmul)


@pytest.mark.parametrize(
    "op",
    [
        products.conv((2, 4, 5, 6), (6, 2, 2, 3), (6,), (2, 1), (1, 0), (1, 2), 2),
        products.conv((3, 7), (3, 1, 3), None, 2, 1, 1, 3),
        products.conv((1, 2, 3, 3, 3), (2, 2, 2, 2, 2), (2,), padding=1),
        products.conv_transpose((2, 4, 3, 3), (4, 1, 3, 2), (2,), 2, 1, 1, 2),
        products.linear((2, 3, 4), (5, 4), (5,)),
        products.matmul((2, 1, 2, 3), (3, 3, 2)),
    ],
)
def test_gradients_by_differences(oracle, op) -> None:
    oracle.by_differences(op)


def test_what_a_convolution_is_as_data() -> None:
    op = products.conv((3, 8, 8), (4, 3, 3, 3), stride=2, padding=1)
    (stage,) = op.stages
    assert dict(stage.ranges) == {"c": 4, "y": 4, "x": 4, "i": 3, "ky": 3, "kx": 3}
    assert stage.maps["input"] == (Axis((("i", 1),)), Axis((("y", 2), ("ky", 1)), -1), Axis((("x", 2), ("kx", 1)), -1))
    assert stage.as_json()["maps"]["input"][1] == [{"y": 2, "ky": 1}, -1]
