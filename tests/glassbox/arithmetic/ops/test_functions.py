"""Functions of one number and of several: by hand, against PyTorch at all sizes and special numbers, by differences."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.glassbox.arithmetic.declaration import Op
from pellucid.glassbox.arithmetic.evaluator import Evaluator
from pellucid.glassbox.arithmetic.ops import functions as f

MANY = settings(max_examples=12, deadline=None)

# (declaration, PyTorch's function, numbers where both are exact or the derivative jumps)
ANY: dict[str, tuple[Callable[..., Op], Callable, list[float]]] = {
    "square": (f.square_of, torch.square, [0]),
    "exp2": (f.exp2_of, torch.exp2, [0, 1]),
    "expm1": (f.expm1_of, torch.expm1, [0, 1e-12, -1e-12]),
    "sin": (f.sin_of, torch.sin, [0]),
    "cos": (f.cos_of, torch.cos, [0]),
    "tan": (f.tan_of, torch.tan, [0]),
    "atan": (f.atan_of, torch.atan, [0]),
    "sinh": (f.sinh_of, torch.sinh, [0, 1e-9]),
    "cosh": (f.cosh_of, torch.cosh, [0]),
    "asinh": (f.asinh_of, torch.asinh, [0, -1e-9, 1e-9]),
    "sinc": (f.sinc_of, torch.sinc, [0, 1]),
    "erf": (f.erf_of, torch.erf, [0]),
    "erfc": (f.erfc_of, torch.erfc, [0]),
    "frac": (f.frac_of, torch.frac, [-1, 0, 1, 0.5, -0.5]),
    "degrees": (f.degrees_of, torch.rad2deg, [0]),
    "radians": (f.radians_of, torch.deg2rad, [0]),
    "positive": (f.positive_of, torch.positive, [0]),
    "fmod": (lambda s: f.fmod_of(s, 0.75), lambda x: torch.fmod(x, 0.75), [0, 0.75, -1.5]),
    "remainder": (lambda s: f.remainder_of(s, 0.75), lambda x: x % 0.75, [0, 0.75, -1.5]),
    "power of 2": (lambda s: f.power_of(2.0, s), lambda x: 2.0**x, [0]),
    "xlogy": (lambda s: f.xlogy_of(s, 3.0), lambda x: torch.xlogy(x, 3.0), [0]),
}
SHARES: dict[str, tuple[Callable[..., Op], Callable]] = {  # between 0 and 1
    "asin": (f.asin_of, torch.asin),
    "acos": (f.acos_of, torch.acos),
    "atanh": (f.atanh_of, torch.atanh),
    "logit": (f.logit_of, torch.logit),
    "logit, clamped": (lambda s: f.logit_of(s, 0.2), lambda x: torch.logit(x, 0.2)),
    "rsqrt": (f.rsqrt_of, torch.rsqrt),
    "log1p": (f.log1p_of, torch.log1p),
    "log2": (f.log2_of, torch.log2),
    "log10": (f.log10_of, torch.log10),
    "power": (lambda s: f.power_of(s, 1.7), lambda x: x**1.7),
    "acosh": (lambda s: f.acosh_of(s), lambda x: torch.acosh(x)),
}


@pytest.mark.parametrize(
    ("op", "x", "value", "slope"),
    [
        (f.rsqrt_of(()), 4, 1 / 2, -1 / 16),
        (f.square_of(()), -3, 9, -6),
        (f.exp2_of(()), 3, 8, 8 * math.log(2)),
        (f.log2_of(()), 8, 3, 1 / (8 * math.log(2))),
        (f.log10_of(()), 100, 2, 1 / (100 * math.log(10))),
        (f.logit_of(()), 0.75, math.log(3), 16 / 3),  # 1 / (x (1 - x))
        (f.tan_of(()), math.pi / 4, 1, 2),
        (f.asin_of(()), 0.5, math.pi / 6, 1 / math.sqrt(0.75)),
        (f.acos_of(()), 0.5, math.pi / 3, -1 / math.sqrt(0.75)),
        (f.atan_of(()), 1, math.pi / 4, 0.5),
        (f.sinh_of(()), math.log(2), 0.75, 1.25),
        (f.cosh_of(()), math.log(2), 1.25, 0.75),
        (f.asinh_of(()), -0.75, -math.log(2), 0.8),
        (f.acosh_of(()), 1.25, math.log(2), 1 / 0.75),
        (f.atanh_of(()), 0.6, math.log(2), 1 / 0.64),
        (f.sinc_of(()), 0.5, 2 / math.pi, -4 / math.pi),
        (f.erf_of(()), 0, 0, 2 / math.sqrt(math.pi)),
        (f.frac_of(()), -1.25, -0.25, 1),
        (f.fmod_of((), 3), -7, -1, 1),
        (f.remainder_of((), 3), -7, 2, 1),
        (f.floor_divide_of((), 3), -7, -3, 0),
        (f.degrees_of(()), math.pi, 180, 180 / math.pi),
    ],
    ids=lambda value: value.kind if isinstance(value, Op) else None,
)
def test_a_number_by_hand(op: Op, x: float, value: float, slope: float) -> None:
    evaluator = Evaluator(op, {"input": np.array(float(x))}, np.array(10.0))
    (terms,) = evaluator.forward(())
    assert terms.total == pytest.approx(value, rel=1e-12, abs=1e-15)
    assert evaluator.gradient_of("input", ())[0] == pytest.approx(10 * slope, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("name", ANY)
@pytest.mark.parametrize("size", [0.01, 1, 6])
def test_functions_agree_with_pytorch(oracle, name, size) -> None:
    make, function, special = ANY[name]
    numbers = np.concatenate([oracle.random.normal(0, size, 20), special])
    op = make((len(numbers),))
    oracle.agrees(op, function, {op.inputs[0]: numbers}, tolerance=1e-12, at=40)


@pytest.mark.parametrize("name", SHARES)
def test_functions_of_some_numbers_agree_with_pytorch(oracle, name) -> None:
    make, function = SHARES[name]
    numbers = oracle.random.uniform(0.01, 0.99, 20) + (1 if name == "acosh" else 0)
    oracle.agrees(make((20,)), function, {"input": numbers}, at=20)
    oracle.by_differences(make((20,)), {"input": np.where(np.abs(numbers % 0.6 - 0.2) < 0.01, 0.5, numbers)})


@pytest.mark.parametrize("name", sorted(ANY))
def test_slopes_by_differences(oracle, name) -> None:
    op = ANY[name][0]((12,))
    oracle.by_differences(op, {op.inputs[0]: oracle.random.uniform(0.1, 0.7, 12)})


PAIRS = {
    "atan2": (f.atan2_of, torch.atan2),
    "hypot": (f.hypot_of, torch.hypot),
    "logaddexp": (f.logaddexp_of, torch.logaddexp),
    "fmod": (f.fmod_of, torch.fmod),
    "remainder": (f.remainder_of, torch.remainder),
}


@pytest.mark.parametrize("name", PAIRS)
def test_pairs_agree_with_pytorch(oracle, name) -> None:
    make, function = PAIRS[name]
    oracle.agrees(make((4, 5), (5,)), function, at=30)
    oracle.agrees(make((2, 1, 3), (4, 1)), function, at=30)


def test_all_four_quarters_of_an_angle(oracle) -> None:
    y, x = (each.ravel() for each in np.meshgrid([-3.0, -0.1, 0.1, 3], [-3.0, -0.1, 0.1, 3]))
    oracle.agrees(f.atan2_of((16,), (16,)), torch.atan2, {"input": y, "other": x}, at=40)


@MANY
@given(st.lists(st.integers(1, 3), max_size=3), st.floats(-2, 2))
def test_three_at_once_agree_with_pytorch(oracle, shape, value) -> None:
    shape = tuple(shape)
    oracle.agrees(f.addcmul_of(shape, shape, (), value), lambda a, b, c: torch.addcmul(a, b, c, value=value))
    op = f.addcdiv_of(shape, (), shape, value)
    oracle.agrees(
        op, lambda a, b, c: torch.addcdiv(a, b, c, value=value), oracle.numbers(op, tensor2=np.full(shape, 3))
    )
    oracle.agrees(f.lerp_of(shape, shape, value), lambda a, b: torch.lerp(a, b, value))
    oracle.agrees(f.lerp_of(shape, shape, ()), torch.lerp)


def test_powers_of_arrays_agree_with_pytorch(oracle) -> None:
    op = f.power_of((3, 4), (4,))
    numbers = oracle.numbers(op, input=np.abs(oracle.random.standard_normal((3, 4))) + 0.1)
    oracle.agrees(op, torch.pow, numbers, at=12)
    # a negative number has only whole powers, and 0 only positive ones
    whole = f.power_of((4,), (4,))
    arrays = {"input": np.array([-2.0, -3, 0, 5]), "exponent": np.array([2.0, 3, 2, 0])}
    evaluator = Evaluator(whole, arrays, np.ones(4))
    assert [evaluator.value("out", (n,))[0] for n in range(4)] == pytest.approx([4, -27, 0, 1])
    assert [evaluator.gradient_of("input", (n,))[0] for n in range(4)] == pytest.approx([-4, 27, 0, 0])


def test_0_times_the_logarithm_of_0_is_0() -> None:
    op = f.xlogy_of((2,), (2,))
    evaluator = Evaluator(op, {"input": np.array([0.0, 2]), "other": np.array([0.0, math.e])}, np.ones(2))
    assert [evaluator.value("out", (n,))[0] for n in range(2)] == [0, 2]
