"""Convolutions, pooling and zero padding of Keras as layers of ours.

Keras stores a filter as (height, width, inputs, outputs), PyTorch as (outputs, inputs, height, width). Keras' padding
"same" is our padding=same. Zeros of a ZeroPadding2D go into the next layer.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import NetworkError
from pellucid.keras.flow import ConvertedLayer, Flow, Weights, Zeros
from pellucid.keras.graph import Node
from pellucid.keras.settings import arrays, check_channels_last, flag, pair, whole
from pellucid.network.layers import AvgPool, Conv, Flatten, GlobalAvgPool, MaxPool
from pellucid.network.window import Pair, same_zeros

NONE: Zeros = (0, 0, 0, 0)


def conv(node: Node, flow: Flow) -> list[ConvertedLayer]:
    filters, size, groups = whole(node, "filters"), pair(node, "kernel_size"), whole(node, "groups", 1)
    channels = _channels(node, flow)
    if channels % groups or filters % groups:
        raise NetworkError(
            f"{node.called}: {channels} channels and {filters} filters cannot be divided into {groups} groups."
        )
    kernel, *bias = arrays(node, kernel=(*size, channels // groups, filters), **_bias(node, filters))
    return [_conv(node, flow, kernel.transpose(3, 2, 0, 1), bias, groups)]


def depthwise(node: Node, flow: Flow) -> list[ConvertedLayer]:
    size, times, channels = pair(node, "kernel_size"), whole(node, "depth_multiplier", 1), _channels(node, flow)
    kernel, *bias = arrays(node, kernel=(*size, channels, times), **_bias(node, channels * times))
    return [_conv(node, flow, _by_channel(kernel), bias, channels)]


def separable(node: Node, flow: Flow) -> list[ConvertedLayer]:
    """A depthwise convolution without a bias, then a 1x1 convolution."""
    size, times, channels = pair(node, "kernel_size"), whole(node, "depth_multiplier", 1), _channels(node, flow)
    filters = whole(node, "filters")
    deep, wide, *bias = arrays(
        node,
        depthwise_kernel=(*size, channels, times),
        pointwise_kernel=(1, 1, channels * times, filters),
        **_bias(node, filters),
    )
    first = _conv(node, flow, _by_channel(deep), [], channels)
    second = Conv(filters, (1, 1), bias=bool(bias))
    return [first, ConvertedLayer(second, _named(wide.transpose(3, 2, 0, 1), bias))]


def max_pool(node: Node, flow: Flow) -> list[ConvertedLayer]:
    if flow.zeros != NONE and not flow.positive:
        raise NetworkError(f"{node.called} follows a ZeroPadding2D, whose zeros can be the largest of a window.")
    return [ConvertedLayer(MaxPool(**_pool(node, flow)))]


def average_pool(node: Node, flow: Flow) -> list[ConvertedLayer]:
    return [ConvertedLayer(AvgPool(**_pool(node, flow)))]


def global_average(node: Node, flow: Flow) -> list[ConvertedLayer]:
    _, height, width = _spatial(node, flow)
    return [ConvertedLayer(AvgPool((height, width)) if flag(node, "keepdims", False) else GlobalAvgPool())]


def global_max(node: Node, flow: Flow) -> list[ConvertedLayer]:
    """The largest number of each channel: a window as large as the map."""
    _, height, width = _spatial(node, flow)
    whole_map = ConvertedLayer(MaxPool((height, width)))
    return [whole_map] if flag(node, "keepdims", False) else [whole_map, ConvertedLayer(Flatten())]


def zero_padding(node: Node, flow: Flow) -> list[ConvertedLayer]:
    """Its zeros are kept for the next layer."""
    check_channels_last(node)
    match node.config.get("padding", 1):
        case int() as every:
            zeros = (every,) * 4
        case [int() as down, int() as across]:
            zeros = (down, down, across, across)
        case [[int() as top, int() as bottom], [int() as left, int() as right]]:
            zeros = (top, bottom, left, right)
        case other:
            raise NetworkError(f"{node.called}: its padding is {other!r}; one, two or two pairs of numbers are needed.")
    if min(zeros) < 0 or max(zeros) > 1000:
        raise NetworkError(f"{node.called}: its padding is {zeros}, but it must be 0 to 1,000 zeros.")
    top, bottom, left, right = (before + more for before, more in zip(flow.zeros, zeros, strict=True))
    flow.zeros = top, bottom, left, right
    return []


def _conv(node: Node, flow: Flow, kernel: NDArray[np.float32], bias: list[Any], groups: int) -> ConvertedLayer:
    stride, dilation = pair(node, "strides", (1, 1)), pair(node, "dilation_rate", (1, 1))
    filters, size = kernel.shape[0], (kernel.shape[2], kernel.shape[3])
    plain = Conv(filters, size, stride=stride, dilation=dilation, groups=groups, bias=bool(bias))
    if flow.zeros == NONE:
        padding = "same" if _same(node) and size != (1, 1) else (0, 0)
        return ConvertedLayer(replace(plain, padding=padding), _named(kernel, bias))
    zeros, flow.zeros = _zeros(node, flow, flow.zeros, plain.window().reach, stride), NONE
    _, height, width = flow.shape
    if zeros == _of_same(height, width, plain.window().reach, stride):
        return ConvertedLayer(replace(plain, padding="same"), _named(kernel, bias))
    top, bottom, left, right = zeros
    if (top != bottom and dilation[0] > 1) or (left != right and dilation[1] > 1):
        raise NetworkError(f"{node.called} is dilated and has {zeros} zeros at the top, bottom, left and right.")
    # a filter extended by rows of zeros on the side that lacks padding computes the same as the smaller one
    more = (max(bottom - top, 0), max(top - bottom, 0)), (max(right - left, 0), max(left - right, 0))
    kernel = np.pad(kernel, ((0, 0), (0, 0), *more))
    if kernel.shape[2:] != size:
        wider = f"{kernel.shape[2]}x{kernel.shape[3]}"
        flow.notes.append(
            f"{node.called} has more zeros on one side than on the other: its filters of {size[0]}x{size[1]} become "
            f"filters of {wider}, filled up with zeros."
        )
    layer = replace(plain, size=(kernel.shape[2], kernel.shape[3]), padding=(max(top, bottom), max(left, right)))
    return ConvertedLayer(layer, _named(kernel, bias))


def _pool(node: Node, flow: Flow) -> dict[str, Any]:
    _, height, width = _spatial(node, flow)
    size = pair(node, "pool_size", (2, 2))
    stride = pair(node, "strides", size)
    (top, bottom, left, right), flow.zeros = flow.zeros, NONE
    if _same(node):
        if any((top, bottom, left, right)):
            raise NetworkError(f"{node.called} has padding 'same' behind a ZeroPadding2D, which is not supported.")
        own = _of_same(height, width, size, stride)
        if any(stride[axis] == 1 and size[axis] % 2 == 0 for axis in (0, 1)):
            raise NetworkError(f"{node.called}: a pool with padding 'same' and stride 1 needs an odd size.")
        return {"size": size, "stride": stride, "padding": "same" if any(own) else (0, 0)}
    if (top, left) != (bottom, right) or 2 * top > size[0] or 2 * left > size[1]:
        raise NetworkError(
            f"{node.called} follows a ZeroPadding2D with {top}, {bottom}, {left} and {right} zeros at the top, "
            "bottom, left and right; the zeros must be equal on both sides, and at most half the pool's size."
        )
    return {"size": size, "stride": stride, "padding": (top, left)}


def _zeros(node: Node, flow: Flow, before: Zeros, reach: Pair, stride: Pair) -> Zeros:
    """The zeros of a ZeroPadding2D and of the layer's own "same" together."""
    if not _same(node):
        return before
    _, height, width = flow.shape
    own = _of_same(height + before[0] + before[1], width + before[2] + before[3], reach, stride)
    top, bottom, left, right = (one + other for one, other in zip(before, own, strict=True))
    return top, bottom, left, right


