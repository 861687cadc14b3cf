"""The forward pass as ONNX nodes of 8-bit integers, and the graph that measures the ranges which these need."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pellucid.network import as_onnx, fold
from pellucid.network.int8_writer import Int8Writer, Range
from pellucid.network.learning import Conv
from pellucid.network.onnx_graph import TYPES, GraphWriter, Value
from pellucid.network.residual import PlacedLayer
from pellucid.network.standardise import Standardise


@dataclass(frozen=True, eq=False)
class Folded:
    """A network whose batch norms are part of its convolutions.

    `zero`: the pixel, 0 to 255, that the first convolution takes for 0; standardising is then part of it. None if the
    first layer is no convolution of one group: it takes standardised pixels.
    """

    steps: list[PlacedLayer]
    weights: fold.Weights
    standardise: Standardise
    zero: int | None


def folded(steps: Sequence[PlacedLayer], weights: fold.Weights, standardise: Standardise) -> Folded:
    """Fold a network. `steps`: from Network.shapes. `weights`: of every layer, in the shapes of `Layer.state`."""
    rest, weights = fold.batchnorm(steps, weights, "")
    first = rest[0]
    if not isinstance(first.layer, Conv) or first.layer.groups != 1:
        return Folded(rest, weights, standardise, None)
    padded = any(map(any, first.layer.window().zeros(*first.input[1:])))
    # one zero serves all channels: at the padded border, a channel is off by its mean's distance from this
    zero = round(255 * float(np.mean(standardise.mean))) if padded else 0
    zero = min(max(zero, 0), 255)
    weight, bias = f"{first.name}.weight", f"{first.name}.bias"
    offset = weights[bias] if first.layer.bias else np.zeros(first.layer.filters)
    new = fold.standardise(weights[weight], offset, standardise, zero)
    rest[0] = first._replace(layer=replace(first.layer, bias=True))
    return Folded(rest, {**weights, weight: new[0], bias: new[1]}, standardise, zero)


def network(writer: Int8Writer, folded: Folded, pixels: str, shift: Sequence[float] = ()) -> str:
    """Nodes from prepared images, uint8 (n, C, H, W), to the logits, float32 (n, classes). Returns their name.

    `shift`: added to the logits, (classes,), or nothing.
    """
    if folded.zero is not None:
        writer.pixels(pixels, folded.zero)
        x = pixels
    else:
        x = as_onnx.standardised(writer, folded.standardise, writer.add("Cast", [pixels], to=TYPES["float32"]))
    logits = writer.number(as_onnx.network(writer, folded.steps, folded.weights, x, folded=True))
    return writer.add("Add", [logits, writer.constant("shift", np.array(shift, np.float32))]) if shift else logits


def model(folded: Folded, ranges: Iterable[Range], shift: Sequence[float] = ()) -> bytes:
    """The graph from prepared images, uint8 (n, H, W, C), to logits, float32 (n, classes).

    `ranges`: for each map, in the order of `measuring`. `shift`: see `network`. Raises ValueError if there are too few
    ranges or too many.
    """
    every = list(ranges)
    writer = Int8Writer(ranges=iter(every))
    try:
        logits = network(writer, folded, writer.add("Transpose", ["images"], perm=[0, 3, 1, 2]), shift)
    except StopIteration:
        raise ValueError(f"{len(every)} ranges are too few") from None
    if len(writer.maps) != len(every):
        raise ValueError(f"there are {len(every)} ranges for {len(writer.maps)} maps")
    writer.add("Identity", [logits], "logits")
    return writer.model([_images(folded)], [Value("logits", "float32", ("n", *folded.steps[-1].output))])


def measuring(folded: Folded) -> tuple[bytes, int]:
    """(graph of float32 from prepared images, uint8 (n, H, W, C), to ranges; the number of maps).

    The output is float32 (n, 2 * maps): of each map the lowest number in a picture and the highest, in the order in
    which the maps become bytes.
    """
    wanted = Int8Writer()
    network(wanted, folded, wanted.add("Transpose", ["images"], perm=[0, 3, 1, 2]))
    graph = GraphWriter()
    x = graph.add("Cast", [graph.add("Transpose", ["images"], perm=[0, 3, 1, 2])], to=TYPES["float32"])
    if folded.zero is None:
        x = as_onnx.standardised(graph, folded.standardise, x)
    else:
        x = graph.add("Sub", [x, graph.scalar(folded.zero)])
    as_onnx.network(graph, folded.steps, folded.weights, x, folded=True)
    ends = []
    for name in wanted.maps:
        flat = graph.add("Flatten", [name])
        ends += [graph.add(operator, [flat, graph.integers(1)], keepdims=1) for operator in ("ReduceMin", "ReduceMax")]
    graph.add("Concat", ends, "ranges", axis=1)
    return graph.model([_images(folded)], [Value("ranges", "float32", ("n", len(ends)))]), len(wanted.maps)


def _images(folded: Folded) -> Value:
    channels, height, width = folded.steps[0].input
    return Value("images", "uint8", ("n", height, width, channels))
