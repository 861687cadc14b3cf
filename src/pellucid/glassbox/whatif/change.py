"""What if a weight, a stride, a padding or a kind of pooling were different? Describe changes and make the network.

Layers keep their names, even if a pooling becomes another kind: a name is a place in the network. The original network
and module never change.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from pellucid.errors import NetworkError, TraceError
from pellucid.glassbox.trace import frozen_copy
from pellucid.network.layer import FLOAT, Layer, Names
from pellucid.network.layers import AvgPool, Branched, Conv, L2Pool, MaxPool
from pellucid.network.network import Network
from pellucid.network.pooling import PaddedPool, Pool
from pellucid.network.residual import chain, itemised
from pellucid.network.window import Pair, Shape, pair

if TYPE_CHECKING:
    from torch import Tensor, nn

Kind = Literal["max", "average", "l2"]
POOLS: Mapping[str, type[Pool]] = {"max": MaxPool, "average": AvgPool, "l2": L2Pool}
LARGEST = 1 << 30
"""Most bytes of all layers' outputs for one picture. A run stores all of them, and as many gradients."""


@dataclass(frozen=True)
class Weight:
    """One stored number is `value`: Weight("conv1.weight", (3, 0, 2, 2), 0.5). Running means count as weights too."""

    name: str
    index: tuple[int, ...]
    value: float


@dataclass(frozen=True)
class Stride:
    """The window of a convolution or pooling moves by this many rows and columns."""

    layer: str
    stride: Pair


@dataclass(frozen=True)
class Padding:
    """The number of zeros above and below, left and right."""

    layer: str
    padding: Pair


@dataclass(frozen=True)
class Pooling:
    """The pooling takes the largest number of each window, the mean, or the root of the sum of squares."""

    layer: str
    kind: Kind


Setting = Stride | Padding | Pooling
Change = Weight | Stride | Padding | Pooling


class Unfitting(NetworkError):
    """The sizes do not fit the existing weights; `reason` does not name the changed layer."""

    def __init__(self, changes: Sequence[Setting], reason: str) -> None:
        super().__init__(f"With {written(changes)}, {reason}.")
        self.reason = reason


class Adjustable(NamedTuple):
    """A layer with a window, and its settings that can be changed."""

    layer: str
    kind: str
    """"max", "average" or "l2"; "" for a convolution."""
    size: Pair
    stride: Pair
    padding: Pair
    most_stride: Pair
    most_padding: Pair


class Changed(NamedTuple):
    """A network with its changes."""

    network: Network | None
    module: nn.Module
    called: Mapping[str, str]
    """A layer's name in the changed network's text -> its name here, if the two differ."""


def target(change: Change) -> tuple[Any, ...]:
    """What is changed; of two changes to the same target, the later one counts."""
    if isinstance(change, Weight):
        return Weight, change.name, change.index
    return type(change), change.layer


def latest(changes: Sequence[Change]) -> tuple[Change, ...]:
    """The last change of each target, in the order of the first changes."""
    return tuple({target(change): change for change in changes}.values())


def changed(
    network: Network | None, module: nn.Module, shape: Shape, classes: int, changes: Sequence[Change]
) -> Changed:
    """The network and a new module, with the changes. `shape`: (C, H, W). Without a network only weights change.

    Raises TraceError for a layer, weight or value that does not exist, Unfitting if weights do not fit the new sizes,
    or NetworkError if a layer cannot be changed in this way.
    """
    last = latest(changes)
    settings = [change for change in last if not isinstance(change, Weight)]
    if network is None:
        for setting in settings:
            raise _without_text(setting)
        return Changed(None, _with_weights(deepcopy(module), last), {})
    sized, inputs = resized(network, shape, classes, settings)
    kinds = {change.layer: change for change in settings if isinstance(change, Pooling)}
    final = _rewritten(sized, lambda place, layer: _pooled(layer, kinds[place]) if place in kinds else layer)
    copy = _with_weights(_module(module, final, inputs, {change.layer for change in settings}), last)
    pairs = zip(places(final, classes), places(network, classes), strict=True)
    return Changed(final, copy, {there: here for (there, _), (here, _) in pairs if there != here})


