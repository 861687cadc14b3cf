"""Batch, layer and group norm: by hand, against PyTorch, and by differences through mean and variance."""

import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pellucid.glassbox.arithmetic.evaluator import Evaluator, everything
from pellucid.glassbox.arithmetic.ops import normalisation
from pellucid.glassbox.trace.recording import explain

MANY = settings(max_examples=25, deadline=None)
SIZES = st.lists(st.integers(1, 3), max_size=3)
EPS = st.sampled_from([1e-5, 1e-3, 0.5])
ONE_TO_FOUR = {"input": np.array([[[1.0, 2], [3, 4]]])[None]}  # mean 2.5, variance (2.25 + 0.25) * 2 / 4 = 1.25


def test_batch_norm_at_inference_by_hand() -> None:
    op = normalisation.batch_norm((1, 1, 2), (1,), (1,), (1,), (1,), eps=0.5)
    arrays = {"input": np.array([[[4.0, 10]]]), "weight": np.array([3.0]), "bias": np.array([7.0])}
    arrays |= {"running_mean": np.array([2.0]), "running_var": np.array([3.5])}
    # (4 - 2) / sqrt(3.5 + 0.5) * 3 + 7 = 10; (10 - 2) / 2 * 3 + 7 = 19
    assert everything(op, arrays).tolist() == [[[10, 19]]]
    evaluator = Evaluator(op, arrays, np.array([[[10.0, 100]]]))
    assert evaluator.gradient_of("input", (0, 0, 1))[0] == 100 * 3 / 2
    (weight,) = evaluator.backward("weight", (0,))
    assert weight.values.tolist() == [10 * 1, 100 * 4]
    assert op.kind == "batch norm"


def test_batch_norm_in_training_by_hand() -> None:
    op = normalisation.batch_norm((1, 1, 2, 2), training=True, eps=0)
    evaluator = Evaluator(op, ONE_TO_FOUR, np.array([[[[1.0, 0], [0, 0]]]]))
    assert evaluator.value("mean", (0,))[0] == 2.5
    assert evaluator.value("variance", (0,))[0] == 1.25
    (terms,) = evaluator.forward((0,), "variance")
    assert terms.values == pytest.approx([2.25 / 4, 0.25 / 4, 0.25 / 4, 2.25 / 4])
    away, deviation = -1.5, math.sqrt(1.25)
    assert evaluator.value("out", (0, 0, 0, 0))[0] == pytest.approx(away / deviation)
    # gradient 1 at the first number, 0 elsewhere: (1 - 1/4 - normal^2 / 4) / deviation
    assert evaluator.gradient_of("input", (0, 0, 0, 0))[0] == pytest.approx(
        (1 - 1 / 4 - away**2 / 1.25 / 4) / deviation
    )
    # it comes in three ways: through the number itself, the variance, the mean
    assert len(evaluator.backward("input", (0, 0, 0, 0))) == 3
    assert op.kind == "batch norm, in training"


def test_layer_and_group_norm_by_hand() -> None:
    for op in (
        normalisation.layer_norm((1, 1, 2, 2), [2, 2], eps=0.0),
        normalisation.group_norm((1, 1, 2, 2), 1, eps=0.0),
    ):
        result = everything(op, ONE_TO_FOUR).ravel()
        assert result == pytest.approx(np.array([-1.5, -0.5, 0.5, 1.5]) / math.sqrt(1.25))
    # two groups of two channels: means 1.5 and 3.5, deviations 0.5
    op = normalisation.group_norm((1, 4), 2, eps=0.0)
    assert everything(op, {"input": np.array([[1.0, 2, 3, 4]])})[0] == pytest.approx([-1, 1, -1, 1])


@MANY
@given(st.integers(2, 4), st.integers(1, 3), SIZES, st.booleans(), st.booleans(), EPS)
def test_batch_norm_in_training_agrees_with_pytorch(oracle, batch, channels, sizes, weight, bias, eps) -> None:
    learned = {name: (channels,) for name, has in (("weight", weight), ("bias", bias)) if has}
    inputs = dict[str, Any](learned, training=True, eps=eps)
    op = normalisation.batch_norm((batch, channels, *sizes), **inputs)

    def function(x, *rest):
        return F.batch_norm(x, None, None, **dict(zip(learned, rest, strict=True)), training=True, eps=eps)

    oracle.agrees(op, function)


