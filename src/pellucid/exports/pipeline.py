"""Write a whole classifier as one ONNX file, from a picture's pixels to its probabilities.

    image          uint8 (H, W, 3), RGB, upright, height and width at least 1
    probabilities  float32 (classes,), calibrated, in the order of the classes
    logits         float32 (classes,), the network's raw outputs

Resizing, standardising, temperature and weights are inside. The metadata names the classes, holds the model card, and
ends with a checksum (classifier/predict/seal.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pellucid.classifier.predict.exported_readers import LOGITS, OUTPUTS, PROBABILITIES
from pellucid.classifier.predict.int8 import folded
from pellucid.classifier.predict.seal import sealed
from pellucid.classifier.saved import Saved
from pellucid.exports import own_module
from pellucid.exports.expressions import Expression
from pellucid.exports.pairs import Pair
from pellucid.exports.resizing import resized
from pellucid.network import as_int8, as_onnx
from pellucid.network.int8_writer import Int8Writer
from pellucid.network.onnx_graph import TYPES, GraphWriter, Value

if TYPE_CHECKING:
    from pellucid.classifier.classifier import Classifier

ENDING = ".onnx"
MARK = GraphWriter().model([], [])[:11]  # the format's version and the producer, "pellucid"
_INPUTS = [Value("image", "uint8", ("height", "width", 3))]


def write(saved: Saved | Classifier, metadata: Mapping[str, str]) -> dict[str, bytes]:
    """See Format.write."""
    return {ENDING: sealed(model(saved, metadata))}


def model(
    saved: Saved | Classifier, metadata: Mapping[str, str], numbers: type[Expression] | type[Pair] = Expression
) -> bytes:
    """The bytes of the ONNX file. `numbers`: how to compute the weights of the resizing.

    Raises ExportError if torch.onnx cannot export a module that was saved as a program.
    """
    int8 = saved.int8 if isinstance(saved, Saved) else None
    graph = GraphWriter() if int8 is None else Int8Writer(ranges=iter(int8.ranges))
    pixels = resized(graph, saved.form, "image", numbers)
    if isinstance(saved, Saved):
        rows = _network(graph, saved, pixels)
        return graph.model(_INPUTS, _finished(graph, saved, rows), metadata)
    x = as_onnx.standardised(graph, saved.standardise, pixels)
    prepared = Value(x, "float32", (1, saved.form.channels, saved.form.height, saved.form.width))
    tail, rows = GraphWriter(), Value("rows", "float32", (1, len(saved.classes)))
    end = tail.model([rows], _finished(tail, saved, rows.name))
    return own_module.joined(graph.model(_INPUTS, [prepared]), saved, end, metadata)


def _finished(graph: GraphWriter, saved: Saved | Classifier, rows: str) -> list[Value]:
    """The outputs of the whole model. `rows`: the network's outputs, float32 (1, classes)."""
    first = graph.integers(0)
    graph.add("Squeeze", [rows, first], LOGITS)
    graph.add("Squeeze", [calibrated(graph, saved, rows), first], PROBABILITIES)
    return [Value(name, "float32", (len(saved.classes),)) for name in OUTPUTS]


def calibrated(graph: GraphWriter, saved: Saved | Classifier, rows: str) -> str:
    """Nodes from the network's outputs to calibrated probabilities, both float32 (n, classes). Returns their name."""
    scaled = graph.add("Div", [rows, graph.scalar(saved.temperature)])
    return graph.add("Softmax", [scaled], axis=1) if saved.thresholds is None else graph.add("Sigmoid", [scaled])


def _network(graph: GraphWriter, saved: Saved, pixels: str) -> str:
    """Nodes from whole numbers, float32 (1, C, H, W), to the logits, float32 (1, classes), in the model's precision."""
    if saved.int8 is None or not isinstance(graph, Int8Writer):
        steps = saved.network.shapes(saved.input_shape, len(saved.classes))
        x = as_onnx.standardised(graph, saved.standardise, pixels)
        return as_onnx.network(graph, steps, saved.weights, x)
    return as_int8.network(graph, folded(saved), graph.add("Cast", [pixels], to=TYPES["uint8"]), saved.int8.shift)