def resized(
    network: Network, shape: Shape, classes: int, settings: Sequence[Setting]
) -> tuple[Network, dict[str, Shape]]:
    """The network with other strides and padding, but its old kinds of pooling; and each layer's input.

    Raises as `changed`.
    """
    known = dict(places(network, classes))
    wanted: dict[str, list[Setting]] = {}
    for change in settings:
        if change.layer not in known:
            raise frozen_copy.unknown(change.layer, list(known), "layer")
        wanted.setdefault(change.layer, []).append(change)
    for place, several in wanted.items():
        _check(place, known[place], several)
    sized = _rewritten(network, lambda place, layer: _sized(place, layer, wanted.get(place, [])))
    try:
        ends = chain(sized.filled(classes), shape)[-1].output
    except NetworkError as error:
        # after the semicolon the message says how to write another network
        raise Unfitting(settings, f"the sizes do not fit: {str(error).partition(';')[0].rstrip('.')}") from None
    if ends != (classes,):
        raise Unfitting(settings, f"the network would end with {list(ends)} for {classes} classes")
    before, _ = itemised(network.filled(classes), shape)
    after, _ = itemised(sized.filled(classes), shape)
    for old, new in zip(before, after, strict=True):
        layer = old.step.layer
        if not isinstance(layer, Branched) and layer.parameters(old.step.input) != layer.parameters(new.step.input):
            has, gets = old.step.input[0], new.step.input[0]
            raise Unfitting(settings, f"{old.path} would get {gets:,} numbers, but has weights for {has:,}")
    size = sum(item.cost.forward_bytes for item in after)
    if size > max(LARGEST, 2 * sum(item.cost.forward_bytes for item in before)):
        raise NetworkError(
            f"With {written(settings)} the layers' outputs would be {size / FLOAT:,.0f} numbers, too many to keep for "
            "one picture. Change one layer at a time."
        )
    return sized, {item.path: item.step.input for item in after}


def stored(network: Network | None, module: nn.Module, classes: int, change: Change) -> float | Pair | str:
    """The original value that a change would replace. Raises TraceError as `changed`."""
    if isinstance(change, Weight):
        return float(_numbers(module, change)[change.index].item())
    if network is None:
        raise _without_text(change)
    known = dict(places(network, classes))
    layer = known.get(change.layer)
    if layer is None:
        raise frozen_copy.unknown(change.layer, list(known), "layer")
    _check(change.layer, layer, [change])
    if isinstance(change, Pooling):
        return next(kind for kind, pool in POOLS.items() if isinstance(layer, pool))
    window = layer.window()
    assert window is not None
    return window.stride if isinstance(change, Stride) else window.padding


def adjustable(network: Network | None, classes: int) -> tuple[Adjustable, ...]:
    """The layers whose stride, padding or kind of pooling can be changed, in their order of execution.

    Empty for a module that our text cannot write.
    """
    layers = []
    for place, layer in places(network, classes) if network is not None else ():
        window = layer.window()
        if window is not None:
            most = most_padding(layer)
            kind = next((kind for kind, pool in POOLS.items() if isinstance(layer, pool)), "")
            layers.append(Adjustable(place, kind, window.size, window.stride, window.padding, most_stride(layer), most))
    return tuple(layers)


def places(network: Network, classes: int) -> Iterator[tuple[str, Layer]]:
    """Each layer by its name, `residual2.body.conv1`, in their order of execution."""
    return _places(network.filled(classes), "")


def written(changes: Sequence[Change]) -> str:
    """`stride 2 in conv1 and average pooling in maxpool1`."""
    parts = list(map(_written, changes))
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]])) or "no change"