@MANY
@given(st.integers(1, 3), st.integers(1, 3), SIZES, st.booleans(), st.booleans(), EPS)
def test_batch_norm_at_inference_agrees_with_pytorch(oracle, batch, channels, sizes, weight, bias, eps) -> None:
    one = (channels,)
    learned = {name: one for name, has in (("weight", weight), ("bias", bias)) if has}
    inputs = dict[str, Any](learned, running_mean=one, running_var=one)
    op = normalisation.batch_norm((batch, channels, *sizes), **inputs, eps=eps)
    assert op.inputs == ("input", *learned, "running_mean", "running_var")

    def function(x, *rest):
        *scales, mean, variance = rest
        agreed = F.batch_norm(x, mean.detach(), variance.detach(), **dict(zip(learned, scales, strict=True)), eps=eps)
        # PyTorch has no gradient of the running statistics; the formula in PyTorch's own arithmetic has one
        column = [each.reshape(-1, *[1] * len(sizes)) for each in (mean, variance, *scales)]
        formula = (x - column[0]) / (column[1] + eps).sqrt()
        formula = formula * column[2] if weight else formula
        formula = formula + column[-1] if bias else formula
        torch.testing.assert_close(formula, agreed, rtol=1e-12, atol=1e-12)
        return formula

    oracle.agrees(op, function, oracle.numbers(op, running_var=oracle.random.uniform(0.1, 3, one)))


@MANY
@given(SIZES, st.lists(st.integers(1, 3), min_size=1, max_size=3), st.booleans(), st.booleans(), EPS)
def test_layer_norm_agrees_with_pytorch(oracle, lead, own, weight, bias, eps) -> None:
    learned = {name: tuple(own) for name, has in (("weight", weight), ("bias", bias)) if has}
    op = normalisation.layer_norm((*lead, *own), own, **learned, eps=eps)
    oracle.agrees(op, lambda x, *rest: F.layer_norm(x, own, **dict(zip(learned, rest, strict=True)), eps=eps))


@MANY
@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), SIZES, st.booleans(), st.booleans(), EPS)
def test_group_norm_agrees_with_pytorch(oracle, batch, groups, per, sizes, weight, bias, eps) -> None:
    shape = (batch, groups * per, *sizes)
    assume(batch * per * math.prod(sizes) > 1)  # PyTorch refuses
    assume(weight or not bias)  # PyTorch's backward fails: "tensor does not have a device"
    learned = {name: (groups * per,) for name, has in (("weight", weight), ("bias", bias)) if has}
    op = normalisation.group_norm(shape, groups, **learned, eps=eps)
    oracle.agrees(op, lambda x, *rest: F.group_norm(x, groups, **dict(zip(learned, rest, strict=True)), eps=eps))


@pytest.mark.parametrize(
    "op",
    [
        normalisation.batch_norm((2, 2, 3), (2,), (2,), training=True),
        normalisation.batch_norm((3, 2), None, (2,), training=True),
        normalisation.layer_norm((2, 3, 2), [3, 2], (3, 2), (3, 2)),
        normalisation.group_norm((2, 4, 2), 2, (4,), (4,)),
    ],
)
def test_gradients_by_differences(oracle, op) -> None:
    oracle.by_differences(op)


def test_gradients_at_inference_by_differences(oracle) -> None:
    op = normalisation.batch_norm((2, 2, 3), (2,), (2,), (2,), (2,))
    oracle.by_differences(op, oracle.numbers(op, running_var=[0.7, 2]))


def test_standardisation_by_hand_and_in_pytorch(oracle) -> None:
    op = normalisation.standardise((1, 2, 1, 2))
    arrays = {"picture": np.array([[[[51.0, 255]], [[0, 102]]]]), "mean": np.array([0.1, 0.4])}
    arrays["deviation"] = np.array([0.5, 0.2])
    # (51/255 - 0.1) / 0.5 = 0.2, (1 - 0.1) / 0.5 = 1.8; (0 - 0.4) / 0.2 = -2, (0.4 - 0.4) / 0.2 = 0
    assert everything(op, arrays).ravel() == pytest.approx([0.2, 1.8, -2, 0])
    oracle.agrees(op, lambda x, m, d: (x / 255 - m[:, None, None]) / d[:, None, None], arrays)
    oracle.by_differences(op, arrays)


