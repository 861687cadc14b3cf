"""Every array has one name, and every name in a working leads to its array."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pellucid.glassbox.trace.naming import Place, names
from pellucid.glassbox.trace.recording import explain
from pellucid.glassbox.trace.trace import Trace
from pellucid.glassbox.trace.working import Working


class Named(nn.Module):
    """A convolution and a dense layer under the names that a test gives them."""

    def __init__(self, conv: str = "conv", head: str = "head", **others: Any) -> None:
        super().__init__()
        self.add_module(conv, nn.Conv2d(3, 6, 3))
        self.add_module(head, nn.Linear(6, 5))
        self.between = (conv, head)
        for name, value in others.items():
            if isinstance(value, nn.Module | nn.Parameter):
                setattr(self, name, value)
            else:
                self.register_buffer(name, value)

    def forward(self, x: Tensor) -> Tensor:
        conv, head = (self.get_submodule(name) for name in self.between)
        if "mean" in self._buffers:
            x = x - self.mean
        x = conv(x).relu().mean((2, 3))
        if hasattr(self, "mul"):
            x = x * self.mul + self.add
        if hasattr(self, "norm"):
            x = self.norm(x)
        return head(x)


class Top(nn.Linear):
    """A module whose own parameters have the names that an optimizer's lines use."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.flatten(1))


MODULES: dict[str, Callable[[], nn.Module]] = {
    "a submodule called input": lambda: Named(conv="input"),
    "a submodule called picture": lambda: Named(conv="picture"),
    "a submodule called probability": lambda: Named(head="probability"),
    "a submodule called loss": lambda: Named(head="loss"),
    "a submodule called mean": lambda: Named(head="mean"),
    "a submodule called relu": lambda: Named(head="relu"),
    "parameters called mul and add": lambda: Named(mul=nn.Parameter(torch.rand(6)), add=nn.Parameter(torch.rand(6))),
    "a buffer called mean": lambda: Named(mean=torch.tensor([0.5, 0.4, 0.3]).view(3, 1, 1)),
    "a norm with a mean, beside a mean": lambda: Named(norm=nn.LayerNorm(6)),
    "submodules called power and total": lambda: Named(conv="power", head="total"),
    "weight and bias at the top": lambda: Top(3 * 8 * 8, 5),
}


@pytest.fixture
def image() -> Tensor:
    torch.manual_seed(0)
    return torch.randn(3, 8, 8)


@pytest.fixture(params=MODULES)
def module(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(1)
    return MODULES[request.param]()


def followed(module: nn.Module, image: Tensor) -> Trace:
    return explain(module, image, 1, optimizer=torch.optim.Adam(module.parameters(), lr=0.01))


def assert_factors_are_where_they_are_named(trace: Trace, working: Working) -> None:
    """A factor's name is an array's, with its value at the index; or no array has the name."""
    for part in (*working.parts, *working.between):
        for column in part.terms.columns:
            name = part.names[column.name]
            bare = name.removeprefix("gradient of ")
            if working.quantity == "update" or bare not in trace.values:
                assert bare not in trace.values or working.quantity == "update"
                continue
            array = trace.gradients[bare] if name != bare else trace.values[name]
            for place, value, inside in zip(part.places(column), column.values, column.inside, strict=True):
                if inside:
                    assert array[trace.whole_index(bare, tuple(place.tolist()))] == value, (working.name, name, place)


def test_scores_and_gradients_are_those_of_the_module(module: nn.Module, image: Tensor) -> None:
    trace = followed(module, image)
    scores = module(image[None])
    F.cross_entropy(scores, torch.tensor([1])).backward()
    assert np.array_equal(trace.logits, scores[0].detach().numpy())
    for name, parameter in module.named_parameters():
        assert np.array_equal(trace.gradients[name], parameter.grad.numpy()), name  # type: ignore[union-attr]
        assert trace.updates[name].after.shape == tuple(parameter.shape)
        assert np.array_equal(trace.values[name], parameter.detach().numpy())
    assert trace.loss == pytest.approx(float(F.cross_entropy(scores.detach(), torch.tensor([1]))))


def test_no_two_arrays_have_one_name(module: nn.Module, image: Tensor) -> None:
    trace = followed(module, image)
    nodes = [node.name for node in trace.nodes]
    assert len(set(nodes)) == len(nodes)
    assert set(nodes) & {name for name, _ in (*module.named_parameters(), *module.named_buffers())} == set()
    assert set(nodes) <= set(trace.values)
    for name, part in module.named_children():
        assert trace.node(name).kind in ("convolution", "dense", "layer norm"), (name, part)
    assert np.array_equal(trace.values[trace.roles["input"]][0], image.numpy())


def test_every_factor_stands_where_its_name_says(module: nn.Module, image: Tensor) -> None:
    trace = followed(module, image)
    random = np.random.default_rng(2)
    for name in (*(node.name for node in trace.nodes), *trace.parameters):
        for _ in range(4):
            place = ", ".join(str(random.integers(size)) for size in trace.shape(name))
            unit = f"{name}[{place}]" if place else name
            workings = [trace.unit(unit)]
            workings += [trace.gradient(unit)] if name in trace.gradients else []
            workings += [trace.update(unit)] if name in trace.updates else []
            for working in workings:
                assert working.complete, unit
                assert_factors_are_where_they_are_named(trace, working)


def test_what_lies_between_has_no_arrays_name(image: Tensor) -> None:
    trace = followed(MODULES["a norm with a mean, beside a mean"](), image)
    working = trace.unit("norm[3]")
    used = {name for part in working.parts for name in part.names.values()}
    assert {"mean in norm", "variance", "norm.weight", "norm.bias"} < used
    assert [part.of for part in working.between] == ["mean in norm", "variance"]
    assert "mean in norm" in working.formula


def test_modules_keep_their_name_and_operators_make_way() -> None:
    places = [
        Place("a", "", "mean", False),
        Place("b", "mean", "linear", False),
        Place("c", "block", "relu", False),
        Place("d", "block", "add", False),
        Place("e", "block", "relu", False),
        Place("f", "input", "conv2d", False),
        Place("g", "input", "hook", True),
        Place("h", "input", "conv2d", False),
    ]
    result, roles = names(places, {"block.add", "loss"})
    assert result == {
        "a": "mean@2",
        "b": "mean",
        "c": "block.relu",
        "d": "block.add@2",
        "e": "block.relu@2",
        "f": "input",
        "g": "input.hook",
        "h": "input@2",
    }
    assert roles == {"input": "input@3", "picture": "picture", "probability": "probability", "loss": "loss@2"}


def test_pellucids_own_mse_loss_names_its_inner_probability(image: Tensor) -> None:
    from pellucid.glassbox.arithmetic.loss import Loss

    trace = explain(Named(), image, 1, loss=Loss("mse"))
    working = trace.unit("loss")
    assert "probability in loss" in working.parts[0].names.values()
    assert_factors_are_where_they_are_named(trace, working)
