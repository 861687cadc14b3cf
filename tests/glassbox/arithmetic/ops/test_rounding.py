"""Whole numbers and dtypes: by hand and against PyTorch."""

from functools import partial

import numpy as np
import torch

from pellucid.glassbox.arithmetic.evaluator import Evaluator, everything
from pellucid.glassbox.arithmetic.ops import rounding

HALVES = np.arange(-3, 3.25, 0.25)


def test_casts_by_hand() -> None:
    row = {"input": np.array([0.0, 0.5, -2.5])}
    assert everything(rounding.cast((3,), {"input": "float32", "out": "bool"}), row).tolist() == [0, 1, 1]
    assert everything(rounding.cast((3,), {"input": "float32", "out": "float64"}), row).tolist() == [0, 0.5, -2.5]
    assert everything(rounding.cast((3,), {"input": "float32", "out": "int64"}), row).tolist() == [0, 0, -2]
    assert str(rounding.cast((3,), {"input": "bool", "out": "int64"}).stages[0].term) == "input"


def test_rounding_agrees_with_pytorch_at_halves(oracle) -> None:
    shape, arrays = HALVES.shape, {"input": HALVES}
    for declare, function in (
        (rounding.floor_of, torch.floor),
        (rounding.ceil, torch.ceil),
        (rounding.trunc, torch.trunc),
        (rounding.round_of, torch.round),
    ):
        op = declare(shape)
        oracle.agrees(op, function, arrays, at=10)
        np.testing.assert_array_equal(everything(op, arrays), function(torch.tensor(HALVES)).numpy())
    for decimals in (2, -1):
        arrays = oracle.numbers(rounding.round_of(shape), input=oracle.random.normal(0, 20, shape))
        function = partial(torch.round, decimals=decimals)
        oracle.agrees(rounding.round_of(shape, decimals), function, arrays, at=8)


def test_a_rounded_number_passes_no_gradient_on() -> None:
    evaluator = Evaluator(rounding.floor_of((1,)), {"input": np.array([2.5])}, np.ones(1))
    assert evaluator.value("out", (0,)) == (2, 2)
    assert evaluator.gradient_of("input", (0,)) == (0, 0)
