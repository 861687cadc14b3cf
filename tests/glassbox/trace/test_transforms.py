"""torch.vmap and torch.func inside forward(), and quantisation-aware training: as PyTorch runs them."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, func, nn

from pellucid.errors import TraceError
from pellucid.glassbox.trace.recording import explain

LABEL = 1


class Middle(nn.Module):
    def __init__(self, middle: Callable[[Any, Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.head, self.middle = nn.Conv2d(3, 6, 3), nn.Linear(6, 5), middle

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.middle(self, self.conv(x)).mean((2, 3)))


def back(_: Middle, y: Tensor) -> Tensor:
    _, gradient = func.vjp(lambda a, b: (a.sin() * b).sum(1), y, y * 2)
    first, second = gradient(torch.ones(1, 6, 6))
    return first + second


FOLLOWED: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "vmap": lambda m, y: torch.vmap(lambda a: a.relu() * 2)(y),
    "vmap over channels": lambda m, y: func.vmap(lambda a, k: a * k, (1, 0), 1)(y, m.head.weight[0]),
    "vmap of one array for all": lambda m, y: torch.vmap(lambda a, b: a + b.mean(), (1, None), 1)(y, y),
    "vmap of two results": lambda m, y: sum(torch.vmap(lambda a: (a.exp(), {"b": a * 2}["b"]), 1, 1)(y)),
    "vmap in vmap": lambda m, y: torch.vmap(torch.vmap(lambda a: a - a.mean()))(y),
    "grad": lambda m, y: func.grad(lambda a: (a**3).sum())(y),
    "grad and value": lambda m, y: sum(func.grad_and_value(lambda a, b: (a * b.sin()).sum(), 1)(y, y)),
    "grad of a gradient": lambda m, y: func.grad(lambda a: func.grad(lambda b: (b**3).sum())(a).sum())(y),
    "vjp": back,
    "jacrev": lambda m, y: y * func.jacrev(lambda w: w**2)(m.head.bias).diagonal().sum(),
    "functional_call": lambda m, y: (
        y * func.functional_call(m.head, {"weight": m.head.weight * 2}, y.mean((2, 3))).sum()
    ),
}


@pytest.fixture
def image() -> Tensor:
    torch.manual_seed(1)
    return torch.randn(3, 8, 8)


def assert_pytorchs(module: nn.Module, image: Tensor) -> None:
    trace = explain(module, image, LABEL)
    assert trace.nodes
    scores = module(image[None])
    F.cross_entropy(scores, torch.tensor([LABEL])).backward()
    np.testing.assert_allclose(trace.logits, scores.detach()[0].numpy(), rtol=1e-5, atol=1e-6)
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None
        np.testing.assert_allclose(trace.gradients[name], parameter.grad.numpy(), rtol=1e-5, atol=1e-6)
    for node in trace.nodes:
        unit = f"{node.name}[{', '.join('0' * len(trace.shape(node.name)))}]".removesuffix("[]")
        trace.unit(unit)
        if node.name in trace.gradients:
            trace.gradient(unit)


@pytest.mark.parametrize("kind", FOLLOWED)
def test_what_torch_func_computes_is_followed(kind: str, image: Tensor) -> None:
    assert_pytorchs(Middle(FOLLOWED[kind]), image)


@pytest.mark.parametrize(
    ("middle", "message"),
    [
        (lambda m, y: torch.vmap(lambda a: a + torch.rand(()), randomness="different")(y), "randomness='different'"),
        (lambda m, y: func.jvp(lambda a: a.sin(), (y,), (y,))[1], "Forward derivatives cannot be followed"),
    ],
)
def test_what_cannot_be_followed_says_what_to_do(middle: Callable, message: str, image: Tensor) -> None:
    with pytest.raises(TraceError, match=message):
        explain(Middle(middle), image, LABEL)


def test_pytorch_has_what_is_replaced_and_has_it_again_afterwards(image: Tensor) -> None:
    """Private names of PyTorch: this fails first where a new version lacks one."""
    from torch._functorch import apis, eager_transforms

    before = apis.vmap_impl, eager_transforms.grad_and_value_impl, eager_transforms._vjp_with_argnums
    explain(Middle(FOLLOWED["grad"]), image, LABEL)
    assert (apis.vmap_impl, eager_transforms.grad_and_value_impl, eager_transforms._vjp_with_argnums) == before
    assert list(inspect.signature(before[0]).parameters)[:5] == [
        "func",
        "in_dims",
        "out_dims",
        "randomness",
        "chunk_size",
    ]
    assert list(inspect.signature(before[1]).parameters) == ["func", "argnums", "has_aux", "args", "kwargs"]


class Stubbed(nn.Module):
    def __init__(self) -> None:
        from torch.ao import quantization

        super().__init__()
        torch.manual_seed(0)
        self.before, self.after = quantization.QuantStub(), quantization.DeQuantStub()
        self.conv, self.relu, self.head = nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.head(self.relu(self.conv(self.before(x))).mean((2, 3))))


@pytest.mark.filterwarnings("ignore:torch.ao.quantization is deprecated", "ignore:Please use quant_min and quant_max")
@pytest.mark.filterwarnings("ignore:must run observer before", "ignore:_aminmax is deprecated")
@pytest.mark.parametrize("backend", ["fbgemm", "qnnpack"])
@pytest.mark.parametrize("training", [True, False])
def test_a_module_that_is_trained_for_few_bits_is_followed(backend: str, training: bool, image: Tensor) -> None:
    """Each observer changes four buffers at once, which stay unchanged here."""
    from torch.ao import quantization

    module = Stubbed().train()
    module.qconfig = quantization.get_default_qat_qconfig(backend)  # type: ignore[assignment]
    quantization.prepare_qat(module, inplace=True)
    module(torch.randn(2, 3, 8, 8))
    module.train(training)
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    trace = explain(module, image, LABEL)
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())
    quantised = trace.unit("conv.weight_fake_quant[1, 2, 0, 1]")
    assert (quantised.total, quantised.unwritten) == (None, ("conv.weight_fake_quant",))
    assert_pytorchs(module, image)


@pytest.mark.parametrize(
    "middle",
    [
        lambda m, y: torch.fake_quantize_per_tensor_affine(y, 0.1, 0, -20, 20),
        lambda m, y: torch.fake_quantize_per_channel_affine(
            y, torch.full((6,), 0.1), torch.zeros(6, dtype=torch.int32), 1, -8, 7
        ),
    ],
)
def test_numbers_that_are_rounded_to_few_bits(middle: Callable, image: Tensor) -> None:
    assert_pytorchs(Middle(middle), image)
