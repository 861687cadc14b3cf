"""Changes in place: later reads of an array, or of a view of it, give what PyTorch's own run gives."""

import copy
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

LABEL = 1


class Changed(nn.Module):
    """A convolution, a test's operation on its maps, and a dense layer."""

    def __init__(self, middle: Callable[[Any, Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.head, self.middle = nn.Conv2d(3, 6, 3), nn.Linear(6, 5), middle
        self.register_buffer("seen", torch.zeros(6, 1, 1))
        self.register_buffer("places", torch.tensor([1, 3]))
        self.plain, self.count, self.several = torch.ones(6, 1, 1), torch.zeros(()), [torch.ones(6, 1, 1)]

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.middle(self, self.conv(x) * 1).mean((2, 3)))


def code(*lines: str) -> Callable[[Any, Tensor], Tensor]:
    """A function of the module and the maps y that returns y after the lines."""
    names: dict[str, Any] = {"torch": torch, "F": F, "nn": nn}
    exec("def middle(self, y):\n    " + "\n    ".join((*lines, "return y")), names)
    return names["middle"]


FOLLOWED: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "one channel": code("y[:, 0] = 0"),
    "a window": code("y[:, 1:3, 2:4] = y.mean()"),
    "every second column": code("y[..., ::2] *= 3"),
    "an added axis": code("y[:, None, 0] = 5"),
    "a row of numbers": code("y[0, :, 0, 0] = torch.arange(6.0)"),
    "a weight": code("y[:, 0] = self.head.bias[0]"),
    "a mask": code("m = y.detach() > 0", "y[m] = 0.5", "y[~m] *= -0.5"),
    "a mask of channels": code("m = y.detach().mean((0, 2, 3)) > 0", "y[:, m] = 0"),
    "a mask of another array": code("z = y * 1", "m = (y > 0).detach()", "z[m] = y[m] * 3", "y = z"),
    "a list of channels": code("y[:, [0, 2]] *= 2"),
    "places in a buffer": code("y[:, self.places] = y[:, self.places] * 2"),
    "masked_fill_ of a part": code("v = y[:, 1:4]", "v.masked_fill_(v < 0, -0.1)"),
    "fill_ and zero_": code("y[:, 2].fill_(0.3)", "y[:, 3].zero_()"),
    "copy_": code("z = torch.zeros_like(y)", "z.copy_(y.mean((2, 3), keepdim=True))", "y = z + y"),
    "index_put_": code("z = y * 1", "z.index_put_((self.places * 0, self.places), y[0, :2] * 2)", "y = z"),
    "put_": code("z = y * 1", "z.put_(self.places, y[0, 0, 0, :2])", "y = z"),
    "scatter_add_ to a part": code(
        "z = y * 1", "z[:, 2:].scatter_add_(1, torch.zeros(1, 2, 6, 6, dtype=torch.int64), y[:, 3:5])", "y = z"
    ),
    "masked_scatter_": code("z = y * 1", "z.masked_scatter_(y.detach() > 0, y * 2)", "y = z"),
    "fill_diagonal_": code("z = y[0, 0].clone()", "z.fill_diagonal_(0)", "y = y * z"),
    "the diagonal": code("y.diagonal(dim1=2, dim2=3).add_(1)"),
    "channels that are shifted": code(
        "z = torch.zeros_like(y)", "z[:, :2, 1:] = y[:, :2, :-1]", "z[:, 2:4, :-1] = y[:, 2:4, 1:]", "y = z"
    ),
    "a loop": code("z = y.new_empty(y.shape)", "for i in range(6):", "    z[:, i] = y[:, i] * (i + 1)", "y = z"),
    "channels that are exchanged": code("y[:, 0], y[:, 1] = y[:, 1], y[:, 0]"),
    "a view of all": code("y.view(1, -1).relu_()"),
    "a view from before": code("v = y.flatten(1)", "y.relu_()", "y = v.view_as(y)"),
    "two views": code("a = y[:, 0]", "b = y[:, 0]", "a.add_(1)", "b.mul_(2)", "y = y + a + b"),
    "views of views": code("a = y[:, :4]", "b = a[:, 2:]", "b.mul_(2)", "a.add_(1)", "y[:, 3] = 0", "y = y + b.sum()"),
    "what was read before": code("v = y[:, 0]", "w = v + 0", "v.mul_(3)", "y = y + w.unsqueeze(1) + v.unsqueeze(1)"),
    "a transpose": code("y.permute(0, 2, 3, 1)[..., 2].mul_(0.5)"),
    "pairs": code("y.unfold(2, 2, 2)[..., 0].mul_(2)"),
    "dropout that drops nothing": code("F.dropout(y, 0.5, False).add_(1)"),
    "a copy that is none": code("z = y.float().contiguous()", "z[:, 0] = 0"),
    "a copy that is one": code("z = y.permute(0, 2, 3, 1)", "r = z.reshape(1, -1)", "r.mul_(2)", "y = y + r.sum()"),
    "ReLU of a part": code("nn.ReLU(inplace=True)(y[:, :3])"),
    "other axes": code("y.transpose_(2, 3)", "y[:, :, 0] = 0"),
    "an axis more and less": code("y.unsqueeze_(2)", "y[:, :, 0, 0] = 1", "y.squeeze_(2)"),
    "detach_": code("z = y * 2", "z.detach_()", "y = y + z"),
    "a buffer": code("self.seen[0] = 2.0", "self.seen[1] += y.detach().mean()", "y = y + self.seen"),
    "true and false": code("m = y > 0", "m[:, 0] = False", "m.logical_not_()", "y = y * m"),
    "whole numbers": code("i = torch.arange(6)", "i[0] = 3", "i.add_(1).remainder_(6)", "y = y[:, i]"),
    "16 bits": code("z = y.bfloat16()", "z[:, 0] = 0", "z[:, 1] = y[:, 2]", "y = z.float()"),
    "a table of sines": code(
        "z = torch.zeros(6, 6)", "z[:, 0::2] = torch.sin(torch.arange(6.0))[:, None]", "y = y + z"
    ),
    "under no_grad": code("with torch.no_grad():", "    y.mul_(2)"),
    "a part under no_grad": code("with torch.no_grad():", "    y[:, 0] = 0"),
    "pieces under no_grad": code("with torch.no_grad():", "    a, b = y.chunk(2, 1)", "    a.mul_(2)", "    b.add_(a)"),
    "rows under no_grad": code("z = y.detach()", "z.unbind(1)[2].zero_()"),
    "a detached view": code("y.detach()[:, 1] = 0"),
    ".data": code("y.data.clamp_(-0.5, 0.5)", "y.data = y.data * 2"),
    "weights that are bounded": code("with torch.no_grad():", "    self.head.weight.clamp_(-0.2, 0.2)"),
    "a row of weights": code("with torch.no_grad():", "    self.head.weight[0] = 0"),
    "weights' .data": code("self.head.weight.data = self.head.weight.data.clamp(-0.2, 0.2)"),
    "a hook, then a change": code("y.register_hook(lambda g: g * 3)", "y[:, 0] = 0"),
    "a change, then a hook": code("y[:, 0] = 0", "y.register_hook(lambda g: g * 3)"),
    "a plain array": code("self.plain.mul_(0.9).add_(y.detach().mean(), alpha=0.1)", "y = y * self.plain"),
    "a part of a plain array": code("self.plain[0] = 5.0", "y = y * self.plain"),
    "a plain counter": code("self.count += 1", "y = y * self.count"),
    "an array in a list": code("self.several[0].add_(1)", "self.several.append(y)", "y = y * self.several[0]"),
    "a plain array that is another": code("self.plain = self.plain * 2", "y = y * self.plain"),
    "out=": code("z = y.detach() * 1", "torch.add(z, 1, out=z)", "y = y + z"),
}


@pytest.fixture
def image() -> Tensor:
    torch.manual_seed(1)
    return torch.randn(3, 8, 8)


def assert_the_terms_add_up(trace: Trace) -> None:
    generator = np.random.default_rng(0)
    for name in (*(node.name for node in trace.nodes), *trace.parameters):
        for _ in range(3):
            place = ", ".join(str(generator.integers(size)) for size in trace.shape(name))
            unit = f"{name}[{place}]" if place else name
            assert trace.unit(unit).complete or trace.node(name).kind == "new_empty"
            if name in trace.gradients:
                trace.gradient(unit)
            if name in trace.updates:
                assert trace.update(unit).complete


@pytest.mark.filterwarnings("ignore:An output with one or more elements")  # PyTorch's own, of out=
@pytest.mark.parametrize("kind", FOLLOWED)
def test_scores_gradients_and_step_are_pytorchs(kind: str, image: Tensor) -> None:
    module = Changed(FOLLOWED[kind])
    optimizer = torch.optim.SGD(module.parameters(), 0.1, momentum=0.9)
    before, plain = copy.deepcopy(module.state_dict()), (module.plain.clone(), module.count.clone())
    trace = explain(module, image, LABEL, optimizer=optimizer)
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())
    assert torch.equal(module.plain, plain[0])
    assert (module.count, len(module.several), float(module.several[0].sum())) == (plain[1], 1, 6)
    scores = module(image[None])
    F.cross_entropy(scores, torch.tensor([LABEL])).backward()
    assert np.array_equal(trace.logits, scores.detach()[0].numpy())
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None
        np.testing.assert_allclose(trace.gradients[name], parameter.grad.numpy(), rtol=1e-5, atol=1e-7)
    optimizer.step()
    for name, parameter in module.named_parameters():
        np.testing.assert_allclose(trace.updates[name].after, parameter.detach().numpy(), rtol=1e-5, atol=1e-7)
    assert_the_terms_add_up(trace)


