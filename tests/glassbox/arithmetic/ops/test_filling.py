"""Ops that replace all numbers of an array: by hand, and against PyTorch in every dtype."""

import numpy as np
import pytest
import torch

from pellucid.glassbox.arithmetic.evaluator import Evaluator, everything
from pellucid.glassbox.arithmetic.ops import filling
from pellucid.glassbox.trace import changes

SHAPE = (2, 3)


@pytest.mark.parametrize("source", [(2, 3), (3,), (2, 1), (), (1, 1, 2, 3)])
def test_a_copy_takes_the_other_arrays_numbers_and_their_gradient(oracle, source) -> None:
    oracle.agrees(filling.copy(SHAPE, source), lambda y: torch.zeros(SHAPE, dtype=torch.float64).copy_(y), at=6)


def test_one_number_everywhere(oracle) -> None:
    oracle.agrees(filling.fill(SHAPE, ()), lambda y: torch.zeros(SHAPE, dtype=torch.float64).fill_(y), at=6)
    assert everything(filling.fill(SHAPE, 2.5), {}).tolist() == [[2.5] * 3] * 2


@pytest.mark.parametrize("dtype", ["int64", "bool", "float32"])
def test_numbers_take_the_type_of_the_array_that_they_are_written_into(dtype) -> None:
    source = torch.tensor([[-1.7, 0.0, 2.5], [0.3, -0.2, 9.0]])
    made = torch.zeros(SHAPE, dtype=getattr(torch, dtype))
    op = filling.copy(SHAPE, SHAPE, {"out": dtype, "src": "float32"})
    assert np.array_equal(everything(op, {"src": source.numpy()}), made.clone().copy_(source).double().numpy())
    op = filling.fill(SHAPE, 2.5, {"out": dtype})
    assert np.array_equal(everything(op, {}), made.fill_(2.5).double().numpy())


def test_a_change_that_no_gradient_sees() -> None:
    input = torch.tensor([[1.0, 2, 3], [4, 5, 6]], dtype=torch.float64, requires_grad=True)
    value = input.detach() * -2
    gradient = torch.arange(6.0, dtype=torch.float64).reshape(SHAPE)
    out = changes.overwritten(input, value)
    (expected,) = torch.autograd.grad(out, input, gradient)
    arrays = {"input": input.detach().numpy(), "value": value.numpy()}
    evaluator = Evaluator(filling.overwritten(SHAPE, SHAPE), arrays, gradient.numpy())
    for index in np.ndindex(SHAPE):
        assert evaluator.value("out", index)[0] == out[index].item() == value[index].item()
        assert evaluator.gradient_of("input", index)[0] == expected[index].item() == gradient[index].item()
        assert evaluator.gradient_of("value", index)[0] == 0
