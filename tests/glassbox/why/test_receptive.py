"""Receptive fields: by hand, by the plan's formulas, and by the gradient of networks without activation functions."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from pellucid.glassbox.trace.frozen_copy import still
from pellucid.glassbox.why import farthest, receptive
from pellucid.glassbox.why.receptive import Sight, sights, swept
from pellucid.network.plan import plan
from pellucid.network.zoo import find

DILATED = (
    "conv(4, 3, dilation=2, padding=same) batchnorm gelu residual(conv(4, 3x5, padding=2x4, dilation=2) silu) "
    "avgpool(2) conv(6, 5x1, stride=2x1, padding=1x0, groups=2) l2pool(2) conv(2, 2) flatten dense"
)


def seen(module: nn.Module, *shape: int) -> dict[str, Sight]:
    names = [name for name, part in module.named_modules() if isinstance(part, nn.Conv2d)]
    return sights(still(module), names, (1, *shape))


@pytest.mark.parametrize(
    ("text", "shape", "whole"),
    [
        ("lenet5", (1, 32, 32), 0),
        ("article", (3, 30, 44), 0),
        ("compact", (3, 64, 48), 4),
        ("compact", (3, 128, 128), 0),
        ("resnet18", (3, 64, 64), 10),
        (DILATED, (3, 40, 52), 0),
    ],
)
def test_the_plan_agrees(text: str, shape: tuple[int, int, int], whole: int) -> None:
    """`whole`: the number of last layers whose units are cut off too much by the picture."""
    network = find(text).network
    rows = {row.name: row for row in plan(network, shape, 3).rows}
    results = {
        name: sight.receptive_field(*shape[1:]) for name, sight in seen(network.module(shape, 3), *shape).items()
    }
    assert list(results) == [name for name in rows if "conv" in name.rsplit(".", 1)[-1]]
    unlike = [name for name in results if results[name] != rows[name].receptive_field]
    assert len(unlike) == whole
    for name in unlike:
        report, field = results[name], rows[name].receptive_field
        assert all(report[axis] in (field[axis], shape[axis + 1]) for axis in (0, 1))


@settings(max_examples=40, deadline=None)
@given(
    kernel=st.integers(1, 4), stride=st.integers(1, 3), padding=st.integers(0, 3), dilation=st.integers(1, 3),
    side=st.integers(10, 20),
)  # fmt: skip
def test_one_convolution_by_its_formula(kernel: int, stride: int, padding: int, dilation: int, side: int) -> None:
    module = nn.Sequential(nn.Conv2d(2, 3, kernel, stride, padding, dilation))
    rows = seen(module, 2, side, 10)["0"].rows
    for row in range(rows.shape[1]):
        taps = [row * stride - padding + dilation * tap for tap in range(kernel)]
        inside = [tap for tap in taps if 0 <= tap < side]
        expected = [inside[0], inside[-1] + 1] if inside else [0, 0]
        assert rows[:, row].tolist() == [expected] * 3


class Branches(nn.Module):
    """One channel of 1x1, one of 5x5, and a depthwise convolution over both; then squeeze and excitation."""

    def __init__(self) -> None:
        super().__init__()
        self.narrow = nn.Conv2d(1, 1, 1)
        self.wide = nn.Conv2d(1, 1, 5, padding=2, padding_mode="reflect")
        self.depthwise = nn.Conv2d(2, 4, 3, padding=1, groups=2)
        self.last = nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.depthwise(torch.cat([self.narrow(x), self.wide(x)], 1))
        x = x * torch.sigmoid(x.mean((2, 3), keepdim=True))
        return self.last(x).mean((2, 3))


def test_channels_may_see_differently_and_some_see_all() -> None:
    result = seen(Branches(), 1, 12, 9)
    assert result["narrow"].box(0, 3, 4) == (3, 4, 4, 5)
    assert [result["depthwise"].box(channel, 5, 4) for channel in range(4)] == [
        (4, 3, 7, 6), (4, 3, 7, 6), (2, 1, 9, 8), (2, 1, 9, 8),
    ]  # fmt: skip
    assert result["depthwise"].receptive_field(12, 9) == (7, 7)
    assert result["last"].box(0, 0, 0) == (0, 0, 12, 9)
    assert result["last"].receptive_field(12, 9) == (12, 9)


def test_the_gradient_agrees() -> None:
    """Without activation functions, a unit's gradient is nonzero exactly where it sees the picture."""
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(2, 4, 3, stride=2, padding=1, padding_mode="circular"),
        nn.AvgPool2d(2, stride=1),
        nn.Conv2d(4, 4, (3, 2), dilation=(2, 1), groups=2),
        nn.ConvTranspose2d(4, 2, 3, stride=2),
        nn.Conv2d(2, 3, 3, padding="same"),
    )
    x = torch.randn(1, 2, 23, 19, requires_grad=True)
    output, sight = module(x), seen(module, 2, 23, 19)["4"]
    for channel in range(3):
        for row in range(output.shape[2]):
            for column in range(output.shape[3]):
                (gradient,) = torch.autograd.grad(output[0, channel, row, column], x, retain_graph=True)
                rows, columns = (gradient[0].abs().sum(dim).nonzero() for dim in ((0, 2), (0, 1)))
                box = (int(rows.min()), int(columns.min()), int(rows.max()) + 1, int(columns.max()) + 1)
                assert sight.box(channel, row, column) == box


