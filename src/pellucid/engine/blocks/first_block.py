"""Predict many pictures without torch, for networks that are little more than one convolution, ReLU and pooling.

The article's network is an example. The kernel of alone.py computes the first block, and ONNX Runtime the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.engine.blocks import alone
from pellucid.network import as_onnx
from pellucid.network.activations import Relu
from pellucid.network.learning import Conv
from pellucid.network.onnx_graph import GraphWriter, Value
from pellucid.network.pooling import MaxPool
from pellucid.network.residual import PlacedLayer
from pellucid.network.standardise import Standardise
from pellucid.runtime import sessions

LITTLE = 10_000_000  # the most operations after the block; with more, the kernel gains hardly anything
MOST_CHANNELS, MOST_WIDE = 4, 12  # the most channels of a picture and columns of a filter that the kernels take

Logits = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def applies(steps: Sequence[PlacedLayer]) -> bool:
    """Whether `logits` accepts these layers on this processor."""
    return fits(steps) and steps[2].output[2] >= alone.LANES


def fits(steps: Sequence[PlacedLayer]) -> bool:
    """Whether these layers are such a block and little else, on any processor."""
    if [type(step.layer) for step in steps[:3]] != [Conv, Relu, MaxPool]:
        return False
    conv, pool, rest = steps[0].layer, steps[2].layer, steps[3:]
    assert isinstance(conv, Conv)
    assert isinstance(pool, MaxPool)
    plain = (
        conv.groups == 1 and not conv.lopsided and conv.stride == conv.dilation == (1, 1) and conv.size[1] <= MOST_WIDE
    )
    pairs = pool.size == pool.step == (2, 2) and pool.padding == (0, 0)
    if not (plain and pairs and steps[0].input[0] <= MOST_CHANNELS):
        return False
    return sum(step.layer.forward_flops(step.input) for step in rest) <= LITTLE


def logits(steps: Sequence[PlacedLayer], weights: Mapping[str, NDArray[Any]], standardise: Standardise) -> Logits:
    """The function from prepared images uint8 (n, H, W, C) to outputs float32 (n, classes), on the calling thread.

    Call it only if `applies` is true. It loads the kernels, or compiles them the first time, before it returns.
    """
    conv, (channels, height, width) = steps[0].layer, steps[0].input
    assert isinstance(conv, Conv)
    weight = np.asarray(weights[f"{steps[0].name}.weight"], np.float32)
    offset = np.asarray(weights[f"{steps[0].name}.bias"] if conv.bias else np.zeros(conv.filters), np.float32)
    pooled = alone.forward(weight, offset, standardise.table(), conv.zeros, steps[2].output)
    rest = _rest(steps[3:], weights)

    def run(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        # one picture after the other, to stay in the cache
        return np.concatenate([rest(pooled(image)) for image in images])

    run(np.zeros((1, height, width, channels), np.uint8))
    return run


def _rest(steps: Sequence[PlacedLayer], weights: Mapping[str, NDArray[Any]]) -> sessions.Run:
    """A function that computes the layers after the block, float32 (1, C, H, W) -> float32 (1, classes)."""
    writer = GraphWriter()
    writer.add("Identity", [as_onnx.network(writer, steps, weights, "pooled")], "logits")
    inputs = Value("pooled", "float32", (1, *steps[0].input))
    return sessions.opened(writer.model([inputs], [Value("logits", "float32", (1, *steps[-1].output))]))
