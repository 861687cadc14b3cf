"""The optimizers' updates: by hand, against PyTorch over several steps, and by differences."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.glassbox.arithmetic.declaration import OUT, Op
from pellucid.glassbox.arithmetic.evaluator import Evaluator
from pellucid.glassbox.arithmetic.ops import optimizers

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
    # the first step: both bias-corrected means are the gradient and its square, so the step is the rate
    evaluator = step(optimizers.adam(0.1, 0.9, 0.99, 0.0, 1), weight=2, gradient=-5, mean=0, mean_square=0)
    assert value(evaluator, "mean_after") == pytest.approx(-0.5)
    assert value(evaluator, "mean_square_after") == pytest.approx(0.25)
    assert value(evaluator, "mean_unbiased") == pytest.approx(-5)
    assert value(evaluator, "mean_square_unbiased") == pytest.approx(25)
    assert value(evaluator) == pytest.approx(2.1)
    # AdamW decays the weight itself; Adam's decay changes the gradient and, here, nothing else
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


def test_amsgrad_by_hand() -> None:
    # the mean square falls to 0.5 * 8 + 0.5 * 2^2 = 6, and the largest stays 10; bias-corrected 10 / (1 - 0.25)
    op = optimizers.adam(0.1, 0.0, 0.5, 0.0, 2, amsgrad=True)
    evaluator = step(op, weight=1, gradient=2, mean=0, mean_square=8, largest_mean_square=10)
    assert value(evaluator, "mean_square_after") == 6
    assert value(evaluator, "largest_mean_square_after") == 10
    assert value(evaluator) == pytest.approx(1 - 0.1 * 2 / (10 / 0.75) ** 0.5)
    evaluator = step(op, weight=1, gradient=2, mean=0, mean_square=8, largest_mean_square=5)
    assert value(evaluator, "largest_mean_square_after") == 6


def test_uphill_by_hand() -> None:
    decayed = step(optimizers.sgd(0.1, decay=0.5, maximize=True), weight=2, gradient=5)
    assert value(decayed, "decayed") == -4  # -5 + 0.5 * 2: the weight decays downwards all the same
    assert value(decayed) == pytest.approx(2.4)


def test_adamax_by_hand() -> None:
    numbers = {"weight": 2, "gradient": -4, "mean": 2}
    evaluator = step(optimizers.adamax(0.1, 0.5, 0.9, 0.0, 2), **numbers, largest=1)
    assert value(evaluator, "mean_after") == -1
    assert value(evaluator, "largest_after") == 4
    assert value(evaluator) == pytest.approx(2 + 0.1 * (1 / 0.75) / 4)
    assert value(step(optimizers.adamax(0.1, 0.5, 0.9, 0.0, 2), **numbers, largest=10), "largest_after") == 9


def test_centered_rmsprop_by_hand() -> None:
    # mean square 0.5 * 12 + 0.5 * 16 = 14, mean 0.5 * 2 + 0.5 * 4 = 3, variance 14 - 9 = 5
    numbers = {"weight": 2, "gradient": 4, "mean_square": 12, "mean": 2}
    evaluator = step(optimizers.rmsprop(0.1, 0.5, 1, centered=True), **numbers)
    assert value(evaluator, "centered_mean_square") == 5
    assert value(evaluator) == pytest.approx(2 - 0.4 / (5**0.5 + 1))


def test_nadam_by_hand() -> None:
    # without a decay of the momentum mu is beta1 / 2, here 0.25 in every step
    op = optimizers.nadam(0.1, 0.5, 0.75, 0.0, 0.0, 2, 0.25)
    evaluator = step(op, weight=1, gradient=2, mean=1, mean_square=3)
    assert value(evaluator, "mu_product_after") == 1 / 16
    assert value(evaluator, "mean_after") == 1.5
    assert value(evaluator, "mean_square_unbiased") == 3.25 / (1 - 0.75**2)
    root = (3.25 / (1 - 0.75**2)) ** 0.5
    expected = 1 - 0.1 * 0.75 / (15 / 16) * 2 / root - 0.1 * 0.25 / (63 / 64) * 1.5 / root
    assert value(evaluator) == pytest.approx(expected)


def test_radam_by_hand() -> None:
    numbers = {"weight": 1, "gradient": 2, "mean": 1, "mean_square": 3}
    evaluator = step(optimizers.radam(0.1, 0.5, 0.75, 0.0, 2), **numbers)  # its length is 7 - 4 * 9/16 / (7/16) = 1.86
    assert value(evaluator) == pytest.approx(1 - 0.1 * 1.5 / 0.75)
    length = 7 - 2 * 9 * 0.75**9 / (1 - 0.75**9)
    assert length > 5
    rectified = ((length - 4) * (length - 2) * 7 / (3 * 5 * length)) ** 0.5
    later = step(optimizers.radam(0.1, 0.5, 0.75, 0.0, 9), **numbers)
    expected = 1 - 0.1 * 1.5 / (1 - 0.5**9) * rectified * (1 - 0.75**9) ** 0.5 / 3.25**0.5
    assert value(later) == pytest.approx(expected)


def test_adagrad_by_hand() -> None:
    evaluator = step(optimizers.adagrad(0.1, 0.5, 0.0, 3), weight=1, gradient=3, sum_of_squares=16)
    assert value(evaluator, "sum_of_squares_after") == 25
    assert value(evaluator) == pytest.approx(1 - 0.1 / 2 * 3 / 5)


def test_adadelta_by_hand() -> None:
    # mean square 0.5 * 14 + 0.5 * 4 = 9; step sqrt(4 / 9) * 2
    evaluator = step(optimizers.adadelta(0.5, 0.5, 0.0), weight=1, gradient=2, mean_square=14, mean_square_step=4)
    assert value(evaluator, "step") == pytest.approx(4 / 3)
    assert value(evaluator, "mean_square_step_after") == pytest.approx(2 + 8 / 9)
    assert value(evaluator) == pytest.approx(1 - 2 / 3)


def test_asgd_by_hand() -> None:
    op = optimizers.asgd(0.1, 0.5, 1.0, 1.0, 4, 0.2, 0.25)
    evaluator = step(op, weight=1, gradient=2, average=3)
    assert value(evaluator, "shrunk") == 0.9
    assert value(evaluator) == pytest.approx(0.5)
    assert value(evaluator, "average_after") == pytest.approx(3 - 0.25 * 2.5)
    assert value(evaluator, "eta_after") == pytest.approx(0.1 / 1.2)
    assert value(evaluator, "mu_after") == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("gradient", "size", "previous", "out"),
    [(2, 0.6, 2, 0.4), (-2, 0.25, 0, 1), (0, 0.5, 0, 1), (9, 0.6, 9, 0.4)],  # grows; shrinks and rests; rests; grows
)
def test_rprop_by_hand(gradient: float, size: float, previous: float, out: float) -> None:
    evaluator = step(
        optimizers.rprop(0.5, 1.2, 1e-6, 0.6), weight=1, gradient=gradient, previous_gradient=4, step_size=0.5
    )
    assert value(evaluator, "step_size_after") == size
    assert value(evaluator, "previous_gradient_after") == previous
    assert value(evaluator) == pytest.approx(out)


def test_a_rate_that_is_a_tensor_rounds_as_in_pytorch() -> None:
    rate = torch.tensor(0.01)
    decayed = step(optimizers.adamw(rate, 0.9, 0.999, 1e-8, 1, 0.1), weight=1, gradient=0, mean=0, mean_square=1)
    assert value(decayed, "decayed") == float(1 - rate * 0.1) != 1 - 0.01 * 0.1


def follow(declare: Callable[[int], Op], make: Callable[[list], torch.optim.Optimizer], seed: int) -> None:
    """Five steps of PyTorch's optimizer, and of the declaration, which keeps its own computed state."""
    random = np.random.default_rng(seed)
    parameter = torch.tensor(random.standard_normal(), dtype=torch.float64, requires_grad=True)
    optimizer = make([parameter])
    stored: dict[str, float] = {}
    for number in range(1, STEPS + 1):
        op, gradient, before = declare(number), float(random.standard_normal()), parameter.item()
        remembered = {name: stored.get(name, 0.0) for name in op.inputs if name not in ("weight", "gradient")}
        evaluator = step(op, weight=before, gradient=gradient, **remembered)
        parameter.grad = torch.tensor(gradient, dtype=torch.float64)
        optimizer.step()
        result, scale = evaluator.value(OUT, ())
        assert result == pytest.approx(parameter.item(), rel=0, abs=1e-13 * scale)
        stored = {name: value(evaluator, f"{name}_after") for name in remembered}


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


