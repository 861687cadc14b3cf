"""The optimizers' updates: by hand, against PyTorch over several steps, and by differences."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.glassbox.arithmetic import Evaluator
from pellucid.glassbox.declaration import OUT, Op
from pellucid.glassbox.ops import optimizers

MANY = settings(max_examples=25, deadline=None)
RATE, DECAY = st.floats(1e-4, 0.5), st.sampled_from([0.0, 0.01, 0.3])
STEPS = 5


def step(op: Op, **numbers: float) -> Evaluator:
    return Evaluator(op, {name: np.array(float(number)) for name, number in numbers.items()})


def value(evaluator: Evaluator, name: str = OUT) -> float:
    return evaluator.value(name, ())[0]


def test_sgd_by_hand() -> None:
    assert value(step(optimizers.sgd(0.1), weight=2, gradient=5)) == pytest.approx(2 - 0.5)
    decayed = step(optimizers.sgd(0.1, decay=0.5), weight=2, gradient=5)
    assert value(decayed, "decayed") == 6  # 5 + 0.5 * 2
    assert value(decayed) == pytest.approx(2 - 0.6)
    (terms,) = step(optimizers.sgd(0.1), weight=2, gradient=5).forward(())
    assert str(terms.formula) == "weight - gradient * 0.1"


def test_momentum_by_hand() -> None:
    evaluator = step(optimizers.sgd(0.1, 0.5, 0.25), weight=2, gradient=4, momentum=6)
    assert value(evaluator, "momentum_after") == 6  # 0.5 * 6 + 0.75 * 4
    assert value(evaluator) == pytest.approx(2 - 0.6)
    nesterov = step(optimizers.sgd(0.1, 0.5, nesterov=True), weight=2, gradient=4, momentum=6)
    assert value(nesterov, "momentum_after") == 7
    assert value(nesterov) == pytest.approx(2 - 0.1 * (4 + 0.5 * 7))
    first = step(optimizers.sgd(0.1, 0.5, 0.25, first=True), weight=2, gradient=4, momentum=0)
    assert value(first, "momentum_after") == 4  # undampened


def test_adam_by_hand() -> None:
    # the first step: both means, freed of their start at 0, are the gradient and its square, so the step is the rate
    evaluator = step(optimizers.adam(0.1, 0.9, 0.99, 0.0, 1), weight=2, gradient=-5, mean=0, mean_square=0)
    assert value(evaluator, "mean_after") == pytest.approx(-0.5)
    assert value(evaluator, "mean_square_after") == pytest.approx(0.25)
    assert value(evaluator, "mean_unbiased") == pytest.approx(-5)
    assert value(evaluator, "mean_square_unbiased") == pytest.approx(25)
    assert value(evaluator) == pytest.approx(2.1)
    # AdamW shrinks the weight by itself, Adam's decay changes the gradient and so, here, nothing
    numbers = {"weight": 2, "gradient": 5, "mean": 0, "mean_square": 0}
    assert value(step(optimizers.adamw(0.1, 0.9, 0.99, 0.0, 1, 0.5), **numbers)) == pytest.approx(2 * 0.95 - 0.1)
    assert value(step(optimizers.adam(0.1, 0.9, 0.99, 0.0, 1, 0.5), **numbers)) == pytest.approx(2 - 0.1)


def test_rmsprop_by_hand() -> None:
    # mean square 0.75 * 12 + 0.25 * 4^2 = 13, step 4 / (sqrt(13) + 1)
    numbers = {"weight": 2, "gradient": 4, "mean_square": 12}
    assert value(step(optimizers.rmsprop(0.1, 0.75, 1), **numbers), "mean_square_after") == 13
    assert value(step(optimizers.rmsprop(0.1, 0.75, 1), **numbers)) == pytest.approx(2 - 0.4 / (13**0.5 + 1))
    both = step(optimizers.rmsprop(0.1, 0.75, 1, 0.5), **numbers, momentum=3)
    assert value(both, "momentum_after") == pytest.approx(1.5 + 4 / (13**0.5 + 1))


def follow(declare: Callable[[int], Op], make: Callable[[list], torch.optim.Optimizer], seed: int) -> None:
    """Five steps of PyTorch's optimizer, and of the declaration, which remembers what it has worked out itself."""
    random = np.random.default_rng(seed)
    parameter = torch.tensor(random.standard_normal(), dtype=torch.float64, requires_grad=True)
    optimizer = make([parameter])
    kept: dict[str, float] = {}
    for number in range(1, STEPS + 1):
        op, gradient, before = declare(number), float(random.standard_normal()), parameter.item()
        remembered = {name: kept.get(name, 0.0) for name in op.inputs if name not in ("weight", "gradient")}
        evaluator = step(op, weight=before, gradient=gradient, **remembered)
        parameter.grad = torch.tensor(gradient, dtype=torch.float64)
        optimizer.step()
        found, scale = evaluator.value(OUT, ())
        assert found == pytest.approx(parameter.item(), rel=0, abs=1e-13 * scale)
        kept = {name: value(evaluator, f"{name}_after") for name in remembered}


@MANY
@given(RATE, DECAY, st.sampled_from([0.0, 0.5, 0.95]), st.floats(0, 1), st.booleans(), st.integers(0, 999))
def test_sgd_agrees_with_pytorch(rate, decay, momentum, dampening, nesterov, seed) -> None:
    if nesterov:
        momentum, dampening = momentum or 0.9, 0.0  # PyTorch wants them so
    follow(
        lambda number: optimizers.sgd(rate, momentum, dampening, nesterov, decay, number == 1),
        lambda p: torch.optim.SGD(
            p, rate, momentum=momentum, dampening=dampening, nesterov=nesterov, weight_decay=decay
        ),
        seed,
    )


@MANY
@given(RATE, DECAY, st.floats(0, 0.99), st.floats(0.5, 0.9999), st.floats(1e-9, 0.1), st.integers(0, 999))
def test_adam_agrees_with_pytorch(rate, decay, beta1, beta2, epsilon, seed) -> None:
    for declared, theirs in ((optimizers.adam, torch.optim.Adam), (optimizers.adamw, torch.optim.AdamW)):
        follow(
            lambda number, f=declared: f(rate, beta1, beta2, epsilon, number, decay),
            lambda p, f=theirs: f(p, rate, (beta1, beta2), epsilon, decay),
            seed,
        )


@MANY
@given(RATE, DECAY, st.floats(0, 0.999), st.floats(1e-9, 0.1), st.sampled_from([0.0, 0.9]), st.integers(0, 999))
def test_rmsprop_agrees_with_pytorch(rate, decay, alpha, epsilon, momentum, seed) -> None:
    follow(
        lambda number: optimizers.rmsprop(rate, alpha, epsilon, momentum, decay),
        lambda p: torch.optim.RMSprop(p, rate, alpha, epsilon, weight_decay=decay, momentum=momentum),
        seed,
    )


@pytest.mark.parametrize(
    "op",
    [
        optimizers.sgd(0.1, 0.9, 0.1, decay=0.2),
        optimizers.sgd(0.1, 0.9, nesterov=True),
        optimizers.adam(0.1, 0.9, 0.99, 0.1, 3, 0.2),
        optimizers.adamw(0.1, 0.9, 0.99, 0.1, 3, 0.2),
        optimizers.rmsprop(0.1, 0.9, 0.1, 0.9, 0.2),
    ],
    ids=lambda op: op.kind,
)
def test_gradients_by_differences(oracle, op) -> None:
    arrays = oracle.numbers(op)
    if "mean_square" in arrays:
        arrays["mean_square"] = np.array(1.7)
    oracle.by_differences(op, arrays)
