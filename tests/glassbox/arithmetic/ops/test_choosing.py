"""Ops that choose between numbers, or compare them: by hand, against PyTorch at ties and bounds, and by differences."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.glassbox.arithmetic.evaluator import Evaluator, everything
from pellucid.glassbox.arithmetic.ops import choosing

MANY = settings(max_examples=15, deadline=None)
GRID = (2, 3, 4)
PAIRS = st.sampled_from([(GRID, GRID), (GRID, (3, 1)), ((4,), GRID), ((2, 1, 4), (3, 1)), ((), GRID), ((), ())])


def whole(shape: tuple[int, ...], seed: int) -> np.ndarray:
    """-1, 0 and 1: equal numbers are common."""
    return np.random.default_rng(seed).integers(-1, 2, shape).astype(np.float64)


def test_a_choice_by_hand() -> None:
    op = choosing.where_of((3,), (3,), (3,))
    arrays = {
        "condition": np.array([True, False, True]),
        "input": np.array([1.0, 2, 3]),
        "other": np.array([4.0, 5, 6]),
    }
    evaluator = Evaluator(op, arrays, np.array([10.0, 20, 30]))
    assert everything(op, arrays).tolist() == [1, 5, 3]
    assert [evaluator.gradient_of("input", (n,))[0] for n in range(3)] == [10, 0, 30]
    assert [evaluator.gradient_of("other", (n,))[0] for n in range(3)] == [0, 20, 0]
    (terms,) = evaluator.forward((1,))
    assert str(terms.formula) == "where(condition, input, other)"


def test_what_is_not_chosen_may_be_infinite() -> None:
    op = choosing.masked_fill((3,), (3,), -np.inf)
    arrays = {"input": np.array([1.0, np.inf, 3]), "mask": np.array([False, True, False])}
    evaluator = Evaluator(op, arrays, np.ones(3))
    assert everything(op, arrays).tolist() == [1, -np.inf, 3]
    assert evaluator.value("out", (0,)) == (1, 1)
    assert evaluator.gradient_of("input", (1,))[0] == 0
    assert op.as_json()["stages"][0]["term"] == ["where", "mask", ["*", -1, ["infinity"]], "input"]


def test_the_larger_of_two_by_hand() -> None:
    arrays = {"input": np.array([1.0, 2, 3]), "other": np.array([2.0, 2, 2])}
    for declare, won in ((choosing.maximum_of, [0, 0.5, 1]), (choosing.minimum_of, [1, 0.5, 0])):
        evaluator = Evaluator(declare((3,), (3,)), arrays, np.ones(3))
        assert [evaluator.gradient_of("input", (n,))[0] for n in range(3)] == won
        assert [evaluator.gradient_of("other", (n,))[0] for n in range(3)] == [1 - share for share in won]


def test_comparisons_by_hand() -> None:
    row = {"input": np.array([-1.0, 0, 0.5])}
    expected = {
        choosing.gt: [0, 0, 1],
        choosing.ge: [0, 1, 1],
        choosing.lt: [1, 0, 0],
        choosing.le: [1, 1, 0],
        choosing.eq: [0, 1, 0],
        choosing.ne: [1, 0, 1],
    }
    for declare, result in expected.items():
        assert everything(declare((3,), 0), row).tolist() == result
    assert str(choosing.ge((3,), 0).stages[0].term) == "(input >= 0)"


def test_a_number_is_compared_in_the_arrays_precision() -> None:
    tenth = {"input": np.array([0.1], np.float32)}  # 0.100000001, as near as float32 comes
    assert everything(choosing.gt((1,), 0.1, {"input": "float32"}), tenth).tolist() == [0]
    assert everything(choosing.eq((1,), 0.1, {"input": "float32"}), tenth).tolist() == [1]
    assert everything(choosing.gt((1,), 0.1, {"input": "float64"}), tenth).tolist() == [1]


def test_no_number_equals_nothing() -> None:
    nothing = {"input": np.array([np.nan])}
    assert everything(choosing.eq((1,), 0), nothing).tolist() == [0]
    assert everything(choosing.ge((1,), 0), nothing).tolist() == [0]
    assert everything(choosing.ne((1,), 0), nothing).tolist() == [1]


def test_what_counts_as_true_by_hand() -> None:
    arrays = {"input": np.array([0.0, 0, 2, -1]), "other": np.array([0.0, 3, 0, 1])}
    assert everything(choosing.logical_and((4,), (4,)), arrays).tolist() == [0, 0, 0, 1]
    assert everything(choosing.logical_or((4,), (4,)), arrays).tolist() == [0, 1, 1, 1]
    assert everything(choosing.logical_xor((4,), (4,)), arrays).tolist() == [0, 1, 1, 0]
    assert everything(choosing.logical_not((4,)), {"input": arrays["input"]}).tolist() == [1, 1, 0, 0]
    truths, numbers = {"out": "bool"}, {"out": "int64"}
    for declare in (choosing.bitwise_and, choosing.bitwise_or, choosing.bitwise_xor):
        assert declare((4,), (4,), truths) is not None
        assert declare((4,), (4,), numbers) is None
    assert choosing.bitwise_not((4,), numbers) is None


def test_what_is_no_number_by_hand() -> None:
    odd = {"input": np.array([np.nan, np.inf, -np.inf, 3])}
    assert everything(choosing.isnan((4,)), odd).tolist() == [1, 0, 0, 0]
    assert everything(choosing.isinf((4,)), odd).tolist() == [0, 1, 1, 0]
    assert everything(choosing.isfinite((4,)), odd).tolist() == [0, 0, 0, 1]


@MANY
@given(PAIRS, st.integers(0, 99))
def test_two_arrays_agree_with_pytorch_at_ties(oracle, shapes, seed) -> None:
    first, second = shapes
    arrays = {"input": whole(first, seed), "other": whole(second, seed + 100)}
    pairs: list[tuple[Callable[..., Any], Callable[..., torch.Tensor]]] = [
        (choosing.maximum_of, torch.maximum),
        (choosing.minimum_of, torch.minimum),
        (choosing.fmax, torch.fmax),
        (choosing.fmin, torch.fmin),
    ]
    for declare, function in pairs:
        oracle.agrees(declare(first, second), function, arrays, at=12)


@MANY
@given(PAIRS, st.sampled_from([GRID, (3, 1), (1,)]), st.integers(0, 99))
def test_choices_agree_with_pytorch(oracle, shapes, condition, seed) -> None:
    first, second = shapes
    chosen = torch.tensor(whole(condition, seed) > 0)
    arrays = {"condition": chosen.numpy(), "input": whole(first, seed + 1), "other": whole(second, seed + 2)}

    def check(op: Any, function: Callable[..., torch.Tensor], names: list[str], mask: str = "condition") -> None:
        numbers = {name: arrays[name] for name in names} | {mask: arrays["condition"]}
        evaluator = Evaluator(op, numbers)
        tensors = [torch.tensor(arrays[name], requires_grad=True) for name in names]
        out = function(*tensors)
        assert op.shapes["out"] == tuple(out.shape)
        np.testing.assert_array_equal(everything(op, numbers), out.detach().numpy())
        gradient = torch.randn(out.shape, dtype=torch.float64)
        evaluator.gradient = gradient.numpy()
        for name, expected in zip(names, torch.autograd.grad(out, tensors, gradient), strict=True):
            for index in oracle.indices(expected.shape, 8):
                value, scale = evaluator.gradient_of(name, index)
                assert value == pytest.approx(expected[index].item(), rel=0, abs=1e-12 * scale)

    op = choosing.where_of(condition, first, second)
    check(op, lambda x, y: torch.where(chosen, x, y), ["input", "other"])
    check(choosing.where_of(condition, 2.5, second), lambda y: torch.where(chosen, 2.5, y), ["other"])
    filled = choosing.masked_fill(first, condition, -3.5)
    check(filled, lambda x: torch.where(chosen, -3.5, x), ["input"], "mask")


@MANY
@given(
    st.sampled_from([None, -0.5, 0.0, (), GRID, (3, 1)]),
    st.sampled_from([None, 0.5, 0.0, (), GRID, (4,)]),
    st.integers(0, 99),
)
def test_bounds_agree_with_pytorch(oracle, low, high, seed) -> None:
    if low is None and high is None:
        return
    # a bound is not a tensor if the other is a number
    low = low if isinstance(low, tuple) or low is None or not isinstance(high, tuple) else ()
    high = high if isinstance(high, tuple) or high is None or not isinstance(low, tuple) else ()
    arrays = {"input": whole(GRID, seed)}
    arrays |= {
        n: whole(s, seed + k) for k, (n, s) in enumerate((("min", low), ("max", high)), 1) if isinstance(s, tuple)
    }

    def clamped(x: torch.Tensor, *bounds: torch.Tensor) -> torch.Tensor:
        remaining = list(bounds)
        least = remaining.pop(0) if isinstance(low, tuple) else low
        return x.clamp(least, remaining.pop(0) if isinstance(high, tuple) else high)

    oracle.agrees(choosing.clamp(GRID, low, high), clamped, arrays, at=16)


@MANY
@given(PAIRS, st.integers(0, 99))
def test_comparisons_agree_with_pytorch(shapes, seed) -> None:
    first, second = whole(shapes[0], seed), whole(shapes[1], seed + 1)
    for name in ("eq", "ne", "gt", "ge", "lt", "le", "logical_and", "logical_or", "logical_xor"):
        op = getattr(choosing, name)(*shapes)
        expected = getattr(torch, name)(torch.tensor(first), torch.tensor(second)).numpy()
        np.testing.assert_array_equal(everything(op, {"input": first, "other": second}), expected)


def test_the_sign_agrees_with_pytorch(oracle) -> None:
    oracle.agrees(choosing.sign(GRID), torch.sign, {"input": whole(GRID, 3)}, at=20)


@pytest.mark.parametrize(
    "op",
    [
        choosing.maximum_of((2, 3), (3,)),
        choosing.minimum_of((2, 3), (2, 1)),
        choosing.where_of((2, 3), (2, 3), (3,)),
        choosing.clamp((2, 3), (3,), ()),
        choosing.sign((2, 3)),
    ],
)
def test_gradients_by_differences(oracle, op) -> None:
    arrays = oracle.numbers(op)
    fixed = {name: array for name, array in arrays.items() if name != "condition"}
    assert fixed
    oracle.by_differences(op, arrays)
