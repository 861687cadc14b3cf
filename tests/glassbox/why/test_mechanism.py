"""The difference of two classes taken apart: by hand for a tiny network, adding up for any."""

import json
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pellucid.glassbox.arithmetic.loss import Loss
from pellucid.glassbox.trace import exporting
from pellucid.glassbox.trace.recording import record
from pellucid.glassbox.why.mechanism import Mechanism, mechanism

ROUNDING = 2.0**-24
TERMS = 1000
"""Allowed error of the parts, in units of rounding of everything that is added."""


def taken_apart(module: nn.Module, sample: Tensor, first: int = 0, second: int = 1) -> Mechanism:
    module.eval()
    graph = exporting.capture(module, sample)
    trace = record(module, graph, sample, first, loss=Loss("difference", against=second))
    return mechanism(graph, trace, first, second)


def test_by_hand() -> None:
    """Two pixels 3 and -1; h = (2*3 + 1, 1*-1 - 2) = (7, -3), ReLU (7, 0); logits (7*1 + 0.5, 7*-2 + 1) = (7.5, -13).

    The difference is 20.5. Its gradient by h is (3, 0 behind the ReLU), by the pixels (6, 0).
    """
    hidden, head = nn.Linear(2, 2), nn.Linear(2, 2)
    with torch.no_grad():
        hidden.weight.copy_(torch.tensor([[2.0, 0.0], [0.0, 1.0]]))
        hidden.bias.copy_(torch.tensor([1.0, -2.0]))
        head.weight.copy_(torch.tensor([[1.0, 5.0], [-2.0, 9.0]]))
        head.bias.copy_(torch.tensor([0.5, 1.0]))
    mechanism = taken_apart(nn.Sequential(nn.Flatten(), hidden, nn.ReLU(), head), torch.tensor([[[[3.0, -1.0]]]]))
    assert (mechanism.first, mechanism.second, mechanism.difference) == ("0", "1", 20.5)
    assert mechanism.pixels.tolist() == [[18, 0]]
    own = {share.name: share.own for share in mechanism.shares}
    assert own == {"input": 0, "0": 0, "1": 3, "2": 0, "3": -0.5}  # 3 * its bias 1; 0.5 - 1
    assert (mechanism.own, mechanism.remainder) == (2.5, 0)
    units = {share.name: share.units.ravel().tolist() for share in mechanism.shares}
    assert units == {"input": [18, 0], "0": [18, 0], "1": [21, 0], "2": [21, 0], "3": [7.5, 13]}
    assert [share.after for share in mechanism.shares] == [2.5, 2.5, -0.5, -0.5, 0]
    assert all(share.passes_all for share in mechanism.shares)
    assert mechanism.shares[2].strongest(1) == [((0,), 21.0)]


def test_a_linear_network_gives_weight_times_value() -> None:
    torch.manual_seed(0)
    head, sample = nn.Linear(12, 3), torch.randn(1, 3, 2, 2)
    mechanism = taken_apart(nn.Sequential(nn.Flatten(), head), sample, 2, 0)
    weight = head.weight.detach().double()
    expected = (weight[2] - weight[0]).reshape(3, 2, 2) * sample[0].double()
    assert np.allclose(mechanism.shares[0].units, expected.numpy(), rtol=1e-6, atol=0)
    assert np.allclose(mechanism.pixels, expected.sum(0).numpy(), rtol=1e-5)
    assert mechanism.own == pytest.approx(float((head.bias[2] - head.bias[0]).detach()), rel=1e-5)


class Residual(nn.Module):
    def __init__(self, activation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.stem, self.branch = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3, padding=1)
        self.norm, self.head = nn.BatchNorm2d(4), nn.Linear(4, 3)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        x = self.activation(self.norm(self.stem(x)))
        x = x + self.activation(self.branch(self.branch(x)))  # the branch is shared by two places
        return self.head(x.mean((2, 3)))


class Dense(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.head = nn.Conv2d(3, 2, 3), nn.Conv2d(3, 2, 3), nn.Linear(32, 3)
        self.gate = nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.a(x).sigmoid(), self.b(x).tanh()
        a = a * self.gate(a.mean((2, 3))).sigmoid()[:, :, None, None]
        first, second = torch.cat([a, b], 1).chunk(2, 1)
        joined = torch.cat([first - second, second], 1)
        return self.head(nn.functional.max_pool2d(joined, 3, 1, 0)[:, :, ::2, ::2].flatten(1).repeat_interleave(2, 1))


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "relu": lambda: Residual(torch.relu),
    "gelu": lambda: Residual(nn.functional.gelu),
    "silu": lambda: Residual(nn.functional.silu),
    "concatenation, gate, pieces": Dense,
    "undeclared": lambda: Residual(lambda x: x.cumprod(2)),
    "norms": lambda: nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4), nn.LPPool2d(2, 2), nn.Flatten(), nn.LayerNorm(36), nn.Linear(36, 3)
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_parts_add_up_whatever_the_network(name: str) -> None:
    torch.manual_seed(0)
    module = NETWORKS[name]()
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.running_mean, -1, 1)  # type: ignore[arg-type]
            nn.init.uniform_(part.bias, -1, 1)
    mechanism = taken_apart(module, torch.randn(1, 3, 8, 8), 2, 1)
    size = max(float(np.abs(share.units).sum()) for share in mechanism.shares) + sum(
        abs(s.own) for s in mechanism.shares
    )
    bound = TERMS * ROUNDING * size
    assert abs(mechanism.remainder) <= bound
    assert abs(mechanism.pixels.sum() + mechanism.own - mechanism.difference) <= bound
    through = [share for share in mechanism.shares if share.passes_all]
    assert len(through) >= 3
    assert len(through) < len(mechanism.shares) or name == "norms"
    for share in through:
        assert abs(share.units.sum() + share.after - mechanism.difference) <= bound, share.name


def test_what_bends_nothing_and_adds_nothing_has_nothing_of_its_own() -> None:
    torch.manual_seed(0)
    mechanism = taken_apart(Residual(torch.relu), torch.randn(1, 3, 8, 8))
    own = {share.name: share.own for share in mechanism.shares}
    for name in ("relu", "relu@2", "add", "mean"):
        assert abs(own[name]) < 1e-6
    assert abs(own["head"]) > 1e-3


def test_a_branch_is_known_as_one() -> None:
    mechanism = taken_apart(Residual(torch.relu), torch.randn(1, 3, 8, 8))
    passes = {share.name: share.passes_all for share in mechanism.shares}
    assert passes == {
        **dict.fromkeys(["input", "stem", "norm", "relu"], True),
        **dict.fromkeys(["branch", "branch@2", "relu@2"], False),
        **dict.fromkeys(["add", "mean", "head"], True),
    }


def test_json() -> None:
    mechanism = taken_apart(Residual(torch.relu), torch.randn(1, 3, 8, 8))
    content = json.loads(json.dumps(mechanism.as_json(), allow_nan=False))
    assert np.array(content["pixels"]["map"]).shape == (8, 8)
    assert content["pixels"]["sum"] == pytest.approx(np.sum(content["pixels"]["map"]))
    assert content["pixels"]["sum"] + content["ops"] - content["difference"] == pytest.approx(
        content["remainder"], abs=1e-12
    )
    for layer in content["layers"]:
        if layer["after"] is not None:
            assert layer["units"] + layer["after"] == pytest.approx(content["difference"], abs=1e-5)
    assert [layer["name"] for layer in content["layers"] if layer["after"] is None] == ["branch", "branch@2", "relu@2"]
