"""Every supported optimizer after real training: its lines give the real step's result and state."""

import copy
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn, optim

from pellucid.errors import TraceError
from pellucid.glassbox.arithmetic.evaluator import Evaluator
from pellucid.glassbox.arithmetic.strain import strain
from pellucid.glassbox.trace.optimizing import REMEMBERED, check, described, unwritten
from pellucid.glassbox.trace.recording import explain
from pellucid.glassbox.trace.working import Working

Make = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]


PLAIN: dict[str, Make] = {
    "SGD": lambda p: optim.SGD(p, 0.1, weight_decay=0.1),
    "momentum": lambda p: optim.SGD(p, 0.1, momentum=0.9, dampening=0.3, weight_decay=0.1),
    "Nesterov": lambda p: optim.SGD(p, 0.1, momentum=0.9, nesterov=True),
    "Adam": lambda p: optim.Adam(p, 0.01, weight_decay=0.1),
    "AMSGrad": lambda p: optim.Adam(p, 0.01, amsgrad=True),
    "AdamW": lambda p: optim.AdamW(p, 0.01, weight_decay=0.1),
    "AdamW with AMSGrad": lambda p: optim.AdamW(p, 0.01, amsgrad=True, weight_decay=0.1),
    "Adamax": lambda p: optim.Adamax(p, weight_decay=0.1),
    "NAdam": lambda p: optim.NAdam(p, 0.01, weight_decay=0.1, momentum_decay=0.4),
    "NAdamW": lambda p: optim.NAdam(p, 0.01, weight_decay=0.1, decoupled_weight_decay=True),
    "RAdam": lambda p: optim.RAdam(p, 0.01, weight_decay=0.1),
    "RAdamW": lambda p: optim.RAdam(p, 0.01, weight_decay=0.1, decoupled_weight_decay=True),
    "RMSprop": lambda p: optim.RMSprop(p, 0.01, weight_decay=0.1),
    "RMSprop with momentum": lambda p: optim.RMSprop(p, 0.01, momentum=0.5),
    "centered RMSprop": lambda p: optim.RMSprop(p, 0.01, centered=True, weight_decay=0.1),
    "centered RMSprop with momentum": lambda p: optim.RMSprop(p, 0.01, centered=True, momentum=0.5),
    "Adagrad": lambda p: optim.Adagrad(p, 0.1, lr_decay=0.01, weight_decay=0.1, initial_accumulator_value=0.1),
    "Adadelta": lambda p: optim.Adadelta(p, weight_decay=0.1),
    "ASGD": lambda p: optim.ASGD(p, weight_decay=0.1),
    "ASGD whose average runs": lambda p: optim.ASGD(p, lambd=0.1, t0=1),
    "Rprop": lambda p: optim.Rprop(p),
}
SWITCHED: dict[str, Make] = {
    "Adam with a tensor for its rate": lambda p: optim.Adam(p, torch.tensor(0.01), weight_decay=0.1, foreach=False),
    "NAdam with a tensor for its rate": lambda p: optim.NAdam(p, torch.tensor(0.01), weight_decay=0.1),
    "Adagrad with a tensor for its rate": lambda p: optim.Adagrad(p, torch.tensor(0.01), lr_decay=0.1),
    "AdamW with a tensor for its rate": lambda p: optim.AdamW(p, torch.tensor(0.01), weight_decay=0.1, foreach=False),
    "AdamW fused, with a tensor for its rate": lambda p: optim.AdamW(
        p, torch.tensor(0.01), weight_decay=0.1, fused=True
    ),
    "SGD fused": lambda p: optim.SGD(p, 0.1, momentum=0.9, fused=True),
    "Adagrad fused": lambda p: optim.Adagrad(p, 0.1, fused=True),
    "Adam foreach": lambda p: optim.Adam(p, 0.01, amsgrad=True, foreach=True),
    "NAdam foreach": lambda p: optim.NAdam(p, 0.01, foreach=True),
    "RAdam foreach": lambda p: optim.RAdam(p, 0.01, foreach=True),
    "RMSprop foreach": lambda p: optim.RMSprop(p, 0.01, centered=True, foreach=True),
    "Rprop foreach": lambda p: optim.Rprop(p, foreach=True),
}
WEIGHTS = ("0.weight[2, 1, 0, 2]", "0.bias[3]", "3.weight[1, 77]", "3.bias[0]")


def network(dtype: torch.dtype = torch.float32) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(144, 3)).to(dtype)


def loss(module: nn.Module, images: torch.Tensor) -> torch.Tensor:
    dtype = next(module.parameters()).dtype
    logits = module(images.to(dtype))
    return F.cross_entropy(logits if dtype is torch.float64 else logits.float(), torch.ones(len(images)).long())


def trained(make: Make, steps: int, dtype: torch.dtype) -> tuple[nn.Module, torch.optim.Optimizer, torch.Tensor]:
    """A module and an optimizer after some steps together, and the picture of the next step."""
    module = network(dtype)
    optimizer = make(module.parameters())
    random = torch.Generator().manual_seed(3)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(module, torch.randn(4, 3, 8, 8, generator=random)).backward()
        optimizer.step()
    optimizer.zero_grad()
    return module, optimizer, torch.randn(3, 8, 8, generator=random)


