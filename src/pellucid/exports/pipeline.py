"""Write a whole classifier as one ONNX file, from a picture's pixels to its probabilities.

    image          uint8 (H, W, 3), RGB, upright, height and width at least 1
    probabilities  float32 (classes,), calibrated, in the order of the classes
    logits         float32 (classes,), the network's raw outputs

Resizing, standardising, temperature and weights are inside. The metadata names the classes and holds the model card.
"""

from __future__ import annotations

import json

from pellucid.classifier.predict.exported import ABOUT, CARD, CLASSES, about
from pellucid.classifier.predict.int8 import folded
from pellucid.classifier.saved import Saved
from pellucid.exports.resizing import resized
from pellucid.network import as_int8, as_onnx
from pellucid.network.int8_writer import Int8Writer
from pellucid.network.onnx_graph import TYPES, GraphWriter, Value

MARK = GraphWriter().model([], [])[:11]  # the format's version and the producer, "pellucid"


def model(saved: Saved, card: str) -> bytes:
    """The bytes of the ONNX file. `card`: the model card in Markdown, for the metadata."""
    graph = GraphWriter() if saved.int8 is None else Int8Writer(ranges=iter(saved.int8.ranges))
    rows = _network(graph, saved, resized(graph, saved.form, "image"))
    first = graph.integers(0)
    graph.add("Squeeze", [rows, first], "logits")
    scaled = graph.add("Div", [rows, graph.scalar(saved.temperature)])
    several = saved.thresholds is not None
    shares = graph.add("Sigmoid", [scaled]) if several else graph.add("Softmax", [scaled], axis=1)
    graph.add("Squeeze", [shares, first], "probabilities")
    classes = (len(saved.classes),)
    return graph.model(
        [Value("image", "uint8", ("height", "width", 3))],
        [Value("probabilities", "float32", classes), Value("logits", "float32", classes)],
        {CLASSES: json.dumps(saved.classes), ABOUT: json.dumps(about(saved)), CARD: card},
    )


def _network(graph: GraphWriter, saved: Saved, pixels: str) -> str:
    """Nodes from whole numbers, float32 (1, C, H, W), to the logits, float32 (1, classes), in the model's precision."""
    if saved.int8 is None or not isinstance(graph, Int8Writer):
        steps = saved.network.shapes(saved.input_shape, len(saved.classes))
        x = as_onnx.standardised(graph, saved.standardise, pixels)
        return as_onnx.network(graph, steps, saved.weights, x)
    return as_int8.network(graph, folded(saved), graph.add("Cast", [pixels], to=TYPES["uint8"]), saved.int8.shift)
