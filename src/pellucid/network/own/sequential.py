"""An nn.Sequential, nested or not, as our own text: then it needs no program and no trust."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pellucid.errors import NetworkError
from pellucid.network import layers as ours
from pellucid.network.layer import Layer, Names
from pellucid.network.network import Network

if TYPE_CHECKING:
    from torch import Tensor, nn


class Written(NamedTuple):
    """A module as a network of ours."""

    network: Network
    state: dict[str, Tensor]
    """The module's tensors, by their names in the network's own module."""


class _Unwritten(Exception):
    """Our text cannot express some part of the module."""


def write(module: nn.Module, classes: int) -> Written | None:
    """A module as our text; None if the text cannot express all of it.

    A part that looks like a layer of ours may still compute something else: callers must compare the two.
    """
    shared = len(list(module.modules())) < len(list(module.named_modules(remove_duplicate=False)))
    frozen = any(not parameter.requires_grad for parameter in module.parameters())
    if shared or frozen or any(map(_is_watched, module.modules())):
        return None
    try:
        layers, state = _row(module, "")
    except (_Unwritten, NetworkError):
        return None
    if layers and isinstance(layers[-1], ours.Dense) and layers[-1].units == classes:
        layers[-1] = ours.Dense(bias=layers[-1].bias)  # takes one unit per class
    return Written(Network(tuple(layers)), state) if layers else None


def _row(module: nn.Module, path: str) -> tuple[list[Layer], dict[str, Tensor]]:
    """The layers of a part, and their tensors by names that begin with `path`."""
    from torch import nn

    from pellucid.network.branches import Branches

    rest = _flat(module)
    layers: list[Layer] = []
    state: dict[str, Tensor] = {}
    names = Names()
    while rest:
        part, *rest = rest
        if type(part) is nn.Identity:
            continue
        if type(part) is nn.AdaptiveAvgPool2d and rest and type(rest[0]) is nn.Flatten:
            layer, rest = _global_pool(part, rest[0]), rest[1:]
        elif type(part) is Branches:
            name = f"{path}{names.next(ours.Residual.word)}."
            body, tensors = _row(part.body, f"{name}body.")
            shortcut, more = _row(part.shortcut, f"{name}shortcut.")
            layer, state = ours.Residual(tuple(body), tuple(shortcut)), state | tensors | more
        else:
            layer = _layer(part)
        if type(part) is not Branches:
            name = f"{path}{names.next(layer.word)}."
            state |= {f"{name}{key}": tensor for key, tensor in part.state_dict().items()}
        layers.append(layer)
    return layers, state


def _flat(module: nn.Module) -> list[nn.Module]:
    """The layers in a row; nested Sequentials are flattened."""
    from torch import nn

    if type(module) is not nn.Sequential:
        return [module]
    return [leaf for part in module for leaf in _flat(part)]


def _layer(part: nn.Module) -> Layer:
    """A layer of PyTorch's as one of ours. Its subclasses may do anything, so they do not count. Raises _Unwritten."""
    from torch import nn

    settings: Any = part
    kind = type(part)
    if kind in (nn.Conv2d, nn.Linear, nn.BatchNorm1d, nn.BatchNorm2d):
        return _learning(part)
    if kind in (nn.MaxPool2d, nn.AvgPool2d, nn.LPPool2d):
        return _pool(part)
    if kind is nn.Flatten and settings.start_dim == 1 and settings.end_dim == -1:
        return ours.Flatten()
    if kind is nn.Dropout:
        return ours.Dropout(settings.p)
    if kind is nn.LeakyReLU:
        return ours.LeakyRelu(settings.negative_slope)
    if (kind is nn.ELU and settings.alpha != 1) or (kind is nn.GELU and settings.approximate != "none"):
        raise _Unwritten
    plain: dict[type, type[Layer]] = {
        nn.ReLU: ours.Relu,
        nn.ReLU6: ours.Relu6,
        nn.ELU: ours.Elu,
        nn.GELU: ours.Gelu,
        nn.SiLU: ours.Silu,
        nn.Hardswish: ours.Hardswish,
        nn.Sigmoid: ours.Sigmoid,
        nn.Hardsigmoid: ours.Hardsigmoid,
        nn.Tanh: ours.Tanh,
    }
    if kind not in plain:
        raise _Unwritten
    return plain[kind]()


def _learning(part: nn.Module) -> Layer:
    from torch import nn

    if isinstance(part, nn.Conv2d):
        if part.padding_mode != "zeros":
            raise _Unwritten
        padding: Any = part.padding
        size, stride, dilation = _pair(part.kernel_size), _pair(part.stride), _pair(part.dilation)
        return ours.Conv(
            part.out_channels,
            size,
            stride=stride,
            padding=padding if padding in ("same", "valid") else _pair(padding),
            dilation=dilation,
            groups=part.groups,
            bias=part.bias is not None,
        )
    if isinstance(part, nn.Linear):
        return ours.Dense(part.out_features, bias=part.bias is not None)
    assert isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d)
    if not (part.momentum == nn.BatchNorm2d(1).momentum and part.affine and part.track_running_stats):
        raise _Unwritten
    return ours.BatchNorm(eps=part.eps)


def _pool(part: nn.Module) -> Layer:
    from torch import nn

    pool: Any = part
    size = _pair(pool.kernel_size)
    stride = _pair(pool.stride) if pool.stride is not None else None
    if pool.ceil_mode:
        raise _Unwritten
    if isinstance(part, nn.LPPool2d):
        if pool.norm_type != 2:
            raise _Unwritten
        return ours.L2Pool(size, stride=stride)
    padding = _pair(pool.padding)
    if isinstance(part, nn.MaxPool2d):
        if _pair(pool.dilation) != (1, 1) or pool.return_indices:
            raise _Unwritten
        return ours.MaxPool(size, stride=stride, padding=padding)
    if pool.divisor_override is not None or (any(padding) and not pool.count_include_pad):
        raise _Unwritten
    return ours.AvgPool(size, stride=stride, padding=padding)


def _global_pool(pool: nn.AdaptiveAvgPool2d, flatten: nn.Flatten) -> Layer:
    size: Any = pool.output_size
    if size not in (1, (1, 1)) or flatten.start_dim != 1 or flatten.end_dim not in (-1, 3):
        raise _Unwritten
    return ours.GlobalAvgPool()


def _is_watched(part: nn.Module) -> bool:
    """Whether the user has a hook before or after it, which may change its output."""
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return any(getattr(part, name) for name in hooks)


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))
