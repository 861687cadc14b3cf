"""Softmax and losses: by hand, against PyTorch, and by differences through the powers and their total."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.glassbox.arithmetic.evaluator import Evaluator, everything
from pellucid.glassbox.arithmetic.ops import binary, losses
from pellucid.network.loss import mean_loss

MANY = settings(max_examples=25, deadline=None)
LOGITS = {"input": np.log([[1.0, 3, 4]])}  # powers in the proportions 1 : 3 : 4
SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple)


def test_softmax_by_hand() -> None:
    evaluator = Evaluator(losses.softmax((1, 3)), LOGITS, np.array([[0.0, 1, 0]]))
    assert everything(evaluator.op, LOGITS)[0] == pytest.approx([1 / 8, 3 / 8, 1 / 2])
    assert evaluator.value("largest", (0,))[0] == math.log(4)
    (total,) = evaluator.forward((0,), "total")
    assert total.values == pytest.approx([1 / 4, 3 / 4, 1])  # exp(logit - log 4)
    # the gradient of p1 is p1 (1 - p1) for its own logit and -p1 p0 for another
    assert evaluator.gradient_of("input", (0, 1))[0] == pytest.approx(3 / 8 * 5 / 8)
    assert evaluator.gradient_of("input", (0, 0))[0] == pytest.approx(-3 / 8 * 1 / 8)
    # it goes only through the power: subtracting the largest does not change the probabilities
    assert [str(part.formula) for part in evaluator.backward("input", (0, 1))] == [
        "gradient of power * exp(input - largest)"
    ]


def test_temperature_by_hand() -> None:
    # at temperature 2 the square roots of the proportions count: 1 : 2 : 3
    result = everything(losses.softmax((1, 3), temperature=2.0), {"input": np.log([[1.0, 4, 9]])})
    assert result[0] == pytest.approx([1 / 6, 2 / 6, 3 / 6])


def test_no_logit_is_too_large(oracle) -> None:
    arrays = {"input": np.array([[1000.0, 0, 1001]])}
    oracle.agrees(losses.softmax((1, 3)), lambda x: x.softmax(1), arrays)
    oracle.agrees(losses.cross_entropy((1, 3), [1]), lambda x: F.cross_entropy(x, torch.tensor([1])), arrays)
    assert everything(losses.cross_entropy((1, 3), [1]), arrays) == pytest.approx(1001 + math.log(1 + math.exp(-1)))


def test_log_softmax_and_cross_entropy_by_hand() -> None:
    assert everything(losses.log_softmax((1, 3)), LOGITS)[0] == pytest.approx(np.log([1 / 8, 3 / 8, 1 / 2]))
    evaluator = Evaluator(losses.cross_entropy((1, 3), [1]), LOGITS, np.array(1.0))
    (terms,) = evaluator.forward(())
    assert terms.total == pytest.approx(-math.log(3 / 8))
    assert terms.values == pytest.approx([0, -math.log(3 / 8), 0])
    # probability minus truth
    assert [evaluator.gradient_of("input", (0, k))[0] for k in range(3)] == pytest.approx([1 / 8, 3 / 8 - 1, 1 / 2])


def test_smoothing_and_class_weights_by_hand() -> None:
    # smoothing 0.3 over 3 classes: shares 0.1, 0.7 + 0.1, 0.1
    op = losses.cross_entropy((1, 3), [1], 0.3)
    assert op.constants["share"] == pytest.approx(np.array([[0.1, 0.8, 0.1]]))
    expected = -(0.1 * math.log(1 / 8) + 0.8 * math.log(3 / 8) + 0.1 * math.log(1 / 2))
    assert everything(op, LOGITS) == pytest.approx(expected)
    # labels 1 and 2 with class weights 3 and 1: the first counts three quarters
    op = losses.cross_entropy((2, 3), [1, 2], weight=np.array([5.0, 3, 1]))
    assert op.constants["share"] == pytest.approx(np.array([[0, 0.75, 0], [0, 0, 0.25]]))


def test_squared_errors_by_hand() -> None:
    # probabilities 1/8 3/8 1/2 against 0 1 0: (1 + 25 + 16) / 64 / 3
    assert everything(losses.brier((1, 3), [1]), LOGITS) == pytest.approx(42 / 64 / 3)
    arrays = {"input": np.array([1.0, 5]), "target": np.array([2.0, 8])}
    mean, total = losses.mse_loss((2,), (2,)), losses.mse_loss((2,), (2,), 2)
    assert mean is not None
    assert total is not None
    assert everything(mean, arrays) == 5  # (1 + 9) / 2
    assert everything(total, arrays) == 10
    evaluator = Evaluator(mean, arrays, np.array(10.0))
    assert evaluator.gradient_of("input", (1,))[0] == pytest.approx(10 * 2 * -3 / 2)
    assert evaluator.gradient_of("target", (1,))[0] == pytest.approx(10 * 2 * 3 / 2)
    alone = losses.mse_loss((2,), (2,), 0)
    assert alone is not None
    assert everything(alone, arrays).tolist() == [1, 9]


def test_a_difference_of_logits_by_hand(oracle) -> None:
    op = losses.difference((2, 3), [1, 2], 0)
    arrays = {"input": np.array([[1.0, 5, 2], [3, 4, 10]])}
    assert everything(op, arrays) == (5 - 1) + (10 - 3)
    evaluator = Evaluator(op, arrays, np.array(2.0))
    assert [evaluator.gradient_of("input", (0, k))[0] for k in range(3)] == [-2, 2, 0]
    oracle.agrees(op, lambda x: x[0, 1] + x[1, 2] - x[:, 0].sum(), arrays, at=6)
    oracle.by_differences(op, arrays)


@MANY
@given(SHAPES, st.data(), st.floats(0.1, 5), st.floats(0.1, 20))
def test_softmax_agrees_with_pytorch(oracle, shape, data, temperature, size) -> None:
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    numbers = {"input": oracle.random.normal(0, size, shape)}
    oracle.agrees(losses.softmax(shape, dim), lambda x: x.softmax(dim), numbers)
    oracle.agrees(losses.softmax(shape, dim, temperature), lambda x: (x / temperature).softmax(dim), numbers)
    oracle.agrees(losses.log_softmax(shape, dim), lambda x: x.log_softmax(dim), numbers)


@MANY
@given(st.integers(1, 4), st.integers(2, 5), st.floats(0, 0.9), st.booleans())
def test_losses_agree_with_pytorch(oracle, batch, classes, smoothing, weighted) -> None:
    labels = oracle.random.integers(0, classes, batch)
    weight = oracle.random.uniform(0.1, 3, classes) if weighted else None

    def entropy(x: torch.Tensor) -> torch.Tensor:
        weights = None if weight is None else torch.from_numpy(weight)
        return F.cross_entropy(x, torch.from_numpy(labels), weights, label_smoothing=smoothing)

    def brier(x: torch.Tensor) -> torch.Tensor:
        return F.mse_loss(x.softmax(1), F.one_hot(torch.from_numpy(labels), classes).double())

    oracle.agrees(losses.cross_entropy((batch, classes), labels.tolist(), smoothing, weight), entropy)
    oracle.agrees(losses.brier((batch, classes), labels.tolist()), brier)
    if weight is not None:  # each picture's loss so many times, divided by nothing
        for op, kind in (
            (losses.cross_entropy((batch, classes), labels.tolist(), smoothing, None, weight), "cross_entropy"),
            (losses.brier((batch, classes), labels.tolist(), weight), "mse"),
            (binary.binary_cross_entropy((batch, classes), labels.tolist(), False, weight), "binary_cross_entropy"),
        ):
            oracle.agrees(op, lambda x, kind=kind: mean_loss(kind, x, torch.from_numpy(labels), smoothing, weight))
    oracle.agrees(losses.mse_loss((batch, classes), (batch, classes)), F.mse_loss)
    both = losses.mse_loss((batch, classes), (batch, classes), 2)
    oracle.agrees(both, lambda x, y: F.mse_loss(x, y, reduction="sum"))


@MANY
@given(st.integers(1, 4), st.integers(2, 5), st.floats(0.1, 5))
def test_several_labels_agree_with_pytorch(oracle, batch, classes, temperature) -> None:
    targets = oracle.random.integers(0, 2, (batch, classes)).astype(float)
    op = binary.binary_cross_entropy((batch, classes), targets)
    oracle.agrees(op, lambda x: mean_loss("binary_cross_entropy", x, torch.from_numpy(targets)))
    oracle.agrees(op, lambda x: F.binary_cross_entropy_with_logits(x, torch.from_numpy(targets)))
    oracle.agrees(binary.each_of_logit((1, classes), temperature), lambda x: (x / temperature).sigmoid())


@pytest.mark.parametrize(
    "op",
    [
        losses.softmax((2, 4), 1, 1.7),
        losses.softmax((3, 2, 2), 0),
        losses.log_softmax((2, 4)),
        losses.cross_entropy((3, 4), [0, 3, 3], 0.1, np.array([1.0, 2, 3, 0.5])),
        losses.brier((3, 4), [0, 3, 3]),
        losses.brier((3, 4), [0, 3, 3], np.array([1.0, 2, 3, 0.5])),
        binary.binary_cross_entropy((2, 3), np.array([[1.0, 0, 1], [0, 0, 0]])),
        losses.mse_loss((2, 3), (2, 3)),
    ],
    ids=lambda op: op.kind,
)
def test_gradients_by_differences(oracle, op) -> None:
    oracle.by_differences(op)


REDUCTIONS = {"none": 0, "mean": 1, "sum": 2}
POINTWISE = {
    "l1": (losses.l1_loss, F.l1_loss),
    "mse": (losses.mse_loss, F.mse_loss),
    "smooth l1": (losses.smooth_l1_loss, F.smooth_l1_loss),
    "smooth l1, 0.3": (
        lambda a, b, r: losses.smooth_l1_loss(a, b, r, 0.3),
        lambda x, y, reduction: F.smooth_l1_loss(x, y, reduction=reduction, beta=0.3),
    ),
    "Huber, 0.3": (
        lambda a, b, r: losses.huber_loss(a, b, r, 0.3),
        lambda x, y, reduction: F.huber_loss(x, y, reduction, 0.3),
    ),
    "divergence": (
        lambda a, b, r: losses.kl_div(a, b, r, True),
        lambda x, y, reduction: F.kl_div(x, y, None, None, reduction, True),
    ),
}


@pytest.mark.filterwarnings("ignore:reduction. .mean. divides the total loss")
@pytest.mark.parametrize("name", POINTWISE)
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_losses_of_each_number_agree_with_pytorch(oracle, name, reduction) -> None:
    make, function = POINTWISE[name]
    op = make((3, 4), (3, 4), REDUCTIONS[reduction])
    oracle.agrees(op, lambda x, y: function(x, y, reduction=reduction), at=12)
    ties = oracle.numbers(op)
    ties["target"] = ties["input"].copy()
    oracle.agrees(op, lambda x, y: function(x, y, reduction=reduction), ties, at=6)
    oracle.by_differences(op)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weight", [None, (4,), (3, 1)])
def test_binary_cross_entropies_agree_with_pytorch(oracle, reduction, weight) -> None:
    target = torch.tensor([[0.0, 1, 0.3, 0.9], [1, 0, 0.5, 0.2], [0, 1, 1, 0]], dtype=torch.float64)
    shares = torch.from_numpy(oracle.random.uniform(0.01, 0.99, (3, 4)))
    logits = torch.from_numpy(oracle.random.normal(0, 30, (3, 4)))
    positive = torch.tensor([[1.0], [2], [0.5]], dtype=torch.float64)
    weights = None if weight is None else torch.from_numpy(oracle.random.uniform(0.5, 2, weight))
    number = REDUCTIONS[reduction]
    cases = [
        (
            losses.binary_cross_entropy((3, 4), (3, 4), weight, number),
            shares,
            lambda x: F.binary_cross_entropy(x, target, weights, reduction=reduction),
        ),
        (
            losses.binary_cross_entropy_with_logits((3, 4), (3, 4), weight, (3, 1), number),
            logits,
            lambda x: F.binary_cross_entropy_with_logits(x, target, weights, reduction=reduction, pos_weight=positive),
        ),
    ]
    for op, input, function in cases:
        assert op is not None
        arrays = {"input": input, "target": target, "weight": weights, "pos_weight": positive}
        numbers = {name: arrays[name].numpy() for name in op.inputs}  # type: ignore[union-attr]
        x = input.clone().requires_grad_()
        out = function(x)
        gradient = torch.from_numpy(oracle.random.standard_normal(out.shape))
        (result,) = torch.autograd.grad(out, x, gradient)
        evaluator = Evaluator(op, numbers, gradient.numpy())
        for index in oracle.indices(tuple(out.shape), 6):
            value, scale = evaluator.value("out", index)
            assert value == pytest.approx(out[index].item(), rel=0, abs=1e-11 * scale)
        for index in oracle.indices((3, 4), 12):
            value, scale = evaluator.gradient_of("input", index)
            assert value == pytest.approx(result[index].item(), rel=0, abs=1e-11 * scale)


def test_a_divergence_by_hand_with_a_target_of_0() -> None:
    op = losses.kl_div((3,), (3,), 2)
    assert op is not None
    arrays = {"input": np.log([0.5, 0.25, 0.25]), "target": np.array([0.5, 0.5, 0])}
    assert everything(op, arrays) == pytest.approx(0.5 * np.log(2))


@pytest.mark.parametrize(("dim", "keepdim"), [(1, False), ([0, 2], True), (-1, True)])
def test_logsumexp_agrees_with_pytorch(oracle, dim, keepdim) -> None:
    op = losses.logsumexp((2, 3, 4), dim, keepdim)
    oracle.agrees(op, lambda x: x.logsumexp(dim, keepdim), at=6)
    large = oracle.numbers(op)
    oracle.agrees(op, lambda x: x.logsumexp(dim, keepdim), {"input": large["input"] * 1000}, at=6)
    oracle.by_differences(op)


def test_what_a_mask_of_minus_infinity_hides_has_no_part(oracle) -> None:
    for op, function in (
        (losses.softmax((2, 4)), lambda x: x.softmax(-1)),
        (losses.logsumexp((2, 4), 1), lambda x: x.logsumexp(1)),
    ):
        arrays = oracle.numbers(op, input=[[0.5, -np.inf, 1, -np.inf], [-np.inf, 2, -np.inf, -np.inf]])
        oracle.agrees(op, function, arrays, at=12)
        evaluator = Evaluator(op, arrays, np.ones(op.shapes["out"]))
        for index in oracle.indices(op.shapes["out"], 8):
            assert np.isfinite(evaluator.value("out", index)).all()
        for index in oracle.indices((2, 4), 8):
            assert np.isfinite(evaluator.gradient_of("input", index)).all()