def most_stride(layer: Layer) -> Pair:
    """Twice the window's reach: beyond it the network would see almost nothing of the picture."""
    window = layer.window()
    return (2 * window.reach[0], 2 * window.reach[1]) if window is not None else (1, 1)


def most_padding(layer: Layer) -> Pair:
    """The most zeros on a side with which each window still sees a number of the picture."""
    window = layer.window()
    if window is None or not window.can_pad:
        return 0, 0
    if isinstance(layer, Pool):
        return window.size[0] // 2, window.size[1] // 2
    return window.reach[0] - 1, window.reach[1] - 1


def _written(change: Change) -> str:
    match change:
        case Weight():
            return f"{change.name}[{', '.join(map(str, change.index))}] = {change.value:g}"
        case Stride():
            return f"stride {pair(change.stride)} in {change.layer}"
        case Padding():
            return f"padding {pair(change.padding)} in {change.layer}"
        case Pooling():
            return f"{change.kind} pooling in {change.layer}"


def _places(layers: Sequence[Layer], path: str) -> Iterator[tuple[str, Layer]]:
    names = Names()
    for layer in layers:
        name = path + names.next(layer.word)
        if isinstance(layer, Branched):
            for each in layer.rows:
                yield from _places(getattr(layer, each), f"{name}.{each}.")
        yield name, layer


def _rewritten(network: Network, change: Any) -> Network:
    """The network with `change(place, layer)` for every layer, including those of rows within layers."""

    def row(layers: Sequence[Layer], path: str) -> tuple[Layer, ...]:
        names = Names()
        steps = []
        for layer in layers:
            name = path + names.next(layer.word)
            if isinstance(layer, Branched):
                steps.append(
                    replace(layer, **{each: row(getattr(layer, each), f"{name}.{each}.") for each in layer.rows})
                )
            else:
                steps.append(change(name, layer))
        return tuple(steps)

    return Network(row(network.layers, ""))


def _check(place: str, layer: Layer, changes: Sequence[Setting]) -> None:
    """Raises TraceError if a layer has no such setting, or a value is out of its range."""
    for change in changes:
        if isinstance(change, Pooling):
            if not isinstance(layer, tuple(POOLS.values())):
                raise TraceError(f"{place} `{layer}` is not a pooling over a window, so its kind cannot change.")
            if change.kind not in get_args(Kind):
                raise TraceError(f"{place} cannot pool by {change.kind!r}; the kinds are {', '.join(get_args(Kind))}.")
        elif not isinstance(layer, Conv | Pool):
            raise TraceError(f"{place} `{layer}` has no window, so it has neither stride nor padding.")
        elif isinstance(change, Stride):
            _check_pair(place, "stride", change.stride, 1, most_stride(layer))
        else:
            _check_pair(place, "padding", change.padding, 0, most_padding(layer))
    l2 = isinstance(layer, L2Pool) or any(isinstance(each, Pooling) and each.kind == "l2" for each in changes)
    padding = next((each.padding for each in changes if isinstance(each, Padding)), None)
    window = layer.window()
    zeros = padding if padding is not None else window.padding if window is not None else (0, 0)
    if l2 and padding is None and window is not None and window.same:
        raise TraceError(f"L2 pooling has no padding, and {place} has padding=same; set its padding to 0 too.")
    if l2 and not isinstance(layer, L2Pool) and any(zeros):
        raise TraceError(f"L2 pooling has no padding, and {place} has {pair(zeros)}; set its padding to 0 too.")


def _check_pair(place: str, what: str, value: Any, least: int, most: Pair) -> None:
    whole = isinstance(value, tuple) and all(isinstance(each, int) and not isinstance(each, bool) for each in value)
    if not whole or len(value) != len(most):
        raise TraceError(f"{what} of {place} is {value!r}; it must be two whole numbers, for rows and columns.")
    if not all(least <= number <= limit for number, limit in zip(value, most, strict=True)):
        raise TraceError(f"{what} of {place} cannot be {pair(value)}; it can be from {least} to {pair(most)}.")


