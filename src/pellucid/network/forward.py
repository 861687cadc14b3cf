"""The forward pass in NumPy, one function per kind of layer: for a few pictures, without importing torch.

For predictions only: batch norm uses its running statistics, dropout does nothing. It computes one picture at a time,
float32 (channels, height, width) in plain order; its numbers equal those of the torch modules up to the order of the
sums. A convolution copies its windows into columns, some rows of the output at a time to stay in the cache, and
multiplies (im2col: Chellapilla, Puri, Simard 2006, "High performance convolutional neural networks for document
processing", section 3.1).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from math import prod
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from pellucid.network.activations import (
    Dropout,
    Elu,
    Gelu,
    Hardsigmoid,
    Hardswish,
    LeakyRelu,
    Relu,
    Relu6,
    Sigmoid,
    Silu,
    Tanh,
)
from pellucid.network.channels import LayerNorm, Scale
from pellucid.network.gate import Gate
from pellucid.network.layer import Layer
from pellucid.network.learning import BatchNorm, Conv, Dense
from pellucid.network.pooling import AvgPool, Flatten, GlobalAvgPool, L2Pool, MaxPool, Pool
from pellucid.network.residual import PlacedLayer, Residual
from pellucid.network.window import Pair

Map = NDArray[np.float32]
Weights = Mapping[str, Map]
"""By the state dict's names, "residual1.body.conv1.weight"."""

COLUMNS = 1 << 18  # numbers in the columns of a convolution: 1 MB, which fits a core's cache
ONE = np.float32(1)


def forward(steps: Sequence[PlacedLayer], weights: Weights, image: Map) -> Map:
    """The logits, float32 (classes,), of one standardised picture, float32 (channels, height, width).

    `steps`: Network.shapes of a network and the picture's size. `weights`: of every layer, in the shapes of
    `Layer.state`.
    """
    with np.errstate(all="ignore"):  # torch does not warn about non-finite numbers either
        return _row(steps, weights, "", image)


def _row(steps: Sequence[PlacedLayer], weights: Weights, path: str, x: Map) -> Map:
    for step in steps:
        name = path + step.name
        if isinstance(step.layer, Residual):
            body, shortcut = step.layer.branches(step.input)
            x = _row(body, weights, f"{name}.body.", x) + _row(shortcut, weights, f"{name}.shortcut.", x)
        elif isinstance(step.layer, Gate):
            (body,) = step.layer.branches(step.input)
            x = x * _across(_row(body, weights, f"{name}.body.", x), x)
        else:
            x = _FORWARD[type(step.layer)](step.layer, x, weights, name)
    return x


