"""Our kernels' gradients of depthwise convolutions, compared with PyTorch's."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pellucid.engine import depthwise, kernels
from pellucid.engine.device import Engine
from pellucid.network import text
from pellucid.runtime import team


def gradients(call: Any, module: nn.Module, images: Tensor, precision: Any = "float32") -> list[Tensor]:
    """The outputs, then the gradients of the pictures and of every parameter, of a sum with many weights."""
    module.zero_grad()
    inputs = images.clone().requires_grad_()
    with Engine("cpu", precision, 1, ()).autocast():
        outputs = call(inputs)
    weights = torch.linspace(-1, 1, outputs.numel()).view(outputs.shape)
    (outputs.float() * weights).sum().backward()
    assert inputs.grad is not None
    return [outputs.detach(), inputs.grad, *(p.grad for p in module.parameters() if p.grad is not None)]


def assert_close(ours: list[Tensor], theirs: list[Tensor], most: float) -> None:
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert one.dtype == other.dtype
        assert one.shape == other.shape
        assert float((one - other).norm()) <= most * float(other.norm())


# channels, size, stride, padding, bias; channels in whole vectors, and with some left over
CASES = [
    (16, (5, 5), (1, 1), (2, 2), False),
    (40, (5, 5), (2, 2), (2, 2), True),
    (19, (3, 5), (1, 2), (0, 1), True),
    (32, (7, 7), (1, 1), (3, 3), True),
    (24, (3, 3), (2, 2), (1, 1), False),
]


@pytest.mark.parametrize(("channels", "size", "stride", "padding", "bias"), CASES)
@pytest.mark.parametrize(("precision", "most"), [("float32", 1e-5), ("bfloat16", 0.02)])
def test_every_gradient_equals_pytorchs(
    channels: int, size: Any, stride: Any, padding: Any, bias: bool, precision: Any, most: float
) -> None:
    torch.manual_seed(1)
    module = nn.Conv2d(channels, channels, size, stride, padding, groups=channels, bias=bias)
    images = torch.randn(3, channels, 11, 9).contiguous(memory_format=torch.channels_last)
    assert depthwise.applies(module)

    theirs = gradients(module, module, images)
    ours = [gradients(kernels.forward(module, threads), module, images, precision) for threads in (1, 2)]

    ours_32 = [part.float() for part in ours[0]]
    assert_close(ours_32, theirs, most)
    assert ours[0][2].dtype == torch.float32
    for one, other in zip(*ours, strict=True):
        assert torch.equal(one, other)  # the number of threads changes no bit


def test_without_a_team_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(1)
    module = nn.Conv2d(40, 40, 5, groups=40)
    images = torch.randn(2, 40, 8, 8).contiguous(memory_format=torch.channels_last)
    here = gradients(kernels.forward(module, 2), module, images)
    monkeypatch.setattr(team, "is_there", lambda: False)
    elsewhere = gradients(kernels.forward(module, 2), module, images)
    for one, other in zip(here, elsewhere, strict=True):
        assert torch.equal(one, other)


def test_a_filter_of_bfloat16_is_summed_in_float32() -> None:
    # 4,096 products of 1: bfloat16 would stop at 256
    module = nn.Conv2d(16, 16, 5, groups=16, bias=False)
    images = torch.ones(1, 16, 68, 68).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        kernels.forward(module, 1)(images).float().sum().backward()
    assert module.weight.grad is not None
    assert torch.equal(module.weight.grad, torch.full((16, 1, 5, 5), 4096.0))


def test_plain_memory_order_and_an_expanded_gradient() -> None:
    torch.manual_seed(2)
    module = nn.Sequential(nn.Conv2d(16, 16, 5, groups=16), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    images = torch.randn(2, 16, 12, 12)
    assert_close(gradients(kernels.forward(module, 1), module, images), gradients(module, module, images), 1e-5)


@pytest.mark.parametrize(
    ("written", "whole"),
    [
        ("conv(32, 5, padding=2, groups=32)", True),
        ("conv(32, 5, stride=2, padding=same, groups=32)", True),
        ("conv(32, 3, stride=2, padding=1, groups=32)", True),
        ("conv(32, 3, padding=1, groups=32)", False),  # PyTorch's is fast
        ("conv(64, 5, groups=32)", False),  # two filters a channel
        ("conv(32, 5, groups=8)", False),
        ("conv(32, 5, dilation=2, groups=32)", False),
        ("conv(32, 5)", False),
    ],
)
def test_which_convolutions_are_taken(written: str, whole: bool) -> None:
    module = text.parse(f"conv(32, 1) {written} globalavgpool dense").module((3, 16, 16), 2)
    images = torch.randn(2, 3, 16, 16)
    assert depthwise.applies(module) == whole
    taken = "_DepthwiseBackward" in names(kernels.forward(module, 1)(images).grad_fn)
    assert taken == whole
    assert_close(gradients(kernels.forward(module, 1), module, images), gradients(module, module, images), 1e-4)


def names(node: Any) -> set[str]:
    """The names of all nodes in a graph of gradients."""
    names, left = set(), [node]
    while left:
        here = left.pop()
        if here is not None:
            names.add(here.name())
            left += [before for before, _ in here.next_functions]
    return names


def test_pytorch_computes_other_dtypes() -> None:
    module = nn.Conv2d(16, 16, 5, groups=16).double()
    images = torch.randn(1, 16, 8, 8, dtype=torch.float64)
    assert not depthwise.applies(module)
    assert torch.equal(kernels.forward(module, 1)(images), module(images))


def test_without_gradients_the_module_runs_unchanged() -> None:
    module = nn.Conv2d(16, 16, 5, groups=16)
    images = torch.randn(1, 16, 8, 8)
    with torch.inference_mode():
        assert torch.equal(kernels.forward(module, 1)(images), module(images))


def test_a_frozen_filter_gets_no_gradient() -> None:
    module = nn.Conv2d(16, 16, 5, groups=16)
    module.weight.requires_grad_(False)
    images = torch.randn(1, 16, 8, 8, requires_grad=True)
    kernels.forward(module, 1)(images).sum().backward()
    assert module.weight.grad is None
    assert module.bias is not None
    np.testing.assert_allclose(module.bias.grad, np.full(16, 16.0))
    assert images.grad is not None