@MANY
@given(RATE, DECAY, st.booleans(), st.booleans(), st.integers(0, 999))
def test_the_others_agree_with_pytorch(rate, decay, decoupled, maximize, seed) -> None:
    betas, common = (0.8, 0.9), {"maximize": maximize}
    theirs = {"weight_decay": decay, **common}
    both = {"decoupled": decoupled, **common}
    for declare, make in (
        (lambda n: optimizers.adam(rate, *betas, 1e-8, n, decay, amsgrad=True, **common),
         lambda p: torch.optim.Adam(p, rate, betas, amsgrad=True, **theirs)),
        (lambda n: optimizers.adamax(rate, *betas, 1e-8, n, decay, **common),
         lambda p: torch.optim.Adamax(p, rate, betas, **theirs)),
        (lambda n: optimizers.radam(rate, *betas, 1e-8, n, decay, **both),
         lambda p: torch.optim.RAdam(p, rate, betas, decoupled_weight_decay=decoupled, **theirs)),
        (lambda n: optimizers.rmsprop(rate, 0.9, 1e-8, 0.5, decay, centered=True, **common),
         lambda p: torch.optim.RMSprop(p, rate, 0.9, momentum=0.5, centered=True, **theirs)),
        (lambda n: optimizers.adagrad(rate, 0.1, 1e-8, n, decay, **common),
         lambda p: torch.optim.Adagrad(p, rate, 0.1, eps=1e-8, **theirs)),
        (lambda n: optimizers.adadelta(rate, 0.9, 1e-6, decay, **common),
         lambda p: torch.optim.Adadelta(p, rate, **theirs)),
    ):  # fmt: skip
        follow(declare, make, seed)


