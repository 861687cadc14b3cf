"""The promise: for any number of any network, the terms add up to what plain PyTorch computes.

The reference is not the trace's own record but a run of the untouched module: forward by hooks, backward by
loss.backward(), the update by optimizer.step(). "Near rounding" is Working.bound, ROUNDING units of rounding times the
scale of the number's terms (docs/why/arithmetic.md); every working checks itself against it too.
"""

import copy
from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pellucid.glassbox.trace.recording import explain
from pellucid.glassbox.trace.trace import Trace
from pellucid.glassbox.trace.working import Working
from pellucid.network import zoo

COUNT = 200


class Inverted(nn.Module):
    """A block outside the zoo: 1x1, depthwise and 1x1 convolutions, a gate over channels, an addition."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.wide = nn.Conv2d(channels, 3 * channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(3 * channels)
        self.depth = nn.Conv2d(3 * channels, 3 * channels, 3, padding=1, groups=3 * channels)
        self.gate = nn.Linear(3 * channels, 3 * channels)
        self.narrow = nn.Conv2d(3 * channels, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.hardswish(self.norm(self.wide(x)), inplace=True)
        y = F.silu(self.depth(y))
        y = y * self.gate(y.mean((2, 3))).sigmoid()[:, :, None, None]
        return x + self.narrow(y)


class Own(nn.Module):
    """A module in a user's style: shared parts, functions in forward(), changes in place, dense connections."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 5, stride=2, padding=2), nn.GELU())
        self.block = Inverted(8)
        self.dilated = nn.Conv2d(8, 6, 3, padding=2, dilation=2, groups=2)
        self.up = nn.ConvTranspose2d(14, 5, 1)
        self.relu = nn.ReLU(inplace=True)
        self.norm = nn.GroupNorm(1, 5)
        self.l2 = nn.LPPool2d(2, 2)
        self.head = nn.Linear(5 * 9, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.block(self.block(self.stem(x)))
        x = torch.cat([x, self.relu(self.dilated(x))], 1)
        x = F.avg_pool2d(self.relu(self.norm(self.up(x))), 3, 2, padding=1, count_include_pad=False)
        x = F.adaptive_avg_pool2d(self.l2(x), 3)
        return self.head(x.flatten(1))


class Resized(nn.Module):
    """A decoder and its usual parts: maps enlarged in three ways, borders, shuffles, choices, extremes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1, padding_mode="circular")
        self.mirror, self.smooth = nn.ReflectionPad2d(1), nn.Upsample(scale_factor=1.7, mode="bicubic")
        self.shuffle, self.mix = nn.PixelShuffle(2), nn.ChannelShuffle(2)
        self.larger = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
        self.back = nn.PixelUnshuffle(2)
        self.border, self.windows = nn.ConstantPad2d((1, 0, -1, 2), 0.25), nn.Unfold(3, stride=3)
        self.head = nn.Linear(36 + 8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.mix(self.stem(x)))
        fine = self.larger(self.shuffle(self.smooth(self.mirror(x))))
        left, right = self.back(F.interpolate(fine, (14, 14))).chunk(2, 1)
        both = torch.maximum(left, right.flip(-1)).masked_fill(left > 1.5, 1.0)
        both = torch.where(both > left.mean(), both, left.clamp(min=0.2).cumsum(2))
        rows = self.windows(self.border(both)).amax(2)
        best, place = x.flatten(2).topk(3, 2).values, x.flatten(2).argmax(2, keepdim=True)
        spread = (best + torch.zeros_like(best)).std(2) + x.flatten(2).gather(2, place).amin(2)
        return self.head(torch.cat([rows, spread], 1))


def named(name: str, shape: tuple[int, int, int], classes: int) -> Callable[[], nn.Module]:
    return lambda: zoo.find(name).network.module(shape, classes)


NETWORKS = {
    "article": (named("article", (3, 300, 300), 2), (3, 300, 300)),
    "lenet5": (named("lenet5", (1, 32, 32), 10), (1, 32, 32)),
    "compact": (named("compact", (3, 96, 96), 10), (3, 96, 96)),
    "resnet18": (named("resnet18", (3, 224, 224), 10), (3, 224, 224)),
    "a user's own": (Own, (3, 33, 35)),
    "a user's decoder": (Resized, (3, 11, 9)),
}


def settled(make: Callable[[], nn.Module], shape: tuple[int, int, int]) -> nn.Module:
    """A network with batch norm statistics that differ from the initial ones."""
    torch.manual_seed(1)
    module = make()
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.BatchNorm2d):
                part.running_mean.normal_(0, 0.5)  # type: ignore[union-attr]
                part.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
                part.weight.normal_(1, 0.2)
                part.bias.normal_(0, 0.2)
    return module.eval()


def optimizer_of(module: nn.Module, sample: torch.Tensor) -> torch.optim.Optimizer:
    """AdamW after two steps, with state."""
    optimizer = torch.optim.AdamW(module.parameters(), lr=1e-3, weight_decay=0.05)
    for label in (0, 1):
        optimizer.zero_grad()
        F.cross_entropy(module(sample * (1 + label)), torch.tensor([label])).backward()
        optimizer.step()
    optimizer.zero_grad()
    return optimizer


def plain(
    module: nn.Module, sample: torch.Tensor, label: int
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """(outputs, gradients) by name, from a plain run of the module."""
    outputs: dict[str, torch.Tensor] = {}

    def keep(name: str) -> Callable[..., None]:
        def hook(_: nn.Module, __: object, output: torch.Tensor) -> None:
            if name not in outputs:
                output.retain_grad()
                outputs[name] = output

        return hook

    parts = [(name, part) for name, part in module.named_modules() if not list(part.children())]
    hooks = [part.register_forward_hook(keep(name)) for name, part in parts]
    F.cross_entropy(module(sample), torch.tensor([label])).backward()
    for hook in hooks:
        hook.remove()
    gradients = {name: tensor.grad for name, tensor in outputs.items() if tensor.grad is not None}
    gradients |= {name: p.grad for name, p in module.named_parameters() if p.grad is not None}
    return {name: tensor.detach() for name, tensor in outputs.items()}, gradients


def somewhere(trace: Trace, name: str, generator: np.random.Generator) -> tuple[str, tuple[int, ...]]:
    index = tuple(int(generator.integers(size)) for size in trace.shape(name))
    return f"{name}[{', '.join(map(str, index))}]", trace.whole_index(name, index)


def near(working: Working, truth: float) -> bool:
    """Plain PyTorch may take another path than the trace's run: both are within the bound of the exact sum."""
    assert working.complete
    return abs(working.total - truth) <= working.bound + 1e-30


@pytest.mark.parametrize("name", NETWORKS)
def test_any_unit_and_any_weight_adds_up_to_what_pytorch_computes(name: str) -> None:
    make, shape = NETWORKS[name]
    module = settled(make, shape)
    torch.manual_seed(2)
    sample = torch.randn(1, *shape)
    optimizer = optimizer_of(module, sample)
    before = copy.deepcopy(module.state_dict())
    trace = explain(module, sample, label=1, optimizer=optimizer)
    assert all(torch.equal(before[key], value) for key, value in module.state_dict().items()), (
        "explaining changes nothing"
    )
    assert all(parameter.grad is None for parameter in module.parameters())
    assert [node.name for node in trace.nodes if not node.written] == []

    outputs, gradients = plain(module, sample, label=1)
    # hooks see a module's output before a later one changed it in place
    outputs = {key: value for key, value in outputs.items() if key in trace.values}
    generator = np.random.default_rng(3)
    layers = [node.name for node in trace.nodes]
    compared = 0
    for _ in range(COUNT):
        layer = layers[generator.integers(len(layers))]
        unit, index = somewhere(trace, layer, generator)
        value = trace.unit(unit)
        if layer in trace.gradients:
            assert trace.gradient(unit).complete
        if layer in outputs and np.array_equal(outputs[layer].numpy(), trace.values[layer]):
            compared += 1
            assert near(value, float(outputs[layer][index])), unit
            assert layer not in gradients or near(trace.gradient(unit), float(gradients[layer][index])), unit
    assert compared > COUNT // 5, "modules, not only functions, must have been there for comparison"

    optimizer.step()
    after = dict(module.named_parameters())
    for _ in range(COUNT):
        parameter = trace.parameters[generator.integers(len(trace.parameters))]
        weight, index = somewhere(trace, parameter, generator)
        assert near(trace.gradient(weight), float(gradients[parameter][index])), weight
        assert near(trace.update(weight), float(after[parameter].detach()[index])), weight


@pytest.mark.parametrize("training", [False, True])
def test_a_batch_norm_in_training_is_followed_through_its_own_statistics(training: bool) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3))
    module.train(training)
    buffers = {name: buffer.clone() for name, buffer in module.named_buffers()}
    trace = explain(module, torch.randn(3, 8, 8), label=2)
    assert trace.node("1").kind == ("batch norm, in training" if training else "batch norm")
    assert all(torch.equal(buffers[name], buffer) for name, buffer in module.named_buffers())
    for unit in ("1[2, 3, 4]", "0[1, 5, 5]", "0.weight[3, 2, 1, 0]", "0.bias[0]", "1.weight[2]", "1.bias[1]"):
        trace.unit(unit)
        working = trace.gradient(unit)
        assert bool(working.between) == (training and unit.startswith(("0[", "1.weight"))), unit