def test_weights_of_zero_and_dead_units_hide_nothing() -> None:
    module = nn.Sequential(nn.Conv2d(1, 1, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Conv2d(1, 1, 1), nn.ReLU6())
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(0.0 if parameter.ndim == 4 else -1.0)
    assert seen(module, 1, 8, 8)["3"].box(0, 1, 2) == (2, 4, 6, 8)


def test_a_layer_run_twice_is_seen_in_its_first_run() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(2, 2, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(self.conv(x)).mean((2, 3))

    assert seen(Twice(), 2, 9, 9)["conv"].receptive_field(9, 9) == (3, 3)


def test_nothing_runs_after_the_last_layer_that_is_asked_for() -> None:
    class Far(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise AssertionError("too far")

    module = still(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Conv2d(2, 2, 3), Far()))
    assert sights(module, ["0", "1"], (1, 1, 8, 8))["1"].receptive_field(8, 8) == (5, 5)


EVERY_OPERATOR = (
    "conv(4, 3x2, stride=2x1, padding=1x0, dilation=1x2) batchnorm relu6 conv(6, 3, padding=same, groups=2) layernorm "
    "residual(conv(6, 3, stride=2, padding=1) leaky_relu gate(globalavgpool dense(3) relu dense(6) hardsigmoid) | "
    "conv(6, 1, stride=2)) hardswish conv(4, 1)"
)
EVERY_POOL = (
    "conv(3, 1) maxpool(3, stride=2, padding=1) conv(4, 5, padding=2) dropout avgpool(3, stride=1, padding=1) "
    "conv(2, 2, padding=same) gelu conv(2, 3)"
)


@pytest.mark.parametrize("text", [EVERY_OPERATOR, EVERY_POOL, "efficientnet_lite0", "compact", "resnet18"])
def test_one_pass_sees_what_the_sweep_sees(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shape = (3, 33, 38)
    written = f"{text} flatten dense" if "conv" in text else text
    module = still(find(written).network.module(shape, 3).eval())
    names = [name for name, part in module.named_modules() if isinstance(part, nn.Conv2d)]
    slow = swept(module, names, (1, *shape))
    monkeypatch.setattr(receptive, "swept", lambda *_: pytest.fail("the network has an operator that is not written"))
    fast = sights(module, names, (1, *shape))
    assert list(fast) == list(slow)
    for name, sight in fast.items():
        np.testing.assert_array_equal(sight.rows, slow[name].rows, err_msg=name)
        np.testing.assert_array_equal(sight.columns, slow[name].columns, err_msg=name)


@pytest.mark.parametrize(
    "foreign",
    [
        lambda x: x.cumsum(2),
        lambda x: torch.add(x, x, alpha=2),
        lambda x: x.roll(1, 3),
        lambda x: x * (x > 0),
        lambda x: functional.adaptive_avg_pool2d(x, (None, 1)),
        lambda x: x + x.mean(0, keepdim=True),
    ],
)
def test_an_operator_that_is_not_written_leaves_it_to_the_sweep(foreign: Callable[[Tensor], Tensor]) -> None:
    class Foreign(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 2, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.second(foreign(self.first(x))).mean((2, 3))

    module = still(Foreign())
    with pytest.raises(farthest.Unknown):
        receptive._at_once(module, ["first", "second"], (1, 1, 9, 9))
    result, wanted = sights(module, ["first", "second"], (1, 1, 9, 9)), swept(module, ["first", "second"], (1, 1, 9, 9))
    np.testing.assert_array_equal(result["second"].rows, wanted["second"].rows)


def test_what_is_joined_to_the_picture_is_no_part_of_it() -> None:
    class Beside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.depthwise = nn.Conv2d(2, 2, 3, groups=2)

        def forward(self, x: Tensor) -> Tensor:
            return self.depthwise(torch.cat([x, torch.ones(len(x), 1, 8, 8)], 1)).flatten(1)

    module = still(Beside())
    sight, wanted = (way(module, ["depthwise"], (1, 1, 8, 8))["depthwise"] for way in (receptive._at_once, swept))
    assert [sight.box(channel, 2, 5) for channel in (0, 1)] == [(2, 5, 5, 8), (0, 0, 0, 0)]
    np.testing.assert_array_equal(sight.rows, wanted.rows)


def test_weights_are_no_part_of_the_picture() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.full((1, 1, 8, 8), 1e6))
            self.last = nn.Conv2d(1, 1, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(100 - (self.weight * x + self.weight) / 2).flatten(1)

    sight = receptive._at_once(still(Scaled()), ["last"], (1, 1, 8, 8))["last"]
    assert sight.box(0, 2, 5) == (2, 5, 5, 8)
