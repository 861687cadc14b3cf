"""PyTorch layers that our text can write, and that it then computes the same."""

import pytest
import torch
from torch import nn

from pellucid.network import zoo
from pellucid.network.own import sequential
from pellucid.network.own.own import Own

CLASSES = 3
SHAPE = (3, 16, 16)


class Twice(nn.ReLU):
    """Looks like a ReLU of PyTorch's."""

    def forward(self, sample):
        return 2 * super().forward(sample)


def ending(*layers: nn.Module) -> nn.Sequential:
    """With a head for any input: means of 4 channels."""
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, CLASSES))


CONV = nn.Conv2d(3, 4, 3)
TAIL = " globalavgpool dense"
WRITTEN = {
    "conv(4, 3) relu": lambda: ending(CONV, nn.ReLU(inplace=True)),
    "conv(4, 3x5, stride=2x1, padding=1x2, dilation=1x2, bias=false) tanh": lambda: ending(
        nn.Conv2d(3, 4, (3, 5), (2, 1), (1, 2), (1, 2), bias=False), nn.Tanh()
    ),
    "conv(6, 1) conv(4, 3, padding=same, groups=2) sigmoid": lambda: ending(
        nn.Conv2d(3, 6, 1), nn.Conv2d(6, 4, 3, padding="same", groups=2), nn.Sigmoid()
    ),
    "conv(4, 3) batchnorm leaky_relu(0.2)": lambda: ending(CONV, nn.BatchNorm2d(4), nn.LeakyReLU(0.2)),
    "conv(4, 3) elu gelu silu hardswish": lambda: ending(CONV, nn.ELU(), nn.GELU(), nn.SiLU(), nn.Hardswish()),
    "conv(4, 3) maxpool(3, stride=2, padding=1) avgpool(2)": lambda: ending(
        CONV, nn.MaxPool2d(3, 2, 1), nn.AvgPool2d(2)
    ),
    "conv(4, 3) l2pool(2) dropout(0.25)": lambda: ending(CONV, nn.LPPool2d(2, 2), nn.Identity(), nn.Dropout(0.25)),
    "conv(4, 3) relu maxpool(2)": lambda: ending(nn.Sequential(nn.Sequential(CONV), nn.ReLU()), nn.MaxPool2d(2)),
}


@pytest.mark.parametrize("text", WRITTEN)
def test_a_sequential_is_written_and_computes_the_same(text: str) -> None:
    module = WRITTEN[text]()
    ready = Own("module:Sequential", module).ready(SHAPE, CLASSES)
    assert str(ready.network) == text + TAIL
    assert ready.program is None
    example = torch.randn(4, *SHAPE, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(ready.module.eval()(example), module.eval()(example), rtol=0, atol=1e-5)


def test_one_that_ends_in_flatten_and_dense_layers() -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(48, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 2, bias=False))
    ready = Own("module:Sequential", module).ready((3, 4, 4), 2)
    assert str(ready.network) == "flatten dense(5) batchnorm relu dense(bias=false)"
    assert torch.equal(ready.module.state_dict()["dense1.weight"], module.state_dict()["1.weight"])


@pytest.mark.parametrize("name", ["compact", "lenet5", "resnet18"])
def test_a_module_of_our_own_text_is_written_as_that_text(name: str) -> None:
    network = zoo.find(name).network
    shape = (1, 32, 32) if name == "lenet5" else (3, 64, 64)
    result = sequential.write(network.module(shape, CLASSES), CLASSES)
    assert result is not None
    # initial weights are not part of a module
    assert str(result.network) == str(network).replace(", init=lecun", "").replace("(init=lecun)", "")


def _hooked() -> nn.Module:
    relu = nn.ReLU()
    relu.register_forward_hook(lambda _part, _inputs, output: output + 1)
    return ending(nn.Conv2d(3, 4, 3), relu)


def _frozen() -> nn.Module:
    module = ending(nn.Conv2d(3, 4, 3))
    module[0].weight.requires_grad_(False)
    return module


def _shared() -> nn.Module:
    conv = nn.Conv2d(4, 4, 3, padding=1)
    return ending(nn.Conv2d(3, 4, 3), conv, nn.ReLU(), conv)


class _Reversed(nn.Sequential):
    def forward(self, sample):
        return super().forward(sample.flip(3))


UNWRITTEN = {
    "a layer without words": lambda: ending(nn.Conv2d(3, 4, 3), nn.Hardtanh()),
    "a class that inherits from a layer": lambda: ending(nn.Conv2d(3, 4, 3), Twice()),
    "a class that inherits from Sequential": lambda: _Reversed(*ending(nn.Conv2d(3, 4, 3))),
    "a hook": _hooked,
    "frozen weights": _frozen,
    "a layer that stands twice": _shared,
    "padding by reflection": lambda: ending(nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect")),
    "another alpha": lambda: ending(nn.Conv2d(3, 4, 3), nn.ELU(0.5)),
    "another gelu": lambda: ending(nn.Conv2d(3, 4, 3), nn.GELU("tanh")),
    "batch norm without its own weights": lambda: ending(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, affine=False)),
    "batch norm of another momentum": lambda: ending(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, momentum=0.01)),
    "a pool that rounds up": lambda: ending(nn.Conv2d(3, 4, 3), nn.MaxPool2d(3, ceil_mode=True)),
    "a dilated pool": lambda: ending(nn.Conv2d(3, 4, 3), nn.MaxPool2d(2, dilation=2)),
    "a pool that leaves its padding out": lambda: ending(
        nn.Conv2d(3, 4, 3), nn.AvgPool2d(3, padding=1, count_include_pad=False)
    ),
    "a mean over parts": lambda: nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, CLASSES)
    ),
    "a flatten of less": lambda: nn.Sequential(nn.Flatten(2), nn.Flatten(), nn.Linear(768, CLASSES)),
}


@pytest.mark.parametrize("what", UNWRITTEN)
def test_what_our_text_cannot_say_becomes_a_program(what: str) -> None:
    module = UNWRITTEN[what]()
    ready = Own("module:Sequential", module).ready(SHAPE, CLASSES)
    assert ready.network is None
    assert ready.program is not None
    example = torch.randn(4, *SHAPE, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(ready.module.eval()(example), module.eval()(example))
