"""Losses against classes in an array: by hand, against PyTorch with every setting, and with an impossible class."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.glassbox.arithmetic.declaration import OUT, Op
from pellucid.glassbox.arithmetic.evaluator import Evaluator, everything
from pellucid.glassbox.arithmetic.ops import likelihood

MANY = settings(max_examples=40, deadline=None)
REDUCTIONS = {"none": 0, "mean": 1, "sum": 2}


def test_two_pictures_by_hand() -> None:
    op = likelihood.nll_loss((2, 3), (2,), (3,))
    arrays = {"input": np.array([[-1.0, -2, -3], [-4, -5, -6]]), "target": np.array([2, 0])}
    arrays["weight"] = np.array([1.0, 10, 3])
    assert everything(op, arrays) == (3 * 3 + 1 * 4) / (3 + 1)
    evaluator = Evaluator(op, arrays, np.array(8.0))
    assert evaluator.gradient_of("input", (0, 2))[0] == -8 * 3 / 4
    assert evaluator.gradient_of("input", (0, 1))[0] == 0
    uniform = likelihood.cross_entropy_loss((1, 4), (1,))
    assert everything(uniform, {"input": np.zeros((1, 4)), "target": np.array([1])}) == pytest.approx(math.log(4))


def compare(oracle, op: Op, function, arrays: dict[str, np.ndarray]) -> None:
    """Value, and gradient of the input; targets have none."""
    x = torch.tensor(arrays["input"], requires_grad=True)
    out = function(x)
    assert tuple(out.shape) == op.shapes[OUT]
    gradient = torch.tensor(oracle.random.standard_normal(op.shapes[OUT]))
    (result,) = torch.autograd.grad(out, x, gradient)
    evaluator = Evaluator(op, arrays, gradient.numpy())
    for index in oracle.indices(op.shapes[OUT], 4):
        oracle.hangs_together(evaluator.forward(index))
        value, scale = evaluator.value(OUT, index)
        assert value == pytest.approx(out[index].item(), rel=0, abs=1e-12 * scale)
    for index in oracle.indices(op.shapes["input"], 6):
        oracle.hangs_together(evaluator.backward("input", index))
        value, scale = evaluator.gradient_of("input", index)
        assert value == pytest.approx(result[index].item(), rel=0, abs=1e-12 * scale)


@st.composite
def cases(draw):
    """(input's shape, targets, weights or None, the ignored class)."""
    classes, lead = draw(st.integers(2, 4)), draw(st.sampled_from([(), (1,), (3,)]))
    rest = tuple(draw(st.lists(st.integers(1, 3), max_size=2))) if lead else ()
    ignored = draw(st.sampled_from([-100, 0, 1]))
    random = np.random.default_rng(draw(st.integers(0, 99)))
    target = random.integers(classes, size=(*lead, *rest))
    if target.ndim:
        target.flat[0] = classes - 1 if ignored != classes - 1 else 0
    elif target == ignored:
        target = np.array((ignored + 1) % classes)
    weight = random.uniform(0.5, 2, classes) if draw(st.booleans()) else None
    return (*lead, classes, *rest), np.asarray(target), weight, ignored


@MANY
@given(cases(), st.sampled_from(sorted(REDUCTIONS)), st.sampled_from([0.0, 0.1, 1.0]))
def test_class_numbers_agree_with_pytorch(oracle, drawn, reduction, smoothing) -> None:
    shape, target, weight, ignored = drawn
    arrays = {"input": oracle.random.standard_normal(shape), "target": target}
    weights = None if weight is None else torch.from_numpy(weight)
    arrays |= {} if weight is None else {"weight": weight}
    more = None if weight is None else (len(weight),)
    number, classes = REDUCTIONS[reduction], torch.from_numpy(target)
    op = likelihood.nll_loss(shape, target.shape, more, number, ignored)
    compare(oracle, op, lambda x: F.nll_loss(x, classes, weights, None, ignored, None, reduction), arrays)
    op = likelihood.cross_entropy_loss(shape, target.shape, more, number, ignored, smoothing)

    def function(x: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(x, classes, weights, None, ignored, None, reduction, smoothing)

    compare(oracle, op, function, arrays)


@MANY
@given(cases(), st.sampled_from(sorted(REDUCTIONS)), st.sampled_from([0.0, 0.1]))
def test_class_probabilities_agree_with_pytorch(oracle, drawn, reduction, smoothing) -> None:
    shape, _, weight, _ = drawn
    target = torch.from_numpy(oracle.random.standard_normal(shape)).softmax(0 if len(shape) == 1 else 1)
    arrays = {"input": np.random.default_rng(3).standard_normal(shape), "target": target.numpy()}
    weights = None if weight is None else torch.from_numpy(weight)
    arrays |= {} if weight is None else {"weight": weight}
    more = None if weight is None else (len(weight),)
    op = likelihood.cross_entropy_loss(shape, shape, more, REDUCTIONS[reduction], -100, smoothing)

    def function(x: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(x, target, weights, reduction=reduction, label_smoothing=smoothing)

    compare(oracle, op, function, arrays)


def test_an_impossible_class_that_is_not_the_true_one_has_no_part(oracle) -> None:
    arrays = {"input": np.array([[0.5, -np.inf, 1.0]]), "target": np.array([2])}
    op = likelihood.cross_entropy_loss((1, 3), (1,))
    compare(oracle, op, lambda x: F.cross_entropy(x, torch.tensor([2])), arrays)
    assert np.isfinite(Evaluator(op, arrays).value(OUT, ())).all()
