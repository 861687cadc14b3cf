"""Each picture's part in a step's gradient: what flows into a weight through that picture's places.

The gradient of a weight is one sum over the pictures of a step and over the places of each (y, x). Split by picture it
gives a part for each, and the parts add up to the gradient. Without batch norm, a picture's part is the gradient of its
own loss divided by the number of pictures. With batch norm the pictures of a step share mean and deviation, and a loss
also flows through the other pictures: the part is then what comes through the picture's places, from all losses
(docs/why/life.md).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from pellucid.errors import TraceError, did_you_mean
from pellucid.network.same import SameConv2d

if TYPE_CHECKING:
    from pellucid.engine.blocks import Block
    from pellucid.life.again import Again


@dataclass
class Seen:
    """A layer's run in a step, for some of its pictures: `inputs` (n, ...), and the gradient of its output.

    `block`: of which the layer is the convolution, if they run as one; `gradient` is then of the block's output, and
    `weight` and `bias` are the convolution's before the step.
    """

    layer: nn.Module
    block: Block | None
    inputs: Tensor
    gradient: Tensor | None = None
    weight: Tensor | None = None
    bias: Tensor | None = None


class Watch:
    """The layers that are watched, with their runs in the last step, in the order of its pictures."""

    def __init__(self) -> None:
        self._runs: dict[str, list[Seen]] = {}

    def note(self, name: str, seen: Seen, output: Tensor) -> None:
        """Note a run; its gradient comes with the backward pass."""
        if not output.requires_grad:
            return
        self._runs.setdefault(name, []).append(seen)

        def receive(gradient: Tensor) -> None:
            seen.gradient = gradient

        output.register_hook(receive)

    def take(self) -> dict[str, list[Seen]]:
        """The runs since the last call, by layer."""
        runs, self._runs = self._runs, {}
        return runs


@contextmanager
def watching(again: Again, layers: Collection[str]) -> Iterator[Watch]:
    """Watch these layers, by their names in the module, while steps are made. No number of a step changes."""
    watch, module, before = Watch(), again.state.module, again.task
    names = {module.get_submodule(name): name for name in layers}

    def hook(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        watch.note(names[layer], Seen(layer, None, inputs[0].detach()), output)

    def fused(block: Block, images: Tensor, maps: Tensor) -> None:
        if block.conv in names:
            conv = block.conv
            bias = None if conv.bias is None else conv.bias.detach().clone()
            seen = Seen(conv, block, images.detach(), weight=conv.weight.detach().clone(), bias=bias)
            watch.note(names[conv], seen, maps)

    # a hook would take its layer out of a block that runs as one, which rounds differently
    inside = _inside_blocks(again)
    hooks = [layer.register_forward_hook(hook) for layer in names if layer not in inside]
    again.task = replace(before, engine=replace(before.engine, watch=fused))
    try:
        yield watch
    finally:
        again.task = before
        for each in hooks:
            each.remove()


def split(weight: str, module: nn.Module) -> tuple[str, str]:
    """("conv1", "weight") of "conv1.weight". Raises TraceError if the module has no such parameter."""
    names = [name for name, _ in module.named_parameters()]
    if weight not in names:
        raise TraceError(
            f"There is no parameter {weight!r}.{did_you_mean(weight, names)} The network has {', '.join(names)}."
        )
    layer, _, name = weight.rpartition(".")
    return layer, name


def of_weight(runs: Sequence[Seen], name: str, index: tuple[int, ...]) -> NDArray[np.float64]:
    """Each picture's part in the gradient of one weight of a layer, (n,), in the order of the step's pictures.

    `name`: of the parameter in its layer, "weight" or "bias".
    """
    return np.concatenate([_of_weight(seen, name, index) for seen in runs])


def of_layer(runs: Sequence[Seen], name: str) -> NDArray[np.float64]:
    """As `of_weight`, for all weights of a parameter at once: (n, *its shape).

    For a convolution without groups, or a dense layer; n * weights numbers must fit into memory.
    """
    return np.concatenate([_of_layer(seen, name) for seen in runs])


def along(runs: Sequence[Seen], direction: Tensor) -> NDArray[np.float64]:
    """For each picture and filter, (n, F): its part in the gradient of the filter's weights, times `direction`, summed.

    `direction`: one number for each weight of the convolution or dense layer, in its shape. Linear in the weights, so
    one more run of the layer with `direction` in place of its weights gives it for all pictures and filters.
    """
    return np.concatenate([_along(seen, direction) for seen in runs])


def _inside_blocks(again: Again) -> set[nn.Module]:
    if not again.task.engine.fused:
        return set()
    from pellucid.engine import blocks

    return {part for block in blocks.describe(again.state.module) for part in (block.conv, block.relu, block.pool)}


def _of_weight(seen: Seen, name: str, index: tuple[int, ...]) -> NDArray[np.float64]:
    layer, inputs, gradient = seen.layer, _inputs(seen), _gradient(seen)
    with torch.no_grad():
        if isinstance(layer, nn.Conv2d):
            channel, places = index[0], gradient[:, index[0]]
            if seen.block is not None:
                places = _before_pool(seen, inputs, gradient, slice(channel, channel + 1))[:, 0]
            read = _window(layer, inputs, index) if name == "weight" else torch.ones(())
            return _summed(places.double() * read.double())
        if isinstance(layer, nn.Linear):
            read = inputs[..., index[1]] if name == "weight" else torch.ones(())
            return _summed(gradient[..., index[0]].double() * read.double())
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            read = _normalised(layer, inputs)[:, index[0]] if name == "weight" else torch.ones(())
            return _summed(gradient[:, index[0]].double() * read.double())
        return _by_tangent(layer, name, index, inputs, gradient)


def _of_layer(seen: Seen, name: str) -> NDArray[np.float64]:
    layer, inputs, gradient = seen.layer, _inputs(seen), _gradient(seen)
    with torch.no_grad():
        if isinstance(layer, nn.Linear):
            each = gradient.double().reshape(len(gradient), -1, gradient.shape[-1])
            if name == "bias":
                return each.sum(1).cpu().numpy()
            reads = inputs.double().reshape(len(inputs), -1, inputs.shape[-1])
            return torch.einsum("nlo,nli->noi", each, reads).cpu().numpy()
        assert isinstance(layer, nn.Conv2d)
        assert layer.groups == 1
        places = gradient if seen.block is None else _before_pool(seen, inputs, gradient, slice(None))
        flat = places.double().flatten(2)
        if name == "bias":
            return flat.sum(2).cpu().numpy()
        padding = layer.padding
        if isinstance(layer, SameConv2d):
            inputs, padding = layer.zeros(inputs), (0, 0)
        assert not isinstance(padding, str)
        windows = F.unfold(inputs.double(), layer.kernel_size, layer.dilation, padding, layer.stride)
        result = torch.einsum("nfl,nkl->nfk", flat, windows)
        return result.reshape(len(result), *layer.weight.shape).cpu().numpy()


def _normalised(layer: nn.modules.batchnorm._BatchNorm, inputs: Tensor) -> Tensor:
    """Batch norm's numbers before its weight and bias, by the step's own pictures or by its sums, as it was run."""
    sums = (None, None) if layer.training else (layer.running_mean, layer.running_var)
    return F.batch_norm(inputs, *sums, training=layer.training, eps=layer.eps)


def _window(layer: nn.Conv2d, inputs: Tensor, index: tuple[int, ...]) -> Tensor:
    """The numbers that one weight of a convolution meets, (n, H, W) of its output."""
    filter_, channel, row, column = index
    group = filter_ // (layer.out_channels // layer.groups)
    channel += group * (layer.in_channels // layer.groups)
    one = torch.zeros(1, 1, *layer.kernel_size, device=inputs.device)
    one[0, 0, row, column] = 1
    return _convolved(layer, inputs[:, channel : channel + 1], one, 1)[:, 0]


def _convolved(layer: nn.Conv2d, inputs: Tensor, weight: Tensor, groups: int, bias: Tensor | None = None) -> Tensor:
    """The layer's convolution with other weights; `inputs` may be some of its channels."""
    padding = layer.padding
    if isinstance(layer, SameConv2d):
        inputs, padding = layer.zeros(inputs), 0
    return F.conv2d(inputs, weight, bias, layer.stride, padding, layer.dilation, groups)


