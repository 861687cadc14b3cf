"""Each kind of layer that can be read, and what it becomes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pellucid.errors import NetworkError
from pellucid.keras import spatial
from pellucid.keras.flow import ConvertedLayer, Flow, as_ours
from pellucid.keras.graph import Node
from pellucid.keras.pixels import AUGMENTATIONS
from pellucid.keras.settings import arrays, flag, number, whole
from pellucid.network.layer import Layer
from pellucid.network.layers import (
    BatchNorm,
    Conv,
    Dense,
    Dropout,
    Elu,
    Flatten,
    Gelu,
    Hardswish,
    LeakyRelu,
    Relu,
    Relu6,
    Sigmoid,
    Silu,
    Tanh,
)

SOFTMAX = "softmax"  # not a layer of ours: only the end of a network
ACTIVATIONS: dict[str, Layer] = {
    "relu": Relu(),
    "relu6": Relu6(),
    "leaky_relu": LeakyRelu(0.2),  # Keras' default as a function
    "elu": Elu(),
    "gelu": Gelu(),
    "silu": Silu(),
    "swish": Silu(),
    "hard_silu": Hardswish(),
    "hard_swish": Hardswish(),
    "sigmoid": Sigmoid(),
    "tanh": Tanh(),
}
# these act only in training
IN_TRAINING = AUGMENTATIONS | {
    "ActivityRegularization",
    "AlphaDropout",
    "GaussianDropout",
    "GaussianNoise",
    "SpatialDropout2D",
}


def parts(node: Node, flow: Flow) -> list[ConvertedLayer] | str:
    """A layer's parts without its activation; or a phrase why it has none. Raises NetworkError, ArtefactError."""
    if node.kind == "Lambda" or node.kind == "TFOpLambda":
        what = "holds Python code, which is never run" if node.kind == "Lambda" else "is a function of TensorFlow"
        raise NetworkError(f"{node.called} {what}. {_instead()}")
    if node.kind in IN_TRAINING:
        return "acts only in training"
    if node.kind not in KINDS:
        raise NetworkError(f"{node.called} is not supported. {_instead()}")
    if flow.zeros != spatial.NONE and node.kind not in PADDED:
        raise NetworkError(f"{node.called} follows a ZeroPadding2D; only a convolution or a pooling may.")
    return KINDS[node.kind](node, flow)


def activation(node: Node) -> Layer | str | None:
    """The activation in a layer's settings: a layer of ours, SOFTMAX, or None. Raises NetworkError."""
    if node.kind in LAYERS_OF_ACTIVATION:
        return LAYERS_OF_ACTIVATION[node.kind](node)
    value = node.config.get("activation")
    if isinstance(value, dict):  # an object: a function by its name, or a separate layer
        kind, inner = value.get("class_name"), value.get("config")
        if isinstance(inner, dict) and isinstance(kind, str) and kind in LAYERS_OF_ACTIVATION:
            return LAYERS_OF_ACTIVATION[kind](Node(kind, node.name, inner))
        value = inner if isinstance(inner, str) else kind
    if value is None or value == "linear":
        return None
    if value == "softmax":
        return SOFTMAX
    if not isinstance(value, str) or value not in ACTIVATIONS:
        raise NetworkError(f"{node.called}: its activation {value} is not supported. {_instead()}")
    return ACTIVATIONS[value]


def _relu(node: Node) -> Layer:
    most, slope = node.config.get("max_value"), number(node, "negative_slope", 0)
    if number(node, "threshold", 0) != 0 or most not in (None, 6) or (slope and most):
        raise NetworkError(f"{node.called}: ReLU with a threshold, or a max_value that is not 6, is not supported.")
    if slope:
        return LeakyRelu(slope)
    return Relu() if most is None else Relu6()


def _leaky(node: Node) -> Layer:
    slope = number(node, "negative_slope" if "negative_slope" in node.config else "alpha", 0.3)
    if slope < 0:
        raise NetworkError(f"{node.called}: its slope is {slope}, but it must be 0 or more.")
    return LeakyRelu(slope)


def _elu(node: Node) -> Layer:
    if number(node, "alpha", 1) != 1:
        raise NetworkError(f"{node.called}: its alpha is {node.config['alpha']}, but only alpha 1 is supported.")
    return Elu()


def _softmax(node: Node) -> str:
    if node.config.get("axis", -1) not in (-1, [-1]):
        raise NetworkError(f"{node.called}: its axis is {node.config['axis']}, but only the last axis is supported.")
    return SOFTMAX


LAYERS_OF_ACTIVATION: dict[str, Callable[[Node], Layer | str]] = {
    "ReLU": _relu,
    "LeakyReLU": _leaky,
    "ELU": _elu,
    "Softmax": _softmax,
}


def _nothing(node: Node, flow: Flow) -> list[ConvertedLayer] | str:
    return "changes nothing"


def _activation_alone(node: Node, flow: Flow) -> list[ConvertedLayer]:
    return []  # an activation in the settings follows every layer


