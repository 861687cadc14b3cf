"""Element-wise ops of one array and of pairs: by hand, against PyTorch, and by differences."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.glassbox.arithmetic.declaration import OUT, Op
from pellucid.glassbox.arithmetic.evaluator import Evaluator, everything
from pellucid.glassbox.arithmetic.ops import elementwise as e

MANY = settings(max_examples=15, deadline=None)
SHAPES = st.sampled_from([(), (3,), (2, 3), (2, 3, 2, 2), (1, 1)])

# (declaration, PyTorch's function, numbers where both are exact or the derivative jumps)
ALONE: dict[str, tuple[Callable[..., Op], Callable, list[float]]] = {
    "relu": (e.relu, F.relu, [0]),
    "leaky_relu": (e.leaky_relu, F.leaky_relu, [0]),
    "elu": (e.elu, F.elu, [0]),
    "selu": (e.selu, F.selu, [0]),
    "celu": (e.celu, F.celu, [0]),
    "celu, 0.5": (lambda s: e.celu(s, 0.5), lambda x: F.celu(x, 0.5), [0]),
    "rrelu": (e.rrelu, F.rrelu, [0]),
    "threshold": (lambda s: e.threshold(s, 0.5, -2), lambda x: F.threshold(x, 0.5, -2), [0.5]),
    "hardshrink": (e.hardshrink, F.hardshrink, [-0.5, 0, 0.5]),
    "softshrink": (e.softshrink, F.softshrink, [-0.5, 0, 0.5]),
    "log-sigmoid": (e.log_sigmoid, F.logsigmoid, [0]),
    "gelu": (e.gelu, F.gelu, [0]),
    "gelu, tanh": (lambda s: e.gelu(s, "tanh"), lambda x: F.gelu(x, approximate="tanh"), [0]),
    "silu": (e.silu, F.silu, [0]),
    "hardswish": (e.hardswish, F.hardswish, [-3, 0, 3]),
    "hardsigmoid": (e.hardsigmoid, F.hardsigmoid, [-3, 0, 3]),
    "hardtanh": (e.hardtanh, F.hardtanh, [-1, 1]),
    "relu6": (e.relu6, F.relu6, [0, 6]),
    "sigmoid": (e.sigmoid_of, torch.sigmoid, [0]),
    "tanh": (e.tanh_of, torch.tanh, [0]),
    "softplus": (e.softplus, F.softplus, [0]),
    "mish": (e.mish, F.mish, [0]),
    "exp": (e.exp_of, torch.exp, [0]),
    "abs": (e.abs_of, torch.abs, [0]),
    "neg": (e.neg, torch.neg, [0]),
    "square": (lambda s: e.pow(s, 2), lambda x: x**2, [0]),
    "cube": (lambda s: e.pow(s, 3), lambda x: x**3, [0]),
    "power 1": (lambda s: e.pow(s, 1), lambda x: x**1, [0]),
    "power 0": (lambda s: e.pow(s, 0), lambda x: x**0, [0]),
    "clamp": (lambda s: e.clamp(s, -1, 2), lambda x: x.clamp(-1, 2), [-1, 2]),
    "clamp below": (lambda s: e.clamp(s, min=0), lambda x: x.clamp(min=0), [0]),
    "clamp above": (lambda s: e.clamp(s, max=0.5), lambda x: x.clamp(max=0.5), [0.5]),
}
POSITIVE = {
    "log": (e.log_of, torch.log),
    "sqrt": (e.sqrt_of, torch.sqrt),
    "reciprocal": (e.reciprocal, torch.reciprocal),
    "root": (lambda s: e.pow(s, 0.5), lambda x: x**0.5),
    "power -1.5": (lambda s: e.pow(s, -1.5), lambda x: x**-1.5),
}
# PyTorch divides by 6 by multiplying by a float32's 1/6, with an error of 1.7e-8 (float32 has 24 bits)
ROUGH = {"hardswish": 1e-7, "hardsigmoid": 1e-7}


@pytest.mark.parametrize(
    ("op", "x", "value", "slope"),
    [
        (e.relu(()), -2, 0, 0),
        (e.relu(()), 3, 3, 1),
        (e.leaky_relu((), 0.1), -2, -0.2, 0.1),
        (e.elu(()), -math.log(2), -0.5, 0.5),  # exp(-log 2) - 1
        (e.selu(()), 1, 1.0507009873554805, 1.0507009873554805),
        (e.celu((), 2), -2 * math.log(2), -1, 0.5),  # 2 * (exp(-log 2) - 1)
        (e.threshold((), 1, 20), 1, 20, 0),
        (e.hardshrink(()), -0.75, -0.75, 1),
        (e.softshrink(()), -0.75, -0.25, 1),
        (e.log_sigmoid(()), math.log(3), math.log(0.75), 0.25),  # sigmoid(log 3) = 3/4; 1 - 3/4
        (e.gelu(()), 0, 0, 0.5),  # Phi(0) = 1/2
        (e.gelu((), "tanh"), 0, 0, 0.5),
        (e.silu(()), math.log(3), 0.75 * math.log(3), 0.75 + math.log(3) * 0.75 * 0.25),  # sigmoid(log 3) = 3/4
        (e.hardswish(()), 1, 4 / 6, 5 / 6),  # x (x + 3) / 6; (2x + 3) / 6
        (e.hardsigmoid(()), 1, 4 / 6, 1 / 6),
        (e.hardtanh(()), 0.5, 0.5, 1),
        (e.hardtanh((), -2, 2), 3, 2, 0),
        (e.relu6(()), 7, 6, 0),
        (e.sigmoid_of(()), math.log(3), 0.75, 0.75 * 0.25),
        (e.tanh_of(()), math.log(2), 0.6, 0.64),  # (2 - 1/2) / (2 + 1/2); 1 - 0.36
        (e.softplus(()), 0, math.log(2), 0.5),
        (e.softplus((), 2), math.log(1) / 2, math.log(2) / 2, 0.5),
        (e.mish(()), 0, 0, 0.6),  # tanh(log 2)
        (e.exp_of(()), math.log(5), 5, 5),
        (e.log_of(()), math.e, 1, 1 / math.e),
        (e.sqrt_of(()), 9, 3, 1 / 6),
        (e.abs_of(()), -4, 4, -1),
        (e.neg(()), 4, -4, -1),
        (e.reciprocal(()), 4, 0.25, -1 / 16),
        (e.pow((), 3), 2, 8, 12),
        (e.clamp((), 0, 1), 5, 1, 0),
        (e.clamp((), 0, 1), 1, 1, 1),  # the bound itself: through, as in PyTorch
    ],
    ids=lambda value: value.kind if isinstance(value, Op) else None,
)
def test_a_number_by_hand(op: Op, x: float, value: float, slope: float) -> None:
    evaluator = Evaluator(op, {"input": np.array(float(x))}, np.array(10.0))
    (terms,) = evaluator.forward(())
    assert len(terms) == 1
    assert terms.total == pytest.approx(value, rel=1e-12, abs=1e-15)
    assert evaluator.gradient_of("input", ())[0] == pytest.approx(10 * slope, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("name", ALONE)
def test_what_happens_alone_agrees_with_pytorch(oracle, name) -> None:
    make, function, special = ALONE[name]
    op = make((5, 8 + len(special)))
    numbers = np.concatenate([oracle.random.normal(0, 3, (5, 8)), np.tile(special, (5, 1))], axis=1)
    oracle.agrees(op, function, oracle.numbers(op, input=numbers), tolerance=ROUGH.get(name, 1e-12), at=40)
    at = oracle.numbers(make((len(special),)), input=special)
    oracle.agrees(make((len(special),)), function, at, tolerance=ROUGH.get(name, 1e-12), at=8)


@MANY
@given(SHAPES, st.sampled_from(sorted(ALONE)), st.floats(0.01, 20))
def test_any_shape_and_size_agrees_with_pytorch(oracle, shape, name, size) -> None:
    make, function, _ = ALONE[name]
    op = make(shape)
    arrays = oracle.numbers(op, input=oracle.random.normal(0, size, shape))
    oracle.agrees(op, function, arrays, tolerance=ROUGH.get(name, 1e-11))


@pytest.mark.parametrize("name", POSITIVE)
def test_of_positive_numbers_agrees_with_pytorch(oracle, name) -> None:
    make, function = POSITIVE[name]
    op = make((20,))
    oracle.agrees(op, function, oracle.numbers(op, input=np.exp(oracle.random.normal(0, 2, 20))), at=20)


@MANY
@given(SHAPES, st.floats(-2, 2), st.floats(0.1, 3), st.floats(0.1, 3), st.floats(0.1, 30))
def test_settings_agree_with_pytorch(oracle, shape, a, b, c, threshold) -> None:
    oracle.agrees(e.leaky_relu(shape, a), lambda x: F.leaky_relu(x, a))
    oracle.agrees(e.elu(shape, b), lambda x: F.elu(x, b))
    oracle.agrees(e.elu(shape, a, b, c), lambda x: torch.ops.aten.elu(x, a, b, c))
    oracle.agrees(e.hardtanh(shape, a, a + b), lambda x: F.hardtanh(x, a, a + b))
    oracle.agrees(e.clamp(shape, a, a + b), lambda x: x.clamp(a, a + b))
    oracle.agrees(e.pow(shape, a), lambda x: x**a, oracle.numbers(e.relu(shape), input=np.full(shape, b)))
    oracle.agrees(e.softplus(shape, b, threshold), lambda x: F.softplus(x, b, threshold))


@MANY
@given(st.sampled_from([(2, 3), (2, 3, 2), (1, 3, 2, 2), (4,)]), st.booleans())
def test_prelu_agrees_with_pytorch(oracle, shape, several) -> None:
    op = e.prelu(shape, (shape[1],) if several and len(shape) > 1 else (1,))
    arrays = oracle.numbers(op)
    arrays["input"].flat[::2] = 0  # where the derivative jumps
    oracle.agrees(op, F.prelu, arrays, at=6)


def test_prelu_by_hand() -> None:
    op = e.prelu((1, 2, 2), (2,))
    arrays = {"input": np.array([[[3.0, -5], [-7, -11]]]), "weight": np.array([0.5, 0.1])}
    assert everything(op, arrays) == pytest.approx(np.array([[[3, -2.5], [-0.7, -1.1]]]))
    (terms,) = Evaluator(op, arrays, np.ones((1, 2, 2))).backward("weight", (1,))
    assert terms.values.tolist() == [-7, -11]


@st.composite
def broadcast(draw):
    """Two shapes that broadcast: axes of length 1, or fewer axes."""
    out = draw(st.lists(st.integers(1, 3), max_size=3))
    shapes = []
    for _ in range(2):
        shape = [size if draw(st.booleans()) else 1 for size in out]
        shapes.append(tuple(shape[draw(st.integers(0, len(shape))) :]))
    return shapes


JOINED = {
    "add": (e.add, torch.add),
    "sub": (e.sub, torch.sub),
    "rsub": (e.rsub, torch.rsub),
    "mul": (e.mul, torch.mul),
    "div": (e.div, torch.div),
}


@MANY
@given(broadcast(), st.sampled_from(sorted(JOINED)))
def test_pairs_agree_with_pytorch(oracle, shapes, name) -> None:
    make, function = JOINED[name]
    oracle.agrees(make(*shapes), function)


@MANY
@given(broadcast(), st.floats(-3, 3), st.sampled_from([0, 1, -1, 2, 2.5]))
def test_alpha_and_numbers_agree_with_pytorch(oracle, shapes, alpha, number) -> None:
    for name in ("add", "sub", "rsub"):
        make, function = JOINED[name]
        oracle.agrees(make(*shapes, alpha), lambda a, b, f=function: f(a, b, alpha=alpha))
        oracle.agrees(make(shapes[0], number, alpha), lambda a, f=function: f(a, number, alpha=alpha))
    oracle.agrees(e.mul(shapes[0], number), lambda a: a * number)
    oracle.agrees(e.sub(number, shapes[0]), lambda a: number - a)
    oracle.agrees(e.div(number, shapes[0]), lambda a: number / a)
    if number:
        oracle.agrees(e.div(shapes[0], number), lambda a: a / number)


def test_pairs_by_hand() -> None:
    arrays = {"input": np.array([[1.0, 2, 3]]), "other": np.array([[10.0], [20]])}
    assert everything(e.add((1, 3), (2, 1)), arrays).tolist() == [[11, 12, 13], [21, 22, 23]]
    assert everything(e.add((1, 3), (2, 1), 0.5), arrays).tolist() == [[6, 7, 8], [11, 12, 13]]
    assert everything(e.sub((1, 3), (2, 1)), arrays).tolist() == [[-9, -8, -7], [-19, -18, -17]]
    assert everything(e.rsub((1, 3), 1), arrays).tolist() == [[0, -1, -2]]
    assert everything(e.div((1, 3), (2, 1)), arrays) == pytest.approx(arrays["input"] / arrays["other"])
    evaluator = Evaluator(e.mul((1, 3), (2, 1)), arrays, np.array([[1.0, 1, 1], [1, 2, 4]]))
    assert evaluator.value(OUT, (1, 2))[0] == 60
    (terms,) = evaluator.backward("input", (0, 2))  # met by both rows: 1 * 10 and 4 * 20
    assert terms.values.tolist() == [10, 80]
    (terms,) = evaluator.backward("other", (1, 0))  # 1*1 + 2*2 + 4*3
    assert terms.values.tolist() == [1, 4, 12]


def test_a_number_times_0_has_a_term_without_factors() -> None:
    op = e.mul((2,), 0)
    evaluator = Evaluator(op, {"input": np.array([3.0, 4])}, np.ones(2))
    (terms,) = evaluator.forward((1,))
    assert (terms.columns, terms.values.tolist(), str(terms.formula)) == ((), [0], "0")
    assert evaluator.backward("input", (1,)) == ()


@pytest.mark.parametrize("name", [*ALONE, *POSITIVE])
def test_slopes_by_differences(oracle, name) -> None:
    make = (ALONE | POSITIVE)[name][0]
    op = make((12,))
    numbers = oracle.random.uniform(0.2, 2.9, 12) * (1 if name in POSITIVE else oracle.random.choice([-1, 1], 12))
    numbers += 0.003 * (np.abs(numbers % 0.5) < 0.002)  # away from where the slope jumps
    oracle.by_differences(op, {"input": numbers})


@pytest.mark.parametrize(
    "op",
    [
        e.add((2, 1), (3,), 0.5),
        e.sub((3,), (2, 3), 2),
        e.rsub((3,), (2, 3), 2),
        e.mul((2, 3), ()),
        e.prelu((2, 3), (3,)),
    ],
)
def test_gradients_of_pairs_by_differences(oracle, op) -> None:
    oracle.by_differences(op)


def test_the_gradient_of_a_quotient_by_differences(oracle) -> None:
    op = e.div((2, 3), (3,))
    oracle.by_differences(op, oracle.numbers(op, other=np.array([0.5, -2, 3])))


@MANY
@given(st.lists(st.integers(1, 3), min_size=1, max_size=3), st.integers(0, 2))
def test_gated_linear_units_agree_with_pytorch(oracle, shape, dim) -> None:
    dim = dim % len(shape)
    shape[dim] *= 2
    op = e.glu(tuple(shape), dim - len(shape))
    oracle.agrees(op, lambda x: F.glu(x, dim), at=5)
    oracle.by_differences(op)


def test_a_gated_linear_unit_by_hand() -> None:
    op = e.glu((2,))
    arrays = {"input": np.array([8.0, math.log(3)])}
    evaluator = Evaluator(op, arrays, np.array([1.0]))
    assert evaluator.value(OUT, (0,))[0] == pytest.approx(8 * 3 / 4)
    assert evaluator.gradient_of("input", (1,))[0] == pytest.approx(8 * 3 / 4 * 1 / 4)


@MANY
@given(broadcast(), st.sampled_from(["floor", "trunc"]))
def test_whole_quotients_agree_with_pytorch(oracle, shapes, mode) -> None:
    oracle.agrees(e.div(*shapes, mode), lambda a, b: torch.div(a, b, rounding_mode=mode))
    oracle.agrees(e.div(shapes[0], 0.7, mode), lambda a: torch.div(a, 0.7, rounding_mode=mode))


@pytest.mark.parametrize("name", ["relu", "softplus", "hardtanh", "elu", "hardsigmoid", "sigmoid", "tanh", "relu6"])
def test_infinite_numbers_give_what_pytorch_gives(name) -> None:
    make, function, _ = ALONE[name]
    numbers = torch.tensor([math.inf, -math.inf], dtype=torch.float64)
    op = make((2,))
    with np.errstate(all="ignore"):
        assert everything(op, {"input": numbers.numpy()}) == pytest.approx(function(numbers).numpy(), rel=1e-6)