@MANY
@given(st.integers(1, 3), st.integers(1, 3), st.lists(st.integers(2, 3), min_size=1, max_size=3), st.booleans(), EPS)
def test_instance_norm_agrees_with_pytorch(oracle, batch, channels, sizes, affine, eps) -> None:
    learned = {name: (channels,) for name in ("weight", "bias") if affine}
    op = normalisation.instance_norm((batch, channels, *sizes), **learned, eps=eps)
    assert op.kind == "instance norm"
    oracle.agrees(op, lambda x, *rest: F.instance_norm(x, None, None, *rest, eps=eps))


def test_instance_norm_with_running_statistics_agrees_with_pytorch(oracle) -> None:
    op = normalisation.instance_norm((2, 3, 4), (3,), (3,), (3,), (3,), False)
    arrays = oracle.numbers(op, running_var=[0.5, 1, 2])
    oracle.agrees(op, lambda x, w, b, m, v: F.instance_norm(x, m.detach(), v.detach(), w, b, False), arrays, at=0)
    evaluator = Evaluator(op, arrays, np.ones((2, 3, 4)))
    tensors = [torch.from_numpy(arrays[name]) for name in op.inputs]
    x, w, b, m, v = tensors
    x.requires_grad_()
    out = F.instance_norm(x, m, v, w, b, False)
    (result,) = torch.autograd.grad(out.sum(), x)
    for index in [(0, 1, 2), (1, 2, 0)]:
        assert evaluator.value("out", index)[0] == pytest.approx(out[index].item(), abs=1e-12)
        assert evaluator.gradient_of("input", index)[0] == pytest.approx(result[index].item(), abs=1e-12)


def test_rms_norm_by_hand() -> None:
    op = normalisation.rms_norm((1, 2), [2], (2,), 0.0)
    arrays = {"input": np.array([[1.0, 7]]), "weight": np.array([1.0, 10])}
    assert everything(op, arrays)[0] == pytest.approx([1 / 5, 70 / 5])  # the root of (1 + 49) / 2
    (terms,) = Evaluator(op, arrays).forward((0,), "mean_square")
    assert terms.values.tolist() == [1 / 2, 49 / 2]


@MANY
@given(st.lists(st.integers(1, 3), min_size=1, max_size=4), st.booleans(), st.data())
def test_rms_norm_agrees_with_pytorch(oracle, shape, weight, data) -> None:
    own = tuple(shape[-data.draw(st.integers(1, len(shape))) :])
    eps = data.draw(st.one_of(st.none(), EPS))
    op = normalisation.rms_norm(tuple(shape), own, own if weight else None, eps, {"input": "float64"})
    oracle.agrees(op, lambda x, w=None: F.rms_norm(x, own, w, eps))


@pytest.mark.parametrize(
    "op",
    [
        normalisation.instance_norm((2, 2, 3, 2), (2,), (2,)),
        normalisation.rms_norm((2, 3, 2), [3, 2], (3, 2), 0.1),
    ],
)
def test_more_gradients_by_differences(oracle, op) -> None:
    oracle.by_differences(op)


@pytest.mark.parametrize("beta", [0.5, 0.75])
def test_local_response_norm_is_followed_through_what_pytorch_makes_of_it(beta) -> None:
    torch.manual_seed(0)
    norm = torch.nn.LocalResponseNorm(3, 0.1, beta, 2.0)
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), norm, torch.nn.Flatten(), torch.nn.Linear(4 * 9, 2))
    trace = explain(module, torch.randn(3, 5, 5), 1)
    assert all(node.written for node in trace.nodes)
    for node in trace.nodes:
        index = ", ".join(str(size // 2) for size in trace.shape(node.name))
        unit = f"{node.name}[{index}]" if index else node.name
        assert trace.unit(unit).complete
        assert node.name not in trace.gradients or trace.gradient(unit).complete