def _dropout(node: Node, flow: Flow) -> list[ConvertedLayer] | str:
    rate = number(node, "rate", 0.5)
    return [ConvertedLayer(Dropout(rate))] if 0 < rate < 1 else "changes nothing"


def _flatten(node: Node, flow: Flow) -> list[ConvertedLayer] | str:
    if len(flow.shape) == 1:
        return "changes nothing"
    channels, height, width = flow.shape
    flow.plane = False
    if channels > 1 and height * width > 1:
        flow.flattened = flow.shape
    return [ConvertedLayer(Flatten())]


def _reshape(node: Node, flow: Flow) -> list[ConvertedLayer] | str:
    target = node.config.get("target_shape")
    if len(flow.shape) == 3:
        channels, height, width = flow.shape
        count = channels * height * width
        if target == [height, width, 1] and flow.plane:
            flow.plane = False
            return "changes nothing"
        if target == [height, width, channels] and not flow.plane:
            return "changes nothing"
        if target in ([-1], [count]):
            return _flatten(node, flow)
    elif target in ([-1], list(flow.shape)):
        return "changes nothing"
    raise NetworkError(f"{node.called} to {target} is not supported; only a Reshape that flattens is. {_instead()}")


def _dense(node: Node, flow: Flow) -> list[ConvertedLayer]:
    units, inputs = whole(node, "units"), flow.shape[0]
    shapes: dict[str, Any] = {"kernel": (inputs, units)}
    if flag(node, "use_bias", True):
        shapes["bias"] = (units,)
    if flow.plane:
        raise NetworkError(f"{node.called} works on the rows of a picture, which is not supported. Flatten it first.")
    kernel, *bias = arrays(node, **shapes)
    named = {"bias": bias[0]} if bias else {}
    if len(flow.shape) == 3:  # works at each place over the channels, as a 1x1 convolution
        weight = np.ascontiguousarray(kernel.T)[:, :, None, None]
        return [ConvertedLayer(Conv(units, (1, 1), bias=bool(bias)), {"weight": weight, **named})]
    kernel, flow.flattened = as_ours(kernel, flow.flattened), None
    return [ConvertedLayer(Dense(units, bias=bool(bias)), {"weight": np.ascontiguousarray(kernel.T), **named})]


def _batch_norm(node: Node, flow: Flow) -> list[ConvertedLayer]:
    axis = node.config.get("axis", -1)
    if (axis[0] if isinstance(axis, list) and len(axis) == 1 else axis) not in (-1, len(flow.shape)) or flow.plane:
        raise NetworkError(f"{node.called}: its axis is {axis}, but only the last axis, the channels, is supported.")
    scale, centre, count = flag(node, "scale", True), flag(node, "center", True), (flow.shape[0],)
    shapes = {"gamma": count} if scale else {}
    shapes |= {"beta": count} if centre else {}
    shapes |= {"mean": count, "variance": count}
    named = dict(zip(shapes, arrays(node, **shapes), strict=True))
    if (named["variance"] < 0).any():
        raise NetworkError(f"{node.called}: its variance is below 0.")
    ones, zeros = np.ones(count, np.float32), np.zeros(count, np.float32)
    weights = {
        "weight": named.get("gamma", ones),
        "bias": named.get("beta", zeros),
        "running_mean": named["mean"],
        "running_var": named["variance"],
    }
    weights = {name: as_ours(numbers, flow.flattened) for name, numbers in weights.items()}
    counted = {"num_batches_tracked": np.zeros((), np.int64)}
    return [ConvertedLayer(BatchNorm(eps=number(node, "epsilon", 1e-3)), weights | counted)]


KINDS: dict[str, Callable[[Node, Flow], list[ConvertedLayer] | str]] = {
    "Activation": _activation_alone,
    "AveragePooling2D": spatial.average_pool,
    "BatchNormalization": _batch_norm,
    "Conv2D": spatial.conv,
    "Dense": _dense,
    "DepthwiseConv2D": spatial.depthwise,
    "Dropout": _dropout,
    "ELU": _activation_alone,
    "Flatten": _flatten,
    "GlobalAveragePooling2D": spatial.global_average,
    "GlobalMaxPooling2D": spatial.global_max,
    "Identity": _nothing,
    "LeakyReLU": _activation_alone,
    "MaxPooling2D": spatial.max_pool,
    "ReLU": _activation_alone,
    "Reshape": _reshape,
    "SeparableConv2D": spatial.separable,
    "Softmax": _activation_alone,
    "ZeroPadding2D": spatial.zero_padding,
}
PADDED = {"AveragePooling2D", "Conv2D", "DepthwiseConv2D", "MaxPooling2D", "SeparableConv2D", "ZeroPadding2D"}


def _instead() -> str:
    read = ", ".join(sorted(KINDS))
    return f"Supported layers: {read}; Rescaling, Normalization and Resizing at the front; Add of two branches."