def _sized(place: str, layer: Layer, changes: Sequence[Setting]) -> Layer:
    """The layer with its new stride and padding."""
    stride = next((each.stride for each in changes if isinstance(each, Stride)), None)
    padding = next((each.padding for each in changes if isinstance(each, Padding)), None)
    if stride is None and padding is None:
        return layer
    try:
        if isinstance(layer, Conv):
            same = layer.padding if layer.lopsided else layer.zeros  # numbers do not change with another stride
            return replace(layer, stride=stride or layer.stride, padding=padding if padding is not None else same)
        assert isinstance(layer, Pool)
        moved = replace(layer, stride=stride or layer.stride)
        if padding is None or (not any(padding) and not isinstance(layer, PaddedPool)):
            return moved
        assert isinstance(moved, PaddedPool)
        return replace(moved, padding=padding)
    except NetworkError as error:
        raise NetworkError(f"{place}: {error}") from None


def _pooled(layer: Layer, change: Pooling) -> Layer:
    """The pooling as another kind, with the same window."""
    assert isinstance(layer, Pool)
    if isinstance(layer, POOLS[change.kind]):
        return layer
    if change.kind == "l2":
        return L2Pool(layer.size, stride=layer.stride)
    padding = layer.padding if isinstance(layer, PaddedPool) else (0, 0)
    return (MaxPool if change.kind == "max" else AvgPool)(layer.size, stride=layer.stride, padding=padding)


def _module(module: nn.Module, network: Network, inputs: Mapping[str, Shape], places_: set[str]) -> nn.Module:
    """A copy of the module with new layers at these places, with the old weights."""
    import torch

    copy = deepcopy(module)
    layers = dict(zip(inputs, (layer for _, layer in _places(network.layers, "")), strict=True))
    for place in places_:
        path, _, name = place.rpartition(".")
        parent = copy.get_submodule(path)
        old = parent.get_submodule(name)
        with torch.device("meta"):  # allocates no memory, and draws no number from torch's generator
            new = layers[place].module(inputs[place])
        new.load_state_dict(old.state_dict(), assign=True)
        setattr(parent, name, new.train(old.training))
    return copy


def _numbers(module: nn.Module, change: Weight) -> Tensor:
    """The array of a weight. Raises TraceError if it does not exist, or if the index or the value is impossible."""
    arrays = {name: tensor for name, tensor in module.state_dict().items() if tensor.is_floating_point()}
    if change.name not in arrays:
        raise frozen_copy.unknown(change.name, list(arrays), "weight")
    array = arrays[change.name]
    shape = tuple(array.shape)
    inside = len(change.index) == len(shape) and all(
        isinstance(at, int) and not isinstance(at, bool) and 0 <= at < size
        for at, size in zip(change.index, shape, strict=True)
    )
    if not inside:
        last = ", ".join(str(size - 1) for size in shape)
        raise TraceError(f"{change.name}{list(change.index)} does not exist; the indices go from 0 to [{last}].")
    return array


def _without_text(change: Setting) -> TraceError:
    return TraceError(
        f"{change.layer} cannot be changed in this way: this network is a PyTorch module and has no text. "
        "You can change its weights."
    )


def _with_weights(module: nn.Module, changes: Sequence[Change]) -> nn.Module:
    """Apply the weights among the changes to the module itself."""
    for change in changes:
        if isinstance(change, Weight):
            _set(module, change)
    return module


def _set(module: nn.Module, change: Weight) -> None:
    import torch

    array = _numbers(module, change)
    value = torch.tensor(change.value, dtype=array.dtype)
    if not math.isfinite(value):
        kind = str(array.dtype).removeprefix("torch.")
        raise TraceError(f"{change.name}{list(change.index)} cannot be {change.value}; it must be a finite {kind}.")
    with torch.no_grad():
        array[change.index] = value
