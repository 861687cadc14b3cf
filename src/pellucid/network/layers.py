"""The map of the layers: every kind, by the word that the text uses for it."""

from pellucid.network.activations import (
    Dropout,
    Elu,
    Gelu,
    Hardswish,
    LeakyRelu,
    Relu,
    Relu6,
    Sigmoid,
    Silu,
    Tanh,
)
from pellucid.network.layer import Cost, Layer
from pellucid.network.learning import BatchNorm, Conv, Dense
from pellucid.network.pooling import AvgPool, Flatten, GlobalAvgPool, L2Pool, MaxPool
from pellucid.network.residual import Residual
from pellucid.network.window import Pair, Shape, Window

KINDS: tuple[type[Layer], ...] = (
    Conv,
    Dense,
    BatchNorm,
    Relu,
    Relu6,
    LeakyRelu,
    Elu,
    Gelu,
    Silu,
    Hardswish,
    Sigmoid,
    Tanh,
    MaxPool,
    AvgPool,
    L2Pool,
    GlobalAvgPool,
    Flatten,
    Dropout,
    Residual,
)

WORDS: dict[str, type[Layer]] = {kind.word: kind for kind in KINDS}

__all__ = [
    "KINDS",
    "WORDS",
    "AvgPool",
    "BatchNorm",
    "Conv",
    "Cost",
    "Dense",
    "Dropout",
    "Elu",
    "Flatten",
    "Gelu",
    "GlobalAvgPool",
    "Hardswish",
    "L2Pool",
    "Layer",
    "LeakyRelu",
    "MaxPool",
    "Pair",
    "Relu",
    "Relu6",
    "Residual",
    "Shape",
    "Sigmoid",
    "Silu",
    "Tanh",
    "Window",
]