def _before_pool(seen: Seen, inputs: Tensor, gradient: Tensor, channels: slice) -> Tensor:
    """The gradient of the convolution's own output, (n, channels, H, W), in a block: it flows through the winners."""
    block, bias = seen.block, seen.bias
    assert block is not None
    assert seen.weight is not None
    conv = block.conv
    rounded = torch.bfloat16 if gradient.dtype == torch.bfloat16 else torch.float32
    weight = seen.weight[channels].to(rounded).float()
    bias = None if bias is None else bias[channels].to(rounded).float()
    maps = _convolved(conv, inputs, weight, conv.groups, bias).requires_grad_()
    with torch.enable_grad():
        pooled = block.pool(block.relu(maps))
    (places,) = torch.autograd.grad(pooled, maps, gradient[:, channels].float())
    return places


def _by_tangent(
    layer: nn.Module, name: str, index: tuple[int, ...], inputs: Tensor, gradient: Tensor
) -> NDArray[np.float64]:
    """For a layer of any kind: how its output changes with the weight, times the gradient of its output."""
    weight = layer.get_parameter(name).detach()
    tangent = torch.zeros_like(weight)
    tangent[index] = 1

    def run(changed: Tensor) -> Tensor:
        result: Tensor = torch.func.functional_call(layer, {name: changed}, (inputs,))
        return result

    change = torch.func.jvp(run, (weight,), (tangent,))[1]
    return _summed(change.double() * gradient.double())


def _along(seen: Seen, direction: Tensor) -> NDArray[np.float64]:
    layer, inputs, gradient = seen.layer, _inputs(seen), _gradient(seen)
    with torch.no_grad():
        if isinstance(layer, nn.Linear):
            each = F.linear(inputs, direction) * gradient.float()
            return each.reshape(len(each), -1, each.shape[-1]).sum(1).double().cpu().numpy()
        assert isinstance(layer, nn.Conv2d)
        places = gradient
        if seen.block is not None:
            places = _before_pool(seen, inputs, gradient, slice(None))
        change = _convolved(layer, inputs, direction, layer.groups)
        return torch.einsum("nchw,nchw->nc", change, places.float()).double().cpu().numpy()


def _inputs(seen: Seen) -> Tensor:
    """As the layer read them, as float32: one that computes in bfloat16 rounds its input first."""
    rounded = _gradient(seen).dtype == torch.bfloat16
    return (seen.inputs.bfloat16() if rounded else seen.inputs).float()


def _gradient(seen: Seen) -> Tensor:
    assert seen.gradient is not None, "the backward pass is over"
    return seen.gradient.detach()


def _summed(terms: Tensor) -> NDArray[np.float64]:
    """(n, ...) -> (n,)."""
    return terms.flatten(1).sum(1).cpu().numpy() if terms.ndim > 1 else terms.cpu().numpy()
