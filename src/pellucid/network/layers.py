"""The map of the layers: every kind, by its word in the text."""

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
from pellucid.network.layer import Cost, Layer
from pellucid.network.learning import BatchNorm, Conv, Dense
from pellucid.network.pooling import AvgPool, Flatten, GlobalAvgPool, L2Pool, MaxPool
from pellucid.network.residual import Branched, Residual
from pellucid.network.window import Pair, Shape, Window

KINDS: tuple[type[Layer], ...] = (
    Conv,
    Dense,
    BatchNorm,
    LayerNorm,
    Scale,
    Relu,
    Relu6,
    LeakyRelu,
    Elu,
    Gelu,
    Silu,
    Hardswish,
    Hardsigmoid,
    Sigmoid,
    Tanh,
    MaxPool,
    AvgPool,
    L2Pool,
    GlobalAvgPool,
    Flatten,
    Dropout,
    Residual,
    Gate,
)

WORDS: dict[str, type[Layer]] = {kind.word: kind for kind in KINDS}

__all__ = [
    "KINDS",
    "WORDS",
    "AvgPool",
    "BatchNorm",
    "Branched",
    "Conv",
    "Cost",
    "Dense",
    "Dropout",
    "Elu",
    "Flatten",
    "Gate",
    "Gelu",
    "GlobalAvgPool",
    "Hardsigmoid",
    "Hardswish",
    "L2Pool",
    "Layer",
    "LayerNorm",
    "LeakyRelu",
    "MaxPool",
    "Pair",
    "Relu",
    "Relu6",
    "Residual",
    "Scale",
    "Shape",
    "Sigmoid",
    "Silu",
    "Tanh",
    "Window",
]
