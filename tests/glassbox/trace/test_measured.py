"""A user's own loss may read more than the scores: the module's weights, and attributes that the module has set."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pellucid.errors import TraceError
from pellucid.glassbox.trace.recording import explain
from pellucid.glassbox.trace.trace import Trace

LABEL = torch.tensor([1])
MeasuredBy = Callable[[Any], Callable[[Tensor], Tensor]]


class Gated(nn.Module):
    """Stores a loss of its gate and its features, like mixtures of experts and distilled networks."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.gate, self.head = nn.Conv2d(3, 6, 3), nn.Linear(6, 3), nn.Linear(6, 5)
        self.held = [self.head.weight]
        self.snapshots: dict[str, Tensor] = {}
        self.conv.register_forward_hook(lambda _, inputs, output: self.snapshots.update(conv=output))

    def forward(self, x: Tensor) -> Tensor:
        pooled = self.conv(x).relu().mean((2, 3))
        self.auxiliary = (self.gate(pooled).softmax(1) ** 2).sum()
        return self.head(pooled)


class Decayed(nn.Module):
    """A loss with its own weight that knows the module."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.of, self.weight = module, nn.Parameter(torch.ones(5))
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, scores: Tensor) -> Tensor:
        self.calls += 1
        return F.cross_entropy(scores * self.weight, LABEL) + 0.01 * sum(p.pow(2).sum() for p in self.of.parameters())


def anchored(module: Any) -> Callable[[Tensor], Tensor]:
    """The distance from the earlier weights: elastic weight consolidation."""
    before = [parameter.detach() * 0.9 for parameter in module.parameters()]
    return lambda z: (
        F.cross_entropy(z, LABEL)
        + sum((now - old).pow(2).sum() for now, old in zip(module.parameters(), before, strict=True))
    )


def of_one(module: Any) -> Callable[[Tensor], Tensor]:
    weight = module.head.weight
    return lambda z: F.cross_entropy(z, LABEL) + 0.01 * weight.pow(2).sum() + weight.detach().norm() * z.mean()


LOSSES: dict[str, MeasuredBy] = {
    "weight decay": lambda m: lambda z: F.cross_entropy(z, LABEL) + 0.01 * sum(p.pow(2).sum() for p in m.parameters()),
    "one weight": of_one,
    "a weight in a list": lambda m: lambda z: F.cross_entropy(z, LABEL) + m.held[0].abs().mean(),
    "scores over the weights' lengths": lambda m: lambda z: F.cross_entropy(z / m.head.weight.norm(dim=1), LABEL),
    "rows at right angles": lambda m: lambda z: z[0, 1] + (m.head.weight @ m.head.weight.T - torch.eye(5)).pow(2).sum(),
    "an auxiliary loss": lambda m: lambda z: F.cross_entropy(z, LABEL) + 0.1 * m.auxiliary,
    "nothing but an auxiliary loss": lambda m: lambda z: m.auxiliary,
    "what a hook has kept": lambda m: lambda z: F.cross_entropy(z, LABEL) + 0.1 * m.snapshots["conv"].abs().mean(),
    "another run of the module": lambda m: (
        lambda z: F.cross_entropy(z, LABEL) + m(torch.ones(1, 3, 8, 8)).pow(2).mean()
    ),
    "weights alone": lambda m: lambda z: sum(p.pow(2).sum() for p in m.parameters()),
    "far from before": anchored,
    "a module": Decayed,
    "a row of one number": lambda m: lambda z: F.cross_entropy(z, LABEL, reduction="none"),
    "random numbers": lambda m: lambda z: F.cross_entropy(z + torch.randn_like(z), LABEL),
}


@pytest.fixture
def image() -> Tensor:
    torch.manual_seed(1)
    return torch.randn(3, 8, 8)


def assert_the_terms_add_up(trace: Trace) -> None:
    generator = np.random.default_rng(0)
    for name in (*(node.name for node in trace.nodes), *trace.parameters):
        place = ", ".join(str(generator.integers(size)) for size in trace.shape(name))
        unit = f"{name}[{place}]" if place else name
        trace.unit(unit)
        if name in trace.gradients:
            assert trace.gradient(unit).complete
        if name in trace.updates:
            assert trace.update(unit).complete


@pytest.mark.parametrize("kind", LOSSES)
def test_the_loss_its_gradients_and_the_step_are_pytorchs(kind: str, image: Tensor) -> None:
    module = Gated()
    loss = LOSSES[kind](module)
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    torch.manual_seed(3)
    trace = explain(module, image, loss=loss, optimizer=optimizer)
    torch.manual_seed(3)
    expected = loss(module(image[None]))
    expected.sum().backward()
    assert trace.loss == pytest.approx(float(expected.detach()), rel=1e-6)
    assert trace.nodes[-1].name == "loss"
    for name, parameter in module.named_parameters():
        assert (parameter.grad is None) == (name not in trace.gradients), name
        if parameter.grad is not None:
            np.testing.assert_allclose(trace.gradients[name], parameter.grad.numpy(), rtol=1e-5, atol=1e-7)
    optimizer.step()
    for name, parameter in module.named_parameters():
        if name in trace.updates:
            np.testing.assert_allclose(trace.updates[name].after, parameter.detach().numpy(), rtol=1e-5, atol=1e-7)
    assert_the_terms_add_up(trace)


def test_a_weights_gradient_has_a_part_through_the_loss(image: Tensor) -> None:
    trace = explain(Gated(), image)
    assert [part.through for part in trace.gradient("head.bias[2]").parts] == ["head"]
    module = Gated()
    working = explain(module, image, loss=LOSSES["weight decay"](module)).gradient("head.bias[2]")
    assert [part.through for part in working.parts] == ["head", "loss.pow@6"]


def test_names_of_the_modules_come_first_and_the_losss_begin_with_loss(image: Tensor) -> None:
    module = Gated()
    trace = explain(module, image, loss=Decayed(module))
    names = [node.name for node in trace.nodes]
    assert names[:4] == ["input", "conv", "relu", "mean"]
    assert names[names.index("probability") - 1] == "head"
    assert all(name.startswith("loss") for name in names[names.index("probability") + 1 :])
    assert {"loss.weight", "head.weight"} <= set(trace.values)
    assert set(trace.parameters) == {name for name, _ in module.named_parameters()}


def test_what_is_asked_beside_the_loss_leaves_it_out(image: Tensor) -> None:
    module = Gated()
    trace = explain(module, image, loss=LOSSES["an auxiliary loss"](module))
    assert trace.difference(0, 1).difference == pytest.approx(float(trace.logits[0] - trace.logits[1]), abs=1e-6)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (lambda z: z, r"The loss returns \(1, 5\); it must return one number"),
        (lambda z: 1.5, "The loss returns float; it must return one number"),
        (lambda z: z.no, "alone, raises AttributeError"),
        (lambda z: F.cross_entropy(z, torch.tensor([9])), "loss cannot be followed: Target 9 is out of bounds"),
        (lambda z, w: z.sum(), "alone, raises TypeError"),
    ],
)
def test_what_is_no_loss_is_one_sentence(loss: Any, message: str, image: Tensor) -> None:
    with pytest.raises(TraceError, match=message):
        explain(Gated(), image, loss=loss)