def _conv(layer: Conv, x: Map, weights: Weights, name: str) -> Map:
    (filters, groups), (channels, *_) = (layer.filters, layer.groups), x.shape
    (rows, columns), zeros = layer.window().output(*x.shape[1:]), layer.window().zeros(*x.shape[1:])
    kernels = weights[f"{name}.weight"].reshape(groups, filters // groups, -1)
    if layer.size == layer.stride == (1, 1) and not any(map(any, zeros)):
        y = (kernels @ x.reshape(groups, channels // groups, -1)).reshape(filters, rows, columns)
    else:
        # (channels, rows, columns, F, F) -> (channels, F, F, rows, columns), nothing copied yet
        windows = _windows(_padded(x, zeros, 0.0), layer.size, layer.stride, layer.dilation)
        windows = windows.transpose(0, 3, 4, 1, 2)
        y = np.empty((groups, filters // groups, rows, columns), np.float32)
        height = max(1, min(rows, COLUMNS // (prod(windows.shape[:3]) * columns)))
        for top in range(0, rows, height):
            part = windows[:, :, :, top : top + height]
            product = kernels @ part.reshape(groups, kernels.shape[2], -1)
            y[:, :, top : top + height] = product.reshape(groups, filters // groups, -1, columns)
        y = y.reshape(filters, rows, columns)
    if layer.bias:
        y += weights[f"{name}.bias"][:, None, None]
    return y


def _dense(layer: Dense, x: Map, weights: Weights, name: str) -> Map:
    y = weights[f"{name}.weight"] @ x
    return y + weights[f"{name}.bias"] if layer.bias else y


def _batchnorm(layer: BatchNorm, x: Map, weights: Weights, name: str) -> Map:
    mean, variance, scale, shift = (
        weights[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
    )
    factor = scale / np.sqrt(variance + np.float32(layer.eps))
    y = np.multiply(x, _across(factor, x))
    y += _across(shift - mean * factor, x)
    return y


def _layernorm(layer: LayerNorm, x: Map, weights: Weights, name: str) -> Map:
    y = x - x.mean(axis=0)
    y /= np.sqrt(np.square(y).mean(axis=0) + np.float32(layer.eps))
    y *= _across(weights[f"{name}.weight"], x)
    y += _across(weights[f"{name}.bias"], x)
    return y


def _across(numbers: NDArray[Any], x: Map) -> NDArray[Any]:
    """One number per channel, reshaped to broadcast over all its places."""
    return numbers.reshape((-1,) + (1,) * (x.ndim - 1))


def _maxpool(layer: MaxPool, x: Map, weights: Weights, name: str) -> Map:
    return _reduced(np.maximum, layer, _padded(x, layer.window().zeros(*x.shape[1:]), -np.inf))


def _avgpool(layer: AvgPool, x: Map, weights: Weights, name: str) -> Map:
    zeros = layer.window().zeros(*x.shape[1:])
    count: Any = np.float32(prod(layer.size))
    if layer.same:  # padding does not count
        count = _reduced(np.add, layer, _padded(np.ones_like(x[:1]), zeros, 0.0))
    return _reduced(np.add, layer, _padded(x, zeros, 0.0)) / count


def _l2pool(layer: L2Pool, x: Map, weights: Weights, name: str) -> Map:
    return np.sqrt(_reduced(np.add, layer, x * x))


def _sigmoid(x: Map) -> Map:
    y = np.exp(-x)
    y += ONE
    return np.divide(ONE, y, out=y)


def _gelu(x: Map) -> Map:
    """x * (1 + erf(x / sqrt 2)) / 2, erf by Abramowitz & Stegun 1964, 7.1.26, which is within 1.5e-7."""
    z = np.abs(x) * np.float32(np.sqrt(0.5))
    t = ONE / (ONE + np.float32(0.3275911) * z)
    series = reduce(lambda total, each: (total + np.float32(each)) * t, _ERF, np.zeros_like(t))
    tail = series * np.exp(-z * z) / np.float32(2)  # the normal distribution's tail beyond |x|
    return x * np.where(x > 0, ONE - tail, tail)


_ERF = (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)


def _reduced(operation: Callable[..., Any], layer: Pool, x: Map) -> Map:
    """Reduce the windows by maximum or sum, one place of the window after the other."""
    windows = _windows(x, layer.size, layer.step)
    y = windows[..., 0, 0].copy()
    for row, column in list(np.ndindex(*layer.size))[1:]:
        operation(y, windows[..., row, column], out=y)
    return y


def _windows(x: Map, size: Pair, stride: Pair, dilation: Pair = (1, 1)) -> Map:
    """A view (channels, rows, columns, F, F) of the window at each of its places."""
    reach = tuple(dilation[axis] * (size[axis] - 1) + 1 for axis in (0, 1))
    every = sliding_window_view(x, reach, axis=(1, 2))
    return every[:, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]


def _padded(x: Map, zeros: tuple[Pair, Pair], value: float) -> Map:
    """`value` before and after the rows and the columns, as often as Window.zeros says."""
    if not any(map(any, zeros)):
        return x
    channels, height, width = x.shape
    (top, bottom), (left, right) = zeros
    wider = np.full((channels, top + height + bottom, left + width + right), value, np.float32)
    wider[:, top : top + height, left : left + width] = x
    return wider


_FORWARD: dict[type[Layer], Callable[[Any, Map, Weights, str], Any]] = {
    Conv: _conv,
    Dense: _dense,
    BatchNorm: _batchnorm,
    LayerNorm: _layernorm,
    Scale: lambda layer, x, weights, name: x * _across(weights[f"{name}.weight"], x),
    MaxPool: _maxpool,
    AvgPool: _avgpool,
    L2Pool: _l2pool,
    GlobalAvgPool: lambda layer, x, weights, name: x.mean(axis=(1, 2)),
    Flatten: lambda layer, x, weights, name: x.reshape(-1),
    Dropout: lambda layer, x, weights, name: x,
    Relu: lambda layer, x, weights, name: np.maximum(x, 0),
    Relu6: lambda layer, x, weights, name: np.clip(x, 0, 6),
    LeakyRelu: lambda layer, x, weights, name: np.where(x > 0, x, x * np.float32(layer.slope)),
    Elu: lambda layer, x, weights, name: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    Gelu: lambda layer, x, weights, name: _gelu(x),
    Silu: lambda layer, x, weights, name: x * _sigmoid(x),
    Hardswish: lambda layer, x, weights, name: x * np.clip(x + np.float32(3), 0, 6) / np.float32(6),
    Hardsigmoid: lambda layer, x, weights, name: np.clip(x + np.float32(3), 0, 6) / np.float32(6),
    Sigmoid: lambda layer, x, weights, name: _sigmoid(x),
    Tanh: lambda layer, x, weights, name: np.tanh(x),
}
