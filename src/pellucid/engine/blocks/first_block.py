"""Predict many pictures without torch, for networks that are little more than one convolution, ReLU and pooling.

The article's network is an example. The kernel of direct_cpu.py computes the first block, and ONNX Runtime the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
    if not fits(steps):
        return False
    from pellucid.runtime.vectors import LANES

    return steps[2].output[2] >= LANES


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
    from pellucid.engine.blocks import direct_cpu

    conv, (channels, height, width), pooled_shape = steps[0].layer, steps[0].input, steps[2].output
    assert isinstance(conv, Conv)
    filters, name = conv.filters, steps[0].name
    group = direct_cpu.together(filters, 4)
    kernel = direct_cpu.forward(channels, conv.size[1], group, 32, False)
    taps = direct_cpu.taps(np.asarray(weights[f"{name}.weight"], np.float32), 32)
    offset = np.asarray(weights[f"{name}.bias"] if conv.bias else np.zeros(filters), np.float32)
    table = standardise.table().view(np.uint32)
    rest = _rest(steps[3:], weights)

    def run(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        # one picture after the other, to stay in the cache
        pooled = np.empty((1, *pooled_shape), np.float32)
        winners, outputs = np.empty(pooled.shape, np.uint8), []
        for image in np.ascontiguousarray(images):
            kernel(image[None], table, conv.zeros, taps, offset, pooled.view(np.int32), winners)
            outputs.append(rest(pooled))
        return np.concatenate(outputs)

    run(np.zeros((1, height, width, channels), np.uint8))
    return run


def _rest(steps: Sequence[PlacedLayer], weights: Mapping[str, NDArray[Any]]) -> sessions.Run:
    """A function that computes the layers after the block, float32 (1, C, H, W) -> float32 (1, classes)."""
    writer = GraphWriter()
    writer.add("Identity", [as_onnx.network(writer, steps, weights, "pooled")], "logits")
    inputs = Value("pooled", "float32", (1, *steps[0].input))
    return sessions.opened(writer.model([inputs], [Value("logits", "float32", (1, *steps[-1].output))]))