def test_every_state_of_an_array_has_a_name(image: Tensor) -> None:
    trace = explain(Changed(FOLLOWED["two views"]), image, LABEL)
    names = [node.name for node in trace.nodes]
    assert names[2:8] == ["mul", "select", "add", "select_scatter", "select@2", "mul@2"]
    before, after = trace.values["mul"], trace.values["select_scatter"]
    assert np.array_equal(before[:, 0] + 1, after[:, 0])
    assert np.array_equal(before[:, 1:], after[:, 1:])


def test_a_change_that_no_gradient_sees_says_so(image: Tensor) -> None:
    trace = explain(Changed(FOLLOWED["weights that are bounded"]), image, LABEL)
    bounded = trace.unit("overwritten[2, 2]")
    assert bounded.kind == "overwriting without a gradient"
    assert bounded.total == pytest.approx(float(trace.values["clamp"][2, 2]), abs=1e-7)
    assert np.array_equal(trace.gradients["head.weight"], trace.gradients["overwritten"])


@pytest.mark.parametrize(
    ("middle", "message"),
    [
        (code("z = y.detach().clone()", "y = z.resize_(1, 6, 18, 2)"), "changes the size or the memory of an array"),
        (code("z = y * 1", "torch._foreach_add_([y, z], 1.0)"), "changes a list of arrays in one call"),
        (code("z = y.sigmoid()", "z[:, 0] = 0", "y = z"), "modified by an inplace operation"),
        (code("y.chunk(2, 1)[0].mul_(2)"), "Output 0 of Split is a view and is being modified inplace"),
    ],
)
def test_what_is_refused_says_why(middle: Callable, message: str, image: Tensor) -> None:
    with pytest.raises(TraceError, match=message):
        explain(Changed(middle), image, LABEL)