def _of_same(height: int, width: int, reach: Pair, stride: Pair) -> Zeros:
    return *same_zeros(height, reach[0], stride[0]), *same_zeros(width, reach[1], stride[1])


def _same(node: Node) -> bool:
    padding = str(node.config.get("padding", "valid")).lower()
    if padding not in ("same", "valid"):
        raise NetworkError(f"{node.called}: its padding is {padding!r}; supported are valid and same.")
    return padding == "same"


def _spatial(node: Node, flow: Flow) -> tuple[int, int, int]:
    check_channels_last(node)
    if len(flow.shape) != 3 or flow.plane:
        raise NetworkError(f"{node.called} needs height, width and channels, and its input has not all three.")
    return flow.shape[0], flow.shape[1], flow.shape[2]


def _channels(node: Node, flow: Flow) -> int:
    return _spatial(node, flow)[0]


def _bias(node: Node, count: int) -> dict[str, tuple[int, ...]]:
    return {"bias": (count,)} if flag(node, "use_bias", True) else {}


def _by_channel(kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    """(height, width, channels, times) -> (channels * times, 1, height, width), a channel's filters together."""
    height, width, channels, times = kernel.shape
    return kernel.transpose(2, 3, 0, 1).reshape(channels * times, 1, height, width)


def _named(kernel: NDArray[np.float32], bias: list[NDArray[np.float32]]) -> Weights:
    return {"weight": np.ascontiguousarray(kernel), **({"bias": bias[0]} if bias else {})}
