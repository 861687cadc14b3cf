"""The forward pass as ONNX nodes, one function for each kind of layer.

For predictions only: batch norm uses its running statistics, and dropout does nothing. The numbers equal those of the
torch modules except for the order of the sums.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.network import fold
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
from pellucid.network.onnx_graph import TYPES, GraphWriter
from pellucid.network.pooling import AvgPool, Flatten, GlobalAvgPool, L2Pool, MaxPool
from pellucid.network.residual import PlacedLayer, Residual
from pellucid.network.standardise import Standardise

FEW, LONG = 4, 4096  # at most so many units, at least so many inputs: MatMul by a column is five times as fast

Weights = Mapping[str, NDArray[Any]]
"""Arrays by their names in the state dict, such as "residual1.body.conv1.weight"."""


def pixels(graph: GraphWriter, images: str) -> str:
    """Nodes from prepared images, uint8 (n, H, W, C), to float32 (n, C, H, W) in 0..255. Returns the name."""
    x = graph.add("Cast", [images], to=TYPES["float32"])
    return graph.add("Transpose", [x], perm=[0, 3, 1, 2])


def standardised(graph: GraphWriter, standardise: Standardise, x: str) -> str:
    """Nodes from float32 (n, C, H, W) in 0..255 to the standardised input, the same shape. Returns the name."""
    mean, deviation = (
        np.array(numbers, np.float64)[:, None, None] for numbers in (standardise.mean, standardise.deviation)
    )
    x = graph.add("Mul", [x, graph.constant("factor", (1 / (255 * deviation)).astype(np.float32))])
    return graph.add("Add", [x, graph.constant("shift", (-mean / deviation).astype(np.float32))], "standardised")


def network(graph: GraphWriter, steps: Sequence[PlacedLayer], weights: Weights, x: str, folded: bool = False) -> str:
    """Nodes from float32 (n, C, H, W), standardised, to the logits, float32 (n, classes); returns their name.

    `steps`: the result of Network.shapes. `weights`: those of every layer, in the shapes of `Layer.state`. `folded`:
    batch norms become part of the convolutions before them.
    """
    return _Row(graph, weights, folded).follow(steps, "", x)


class _Row:
    """The graph and the weights, which the functions of the layers share."""

    def __init__(self, graph: GraphWriter, weights: Weights, folded: bool) -> None:
        self.graph, self.weights, self.folded = graph, weights, folded

    def follow(self, steps: Sequence[PlacedLayer], path: str, x: str) -> str:
        if self.folded:
            steps, self.weights = fold.batchnorm(steps, self.weights, path)
        for step in steps:
            name = path + step.name
            if isinstance(step.layer, Residual):
                body, shortcut = step.layer.branches(step.input)
                ways = self.follow(body, f"{name}.body.", x), self.follow(shortcut, f"{name}.shortcut.", x)
                x = self.graph.add("Add", ways, name)
            elif isinstance(step.layer, Gate):
                (body,) = step.layer.branches(step.input)
                gate = self.follow(body, f"{name}.body.", x)
                if len(step.input) == 3:
                    gate = self.graph.add("Unsqueeze", [gate, self.graph.integers(2, 3)])
                x = self.graph.add("Mul", [x, gate], name)
            else:
                x = _NODES[type(step.layer)](self, step, name, x)
        return x

    def weight(self, name: str, across: int = 0) -> str:
        """A layer's weights as a constant. `across`: the number of dimensions of length 1 to append."""
        numbers = self.weights[name]
        return self.graph.weight(name, numbers.reshape(numbers.shape + (1,) * across))


def _conv(row: _Row, step: PlacedLayer, name: str, x: str) -> str:
    layer: Any = step.layer
    inputs = [x, row.weight(f"{name}.weight")] + ([row.weight(f"{name}.bias")] if layer.bias else [])
    placed = {"kernel_shape": layer.size, "strides": layer.stride, "dilations": layer.dilation, "pads": _pads(step)}
    return row.graph.add("Conv", inputs, name, group=layer.groups, **placed)


def _dense(row: _Row, step: PlacedLayer, name: str, x: str) -> str:
    layer: Any = step.layer
    graph, weight = row.graph, row.weight(f"{name}.weight")
    bias = [row.weight(f"{name}.bias")] if layer.bias else []
    if layer.units > FEW or step.input[0] < LONG:
        return graph.add("Gemm", [x, weight, *bias], name, transB=1)
    last = graph.integers(2)
    column = graph.add("MatMul", [weight, graph.add("Unsqueeze", [x, last])])
    row_again = graph.add("Squeeze", [column, last], None if bias else name)
    return graph.add("Add", [row_again, *bias], name) if bias else row_again