def explained(make: Make, steps: int, dtype: torch.dtype, remembered: float = 1e-4) -> list[Working]:
    """The updates of some weights, each compared with a real step of copies of module and optimizer."""
    module, optimizer, image = trained(make, steps, dtype)
    trace = explain(module, image, 1, optimizer=optimizer)
    module, optimizer = copy.deepcopy((module, optimizer))
    loss(module, image[None]).backward()
    optimizer.step()
    results = []
    for weight in WEIGHTS:
        working = trace.update(weight)
        name, index = weight.split("[")[0], tuple(map(int, weight.split("[")[1][:-1].split(",")))
        parameter = dict(module.named_parameters())[name]
        assert working.complete
        assert working.recorded == parameter[index].item()
        assert abs(working.difference) <= working.bound
        lines = {part.of: part.terms.total for part in working.between}
        for key, value in optimizer.state[parameter].items():
            message = f"{REMEMBERED.get(key, key)}_after"
            if key not in REMEMBERED and message not in lines:
                assert key == "step"
                continue
            actual = (value[index] if value.ndim else value).item()
            size = float(value.abs().max())
            assert lines[message] == pytest.approx(actual, rel=remembered, abs=remembered * size), (weight, message)
        results.append(working)
    return results


@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("kind", PLAIN)
def test_the_lines_give_the_real_step_and_what_is_remembered(kind: str, maximize: bool) -> None:
    def make(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        optimizer = PLAIN[kind](parameters)
        optimizer.param_groups[0]["maximize"] = maximize
        return optimizer

    float32, float64 = (torch.float32, 1e-4), (torch.float64, 1e-12)
    plain = [(float32, 0), (float32, 7), (float64, 1), (float64, 6)]
    for (dtype, widest), steps in [(float64, 3)] if maximize else plain:
        for working in explained(make, steps, dtype):
            size = abs(working.recorded) + (50 if kind == "Rprop" else 0.1)  # the largest step that Rprop may make
            assert working.bound < widest * size, "the bound is no wider than rounding"
            assert working.settings.get("maximize", False) == maximize


@pytest.mark.parametrize("kind", SWITCHED)
def test_however_pytorch_is_told_to_compute_it(kind: str) -> None:
    explained(SWITCHED[kind], 0, torch.float32)
    explained(SWITCHED[kind], 6, torch.float64)


@pytest.mark.parametrize("kind", PLAIN)
def test_in_16_bits(kind: str) -> None:
    for working in explained(PLAIN[kind], 3, torch.bfloat16, remembered=0.02):
        assert np.isfinite(working.recorded)


def test_both_branches_of_radam() -> None:
    """From the sixth step on, the step is divided by the mean square."""
    for steps, rectified in ((4, False), (5, True)):
        for working in explained(lambda p: optim.RAdam(p, 0.01), steps, torch.float64):
            assert ("sqrt(mean_square_after)" in working.formula) == rectified


def test_a_state_that_only_some_parameters_have() -> None:
    module = network()
    conv, head = module[0], module[3]
    optimizer = optim.Adam(
        [{"params": conv.parameters(), "amsgrad": True}, {"params": head.parameters(), "maximize": True}]
    )
    image = torch.randn(3, 8, 8)
    loss(module, image[None]).backward()
    for parameter in head.parameters():
        parameter.grad = None
    optimizer.step()
    optimizer.zero_grad()
    trace = explain(module, image, 1, optimizer=optimizer)
    first, second = trace.update(WEIGHTS[0]), trace.update(WEIGHTS[2])
    assert (first.kind, first.settings["step"]) == ("Adam with AMSGrad", 2)
    assert (second.kind, second.settings["step"]) == ("Adam", 1)
    assert "maximize" in second.settings
    assert "maximize" not in first.settings


@pytest.mark.parametrize(
    ("make", "scale"),
    [
        (PLAIN["AdamW"], 1e22),  # squares overflow, so that only the decay is left
        (PLAIN["NAdam"], 1e22),
        (PLAIN["Adadelta"], 1e22),
        (PLAIN["RMSprop"], 1e-24),  # squares underflow, and epsilon alone divides
        (PLAIN["Rprop"], 1e-24),  # the product of two gradients underflows, so that they do not disagree
    ],
)
def test_beyond_the_range_of_float32(make: Make, scale: float) -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(48, 5))
    optimizer = make(module.parameters())
    random = torch.Generator().manual_seed(5)
    for _ in range(2):
        optimizer.zero_grad()
        F.cross_entropy(module(torch.randn(1, 3, 4, 4, generator=random)), torch.tensor([0])).backward()
        optimizer.step()
    trace = explain(module, torch.randn(3, 4, 4, generator=random) * scale, 1, optimizer=optimizer)
    for place in range(40):
        working = trace.update(f"1.weight[{place % 5}, {place}]")
        assert abs(working.difference) <= working.bound < 1e-2