@pytest.mark.parametrize(
    "op",
    [
        optimizers.sgd(0.1, 0.9, 0.1, decay=0.2),
        optimizers.sgd(0.1, 0.9, nesterov=True),
        optimizers.adam(0.1, 0.9, 0.99, 0.1, 3, 0.2),
        optimizers.adamw(0.1, 0.9, 0.99, 0.1, 3, 0.2),
        optimizers.rmsprop(0.1, 0.9, 0.1, 0.9, 0.2),
        optimizers.adamw(0.1, 0.9, 0.99, 0.1, 3, 0.2, amsgrad=True, maximize=True),
        optimizers.adamax(0.1, 0.9, 0.99, 0.1, 3, 0.2),
        optimizers.nadam(0.1, 0.9, 0.99, 0.1, 0.004, 3, 0.2, 0.1, decoupled=True),
        optimizers.radam(0.1, 0.9, 0.99, 0.1, 9, 0.2),
        optimizers.adagrad(0.1, 0.1, 0.1, 3, 0.2),
        optimizers.adadelta(0.1, 0.9, 0.1, 0.2),
        optimizers.asgd(0.1, 0.1, 0.75, 1.0, 4, 0.2, 0.25, 0.2),
    ],
    ids=lambda op: op.kind,
)
def test_gradients_by_differences(oracle, op) -> None:
    arrays = oracle.numbers(op)
    arrays |= {name: np.array(1.7) for name in arrays if "square" in name}
    oracle.by_differences(op, arrays)