def _batchnorm(row: _Row, step: PlacedLayer, name: str, x: str) -> str:
    layer: Any = step.layer
    weights = [row.weight(f"{name}.{part}") for part in ("weight", "bias", "running_mean", "running_var")]
    return row.graph.add("BatchNormalization", [x, *weights], name, epsilon=layer.eps)


def _layernorm(row: _Row, step: PlacedLayer, name: str, x: str) -> str:
    layer: Any = step.layer
    maps = len(step.input) == 3  # normalises the channels of each place; ONNX needs them last
    x = row.graph.add("Transpose", [x], perm=[0, 2, 3, 1]) if maps else x
    inputs = [x, row.weight(f"{name}.weight"), row.weight(f"{name}.bias")]
    last = name if not maps else None
    x = row.graph.add("LayerNormalization", inputs, last, axis=-1, epsilon=layer.eps)
    return row.graph.add("Transpose", [x], name, perm=[0, 3, 1, 2]) if maps else x


def _scale(row: _Row, step: PlacedLayer, name: str, x: str) -> str:
    return row.graph.add("Mul", [x, row.weight(f"{name}.weight", len(step.input) - 1)], name)


def _maxpool(row: _Row, step: PlacedLayer, name: str, x: str) -> str:
    return row.graph.add("MaxPool", [x], name, **_windows(step))


def _avgpool(row: _Row, step: PlacedLayer, name: str, x: str) -> str:
    layer: Any = step.layer
    return row.graph.add("AveragePool", [x], name, count_include_pad=int(not layer.same), **_windows(step))


def _l2pool(row: _Row, step: PlacedLayer, name: str, x: str) -> str:
    """The root of the sum of squares; the sum is their mean times their number."""
    layer: Any = step.layer
    means = row.graph.add("AveragePool", [row.graph.add("Mul", [x, x])], **_windows(step))
    return row.graph.add("Sqrt", [row.graph.add("Mul", [means, row.graph.scalar(prod(layer.size))])], name)


def _windows(step: PlacedLayer) -> dict[str, Any]:
    layer: Any = step.layer
    return {"kernel_shape": layer.size, "strides": layer.step, "pads": _pads(step)}


def _pads(step: PlacedLayer) -> list[int]:
    """The padding in ONNX's order: top, left, bottom, right."""
    window = step.layer.window()
    assert window is not None
    (top, bottom), (left, right) = window.zeros(*step.input[1:])
    return [top, left, bottom, right]


def _globalavgpool(row: _Row, step: PlacedLayer, name: str, x: str) -> str:
    return row.graph.add("Flatten", [row.graph.add("GlobalAveragePool", [x])], name)


def _gelu(row: _Row, step: PlacedLayer, name: str, x: str) -> str:
    """x * (1 + erf(x / sqrt 2)) / 2."""
    graph = row.graph
    erf = graph.add("Erf", [graph.add("Div", [x, graph.scalar(np.sqrt(2))])])
    product = graph.add("Mul", [x, graph.add("Add", [erf, graph.scalar(1)])])
    return graph.add("Mul", [product, graph.scalar(0.5)], name)


def _silu(row: _Row, step: PlacedLayer, name: str, x: str) -> str:
    return row.graph.add("Mul", [x, row.graph.add("Sigmoid", [x])], name)


def _relu6(row: _Row, step: PlacedLayer, name: str, x: str) -> str:
    return row.graph.add("Clip", [x, row.graph.scalar(0), row.graph.scalar(6)], name)


def _one(operator: str, **attributes: Any) -> Callable[[_Row, PlacedLayer, str, str], str]:
    """The function of a layer that is one ONNX operator and has no settings."""
    return lambda row, step, name, x: row.graph.add(operator, [x], name, **attributes)


_NODES: dict[type[Layer], Callable[[_Row, PlacedLayer, str, str], str]] = {
    Conv: _conv,
    Dense: _dense,
    BatchNorm: _batchnorm,
    LayerNorm: _layernorm,
    Scale: _scale,
    MaxPool: _maxpool,
    AvgPool: _avgpool,
    L2Pool: _l2pool,
    GlobalAvgPool: _globalavgpool,
    Flatten: _one("Flatten"),
    Dropout: lambda row, step, name, x: x,
    Relu: _one("Relu"),
    Relu6: _relu6,
    LeakyRelu: lambda row, step, name, x: row.graph.add("LeakyRelu", [x], name, alpha=step.layer.slope),  # type: ignore[attr-defined]
    Elu: _one("Elu", alpha=1.0),
    Gelu: _gelu,
    Silu: _silu,
    Hardswish: _one("HardSwish"),
    Hardsigmoid: _one("HardSigmoid", alpha=1 / 6, beta=0.5),
    Sigmoid: _one("Sigmoid"),
    Tanh: _one("Tanh"),
}