def test_epsilon_that_vanishes_in_float16() -> None:
    """The squares of most gradients underflow too; a division by 0 makes the weight infinite, as in PyTorch."""
    module = network(torch.float16)
    trace = explain(module, torch.randn(3, 8, 8) * 0.01, 1, optimizer=optim.Adam(module.parameters()))
    infinite = [trace.update(f"0.weight[{i}, {j}, 1, 1]") for i in range(4) for j in range(3)]
    infinite = [working for working in infinite if not np.isfinite(working.recorded)]
    assert infinite
    for working in infinite:
        lines = {part.of: part.terms.total for part in working.between}
        assert lines["denominator"] == 0
        assert lines["mean_square_after"] == 0
        assert working.total == working.recorded


def test_what_strains_a_dtype_is_named() -> None:
    def warnings_of(scale: float, unit: float = 2.0**-24, dtype: torch.dtype = torch.float32) -> str:
        weight = nn.Parameter(torch.ones(1, dtype=dtype))
        optimizer = optim.Adam([weight])
        op, remembered, _ = described(optimizer, optimizer.param_groups[0], {}, weight)
        assert op is not None
        arrays = {"weight": np.array(1.0), "gradient": np.array(scale)}
        return strain(Evaluator(op, {**arrays, **{name: each[0] for name, each in remembered.items()}}), unit)

    assert warnings_of(0.1) == ""
    assert warnings_of(1e22) == "mean_square_after is 1e+41, and the largest number of float32 is 3.4e+38"
    assert (
        warnings_of(3e19)
        == "gradient * gradient in mean_square_after is 9e+38, and the largest number of float32 is 3.4e+38"
    )
    assert warnings_of(1e-21) == "mean_square_after is 1e-45, and near 0 the numbers of float32 lie 1.4e-45 apart"
    half = warnings_of(1e-3, 2.0**-11, torch.float16)
    assert half == "mean_square_after is 1e-09, and near 0 the numbers of float16 lie 6e-08 apart"


def test_a_variance_that_cancels_is_named() -> None:
    weight = nn.Parameter(torch.ones(1))
    optimizer = optim.RMSprop([weight], centered=True)
    state = {"square_avg": torch.ones(1), "grad_avg": torch.ones(1)}
    op, _, _ = described(optimizer, optimizer.param_groups[0], state, weight)
    assert op is not None
    numbers = {"weight": 1.0, "gradient": 1.05, "mean_square": 1.0, "mean": 1.0}
    warning = strain(Evaluator(op, {name: np.array(number) for name, number in numbers.items()}), 2.0**-24)
    assert warning == "centered_mean_square is 2.48e-05, the difference of numbers of the size 2"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (optim.Adafactor, "Adafactor keeps means over the rows and columns of a whole array. Only"),
        (
            lambda p: optim.Muon([each for each in p if each.ndim == 2]),
            "Muon makes the whole matrix of a step orthogonal",
        ),
        (optim.LBFGS, "LBFGS takes its direction from the gradients of all weights together"),
        (
            lambda p: type("Mine", (optim.SGD,), {})(p),
            "Mine is not one of PyTorch's own optimizers. Only the values",
        ),
    ],
)
def test_why_an_optimizers_arithmetic_is_not_written(make: Make, message: str) -> None:
    module = network()
    optimizer = make(module.parameters())
    assert unwritten(optimizer).startswith(message)
    assert described(optimizer, optimizer.param_groups[0], {}, module[3].weight)[0] is None


def test_a_fused_sgd_in_16_bits_on_a_cpu_is_not_written() -> None:
    """PyTorch 2.13 makes another step there. If this fails, PyTorch is fixed, and the op can be supported."""
    weight = nn.Parameter(torch.zeros(64, dtype=torch.bfloat16))
    weight.grad = torch.ones_like(weight)
    optimizer: Any = optim.SGD([weight], 1.0, fused=True)
    assert described(optimizer, optimizer.param_groups[0], {}, weight)[0] is None
    optimizer.step()
    assert not (weight == -1).all()


def test_what_is_no_optimizer_is_told() -> None:
    optimizer = optim.SGD([nn.Parameter(torch.ones(1))], 0.1)
    check(optimizer)
    for wrong, message in (
        ("adam", r"The optimizer is the text 'adam'\. Pass one of PyTorch's optimizers: torch\.optim\.Adam\(module"),
        (optim.Adam, r"The optimizer is the class Adam\. Create one .*: Adam\(module\.parameters\(\)\)\.$"),
        (
            optim.lr_scheduler.StepLR(optimizer, 5),
            r"is a StepLR, a learning-rate scheduler.*: scheduler\.optimizer\.$",
        ),
        (0.1, r"The optimizer is a float\. Pass one of PyTorch's"),
        ([optimizer], r"The optimizer is a list\."),
    ):
        with pytest.raises(TraceError, match=message):
            check(wrong)
