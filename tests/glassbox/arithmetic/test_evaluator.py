"""The evaluator itself, on declarations made for the purpose, and its allowed distance from float32."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from pellucid.glassbox.arithmetic.declaration import OUT, Axis, Op, Stage, at, each
from pellucid.glassbox.arithmetic.evaluator import GRADIENT, Evaluator, everything
from pellucid.glassbox.arithmetic.expression import names, sqrt
from pellucid.glassbox.arithmetic.ops import elementwise, losses, normalisation, pooling, products, shaping
from pellucid.glassbox.trace.working import ROUNDING

INPUT, WEIGHT, HALF = names("input", "weight", "half")


def test_a_number_of_any_array_is_asked_for_by_name() -> None:
    op = losses.softmax((1, 2))
    evaluator = Evaluator(op, {"input": np.log([[1.0, 3]])})
    assert evaluator.value("input", (0, 1)) == pytest.approx((np.log(3), np.log(3)))
    assert evaluator.value("largest", (0,))[0] == np.log(3)
    assert evaluator.value("power", (0, 0))[0] == pytest.approx(1 / 3)
    assert evaluator.value(OUT, (0, 0))[0] == pytest.approx(1 / 4)


def test_names_that_are_free_run_with_the_last_one_fastest() -> None:
    op = shaping.total((2, 3))
    (terms,) = Evaluator(op, {"input": np.arange(6.0).reshape(2, 3)}).forward(())
    assert terms.values.tolist() == [0, 1, 2, 3, 4, 5]
    assert terms.columns[0].indices.tolist() == [[y, x] for y in range(2) for x in range(3)]


def test_an_axis_may_be_addressed_by_a_table() -> None:
    # channels 2, 0, 1 of the input are channels 0, 1, 2 of the output
    maps = {OUT: at("c"), "input": (Axis((("c", (2, 0, 1)),)),)}
    op = Op("shuffled", {"input": (3,), OUT: (3,)}, ("input",), (Stage(OUT, {"c": 3}, maps, INPUT),))
    evaluator = Evaluator(op, {"input": np.array([5.0, 6, 7])}, np.array([10.0, 20, 30]))
    assert everything(op, evaluator.arrays).tolist() == [7, 5, 6]
    assert [evaluator.gradient_of("input", (c,))[0] for c in range(3)] == [20, 30, 10]


def test_several_names_on_one_axis() -> None:
    # out[n] = sum over k of input[6 - 2n - k]: steps may be negative
    maps = {OUT: at("n"), "input": at({"n": -2, "k": -1}, offset=6)}
    op = Op("backwards", {"input": (7,), OUT: (3,)}, ("input",), (Stage(OUT, {"n": 3, "k": 2}, maps, INPUT),))
    evaluator = Evaluator(op, {"input": np.arange(7.0)}, np.array([1.0, 10, 100]))
    assert everything(op, evaluator.arrays).tolist() == [6 + 5, 4 + 3, 2 + 1]
    assert [evaluator.gradient_of("input", (x,))[0] for x in range(7)] == [0, 100, 100, 10, 10, 1, 1]


def test_an_array_between_may_be_padded_too() -> None:
    # half[n] = input[n] / 2, out[n] = half[n - 1] + half[n], and half[-1] is padding
    stages = (
        Stage("half", {"n": 3}, {"half": at("n"), "input": at("n")}, INPUT / 2),
        Stage(OUT, {"n": 3, "k": 2}, {OUT: at("n"), "half": at({"n": 1, "k": 1}, offset=-1)}, HALF),
    )
    op = Op("pairs", {"input": (3,), "half": (3,), OUT: (3,)}, ("input",), stages)
    evaluator = Evaluator(op, {"input": np.array([2.0, 4, 8])}, np.array([1.0, 10, 100]))
    (terms,) = evaluator.forward((0,))
    assert (terms.values.tolist(), terms.columns[0].inside.tolist()) == ([0, 1], [False, True])
    assert everything(op, evaluator.arrays).tolist() == [1, 3, 6]
    assert [evaluator.gradient_of("half", (n,))[0] for n in range(3)] == [11, 110, 100]
    assert [evaluator.gradient_of("input", (n,))[0] for n in range(3)] == [5.5, 55, 50]


def test_one_array_may_meet_itself() -> None:
    # the sum of squares, written input * input: the product rule counts both
    stage = Stage(OUT, each((2,)), {OUT: at(), "input": at("n")}, INPUT * INPUT)
    evaluator = Evaluator(Op("squares", {"input": (2,), OUT: ()}, ("input",), (stage,)), {"input": np.array([3.0, 4])})
    assert evaluator.value(OUT, ())[0] == 25
    evaluator.gradient = np.array(10.0)
    (terms,) = evaluator.backward("input", (1,))
    assert terms.total == 80
    assert str(terms.formula) == "gradient of out * (input + input)"
    assert [column.name for column in terms.columns] == [f"{GRADIENT}out", "input"]


def test_the_scale_by_hand() -> None:
    op = products.linear((3,), (1, 3))
    evaluator = Evaluator(op, {"input": np.array([1.0, -2, 3]), "weight": np.array([[4.0, 5, 2]])}, np.array([2.0]))
    # terms 4 - 10 + 6 = 0; sqrt(3) * (4 + 10 + 6)
    assert evaluator.value(OUT, (0,)) == pytest.approx((0, 20 * 3**0.5))
    assert evaluator.gradient_of("input", (1,)) == pytest.approx((10, 10))


def test_the_scale_of_what_lies_between_counts() -> None:
    # mean of 1 and 3; variance: both terms (3 - 1 cancels): each (size 3 + mean's scale)^2 / 2, and so on
    op = normalisation.batch_norm((2, 1), training=True)
    evaluator = Evaluator(op, {"input": np.array([[1.0], [3]])})
    _, mean = evaluator.value("mean", (0,))
    assert mean == pytest.approx(2 * 2**0.5)  # sqrt(2) * (1/2 + 3/2)
    _, variance = evaluator.value("variance", (0,))
    assert variance == pytest.approx(2**0.5 * ((1 + mean) ** 2 + (3 + mean) ** 2) / 2)


def test_a_mask_of_minus_infinity_rounds_nothing() -> None:
    evaluator = Evaluator(losses.softmax((1, 3)), {"input": np.array([[1.0, -np.inf, 2]])}, np.array([[1.0, 0, 0]]))
    assert evaluator.value("largest", (0,)) == (2, 2)
    assert evaluator.value(OUT, (0, 1))[0] == 0
    for index in ((0, 0), (0, 1), (0, 2)):
        value, scale = evaluator.gradient_of("input", index)
        assert np.isfinite(value)
        assert np.isfinite(scale)


def test_infinite_slopes_are_told_and_warn_nobody() -> None:
    evaluator = Evaluator(elementwise.sqrt_of((1,)), {"input": np.zeros(1)}, np.ones(1))
    assert evaluator.value(OUT, (0,)) == (0, 0)
    assert evaluator.gradient_of("input", (0,))[0] == np.inf
    assert Evaluator(elementwise.log_of((1,)), {"input": np.zeros(1)}).value(OUT, (0,))[0] == -np.inf
    assert (
        Evaluator(elementwise.div((1,), (1,)), {"input": np.ones(1), "other": np.zeros(1)}).value(OUT, (0,))[0]
        == np.inf
    )


def test_what_is_asked_twice_is_worked_out_once() -> None:
    op = normalisation.batch_norm((2, 1, 3), training=True)
    evaluator = Evaluator(op, {"input": np.arange(6.0).reshape(2, 1, 3)})
    first = evaluator.value(OUT, (0, 0, 0))
    evaluator.arrays = {"input": np.full((2, 1, 3), np.nan)}
    assert evaluator.value(OUT, (0, 0, 0)) == first


def test_a_gradient_has_to_be_given() -> None:
    evaluator = Evaluator(elementwise.relu((1,)), {"input": np.ones(1)})
    with pytest.raises(AssertionError, match="this needs a gradient, and none was passed"):
        evaluator.backward("input", (0,))


def test_a_declaration_that_reads_what_is_not_made_is_refused() -> None:
    stage = Stage(OUT, {"n": 2}, {OUT: at("n"), "half": at("n")}, HALF)
    with pytest.raises(AssertionError, match=r"out reads \['half'\], which no stage before it makes"):
        Op("wrong", {"input": (2,), "half": (2,), OUT: (2,)}, ("input",), (stage,))
    flat = Stage(OUT, {"n": 2}, {OUT: at("n"), "input": at("n", "n")}, INPUT)
    with pytest.raises(AssertionError, match=r"input has \(2, 3, 4\), map 2"):
        Op("wrong", {"input": (2, 3, 4), OUT: (2,)}, ("input",), (flat,))
    with pytest.raises(AssertionError, match="no stage makes 'out'"):
        Op("wrong", {"input": (2,)}, ("input",), ())


def test_an_op_as_json_by_hand() -> None:
    stage = Stage(
        OUT, {"n": 2}, {OUT: at("n"), "input": at({"n": 2}, offset=1), "c": at(0)}, INPUT * sqrt(names("c")[0])
    )
    op = Op("odd ones", {"input": (4,), "c": (1,), OUT: (2,)}, ("input",), (stage,), {"c": np.array([4.0])})
    assert op.as_json() == {
        "kind": "odd ones",
        "shapes": {"input": [4], "c": [1], "out": [2]},
        "inputs": ["input"],
        "stages": [
            {
                "out": "out",
                "ranges": {"n": 2},
                "maps": {"out": [[{"n": 1}, 0]], "input": [[{"n": 2}, 1]], "c": [[{}, 0]]},
                "term": ["*", "input", ["sqrt", "c"]],
                "derivatives": {"input": ["sqrt", "c"], "c": ["*", "input", ["/", 0.5, ["sqrt", "c"]]]},
                "pick": "sum",
                "through": True,
            }
        ],
        "constants": {"c": [4.0]},
    }
    assert everything(op, {"input": np.arange(4.0)}).tolist() == [2, 6]


FLOAT32: dict[str, tuple[Op, Callable, float, float]] = {  # declaration, PyTorch's, mean and deviation of the input
    "convolution of 4608 terms": (
        products.conv((1, 512, 5, 5), (8, 512, 3, 3), (8,), padding=1),
        lambda x, w, b: F.conv2d(x, w, b, padding=1),
        0,
        1,
    ),
    "depthwise": (products.conv((1, 8, 9, 9), (8, 1, 3, 3), groups=8), lambda x, w: F.conv2d(x, w, groups=8), 0, 1),
    "dense": (products.linear((2, 3000), (8, 3000), (8,)), F.linear, 1, 1),
    "average": (pooling.avg_pool((1, 4, 9, 9), 3, 2, 1), lambda x: F.avg_pool2d(x, 3, 2, 1), 0, 1),
    "maximum": (pooling.max_pool((1, 4, 9, 9), 3, 2, 1), lambda x: F.max_pool2d(x, 3, 2, 1), 0, 1),
    "L2 norm": (pooling.lp_pool((1, 4, 9, 9), 3, 2), lambda x: F.lp_pool2d(x, 2, 3, 2), 0, 1),
    "batch norm": (
        normalisation.batch_norm((4, 3, 7, 7), (3,), (3,), training=True),
        lambda x, w, b: F.batch_norm(x, None, None, w, b, True),
        0,
        1,
    ),
    "batch norm far from 0": (
        normalisation.batch_norm((4, 3, 7, 7), (3,), (3,), training=True),
        lambda x, w, b: F.batch_norm(x, None, None, w, b, True),
        1000,
        1,
    ),
    "layer norm": (
        normalisation.layer_norm((2, 5, 96), [96], (96,), (96,)),
        lambda x, w, b: F.layer_norm(x, (96,), w, b),
        10,
        1,
    ),
    "GELU": (elementwise.gelu((2000,)), F.gelu, 0, 2),
    "SiLU": (elementwise.silu((2000,)), F.silu, 0, 4),
    "ELU": (elementwise.elu((2000,)), F.elu, 0, 2),
    "softplus": (elementwise.softplus((2000,)), F.softplus, 0, 4),
    "softmax": (losses.softmax((8, 10)), lambda x: x.softmax(1), 0, 5),
    "cross-entropy": (
        losses.cross_entropy((8, 10), [3] * 8),
        lambda x: F.cross_entropy(x, torch.full((8,), 3)),
        0,
        5,
    ),
    "mean squared error": (losses.brier((8, 10), [3] * 8), lambda x: brier(x), 0, 2),
}


def brier(x: torch.Tensor) -> torch.Tensor:
    return F.mse_loss(x.softmax(1), F.one_hot(torch.full((len(x),), 3), x.shape[1]).float())


@pytest.mark.parametrize("name", FLOAT32)
def test_float32_lies_within_some_roundings_of_the_scale(name: str) -> None:
    op, function, mean, deviation = FLOAT32[name]
    generator = torch.Generator().manual_seed(3)
    tensors = {name: torch.randn(op.shapes[name], generator=generator) for name in op.inputs}
    tensors["input"] = (tensors["input"] * deviation + mean).requires_grad_()
    for tensor in tensors.values():
        tensor.requires_grad_()
    out = function(*tensors.values())
    gradient = torch.randn(out.shape, generator=generator)
    gradients = torch.autograd.grad(out, list(tensors.values()), gradient)
    evaluator = Evaluator(op, {name: tensor.detach().numpy() for name, tensor in tensors.items()}, gradient.numpy())
    random = np.random.default_rng(5)
    count = 300 if len(op.shapes["input"]) == 1 else 8
    for requested, theirs in ((OUT, out), *zip(op.inputs, gradients, strict=True)):
        for _ in range(count):
            index = tuple(int(random.integers(size)) for size in theirs.shape)
            result, scale = (evaluator.value if requested == OUT else evaluator.gradient_of)(requested, index)
            assert abs(result - theirs[index].item()) <= ROUNDING * 2**-24 * scale, (requested, index)
