"""`Form.apply` as ONNX nodes: resize an image of any size to the network's input, with the same filter.

Pillow (src/libImaging/Resample.c) makes two passes, along the rows and along the columns. Each sums products with
weights of 22 bits and rounds to 8 bits. The graph computes the weights from the image's size, as matrices, and splits
each weight into its upper and its lower 11 bits. It multiplies by both halves in float32. The sums are exact if a
window sees up to 32 numbers, and within 1e-6 of a byte's step if it sees more.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pellucid.exports.expressions import Expression
from pellucid.network.onnx_graph import TYPES, Branch, GraphWriter
from pellucid.pictures.decode import PAD, Form
from pellucid.pictures.interpolate import Filter

BITS, HALF = 22, 11  # bits of a weight in Pillow, and of its lower half
CUBIC = -0.5  # the coefficient a of Pillow's bicubic filter (Keys 1981, eq. 4)
LUMA = 19595, 38470, 7471  # shares of 65,536: Pillow's whole numbers for ITU-R BT.601


class _Along(NamedTuple):
    """One axis of a resizing. All expressions are float64 scalars.

    * length: of the image
    * start, end: of the part of the image that is resized
    * first, filled: the first output that gets a value, and the number of outputs that do
    * all: the number of outputs
    """

    length: Expression
    start: Expression
    end: Expression
    first: Expression
    filled: Expression
    all: int


def resized(graph: GraphWriter, form: Form, image: str) -> str:
    """Nodes from uint8 (H, W, 3) to whole numbers in 0..255, float32 (1, C, height, width). Returns their name."""
    shape = graph.add("Shape", [image])
    rows, columns = (_item(graph, shape, axis) for axis in (0, 1))
    down, across = _placed(form, rows, columns)
    pixels = Expression(graph, graph.add("Cast", [image], to=TYPES["float32"]), "float32")
    planes = pixels.apply("Transpose", perm=[2, 0, 1])
    if form.filter == "plain":
        whole = _between(across, 2, _between(down, 1, planes)).rounded()
    else:
        whole = _twice_rounded(down, across, planes, form.filter)
    if form.fit == "pad":
        inside = _filled(down).apply("Unsqueeze", graph.integers(1)) & _filled(across).apply(
            "Unsqueeze", graph.integers(0)
        )
        whole = inside.where(whole, PAD)
    if form.channels == 1:
        shares = graph.constant("luma", np.array(LUMA, np.float32)[:, None, None])
        sums = (whole * Expression(graph, shares, "float32")).apply("ReduceSum", graph.integers(0), keepdims=1)
        whole = ((sums + 32768) / 65536).floor()
    return whole.apply("Unsqueeze", graph.integers(0)).name


def _item(graph: GraphWriter, shape: str, axis: int) -> Expression:
    index = graph.constant("index", np.array(axis, np.int64))
    return Expression(graph, graph.add("Gather", [shape, index]), "int64").cast("float64")


def _placed(form: Form, rows: Expression, columns: Expression) -> tuple[_Along, _Along]:
    """(down, across): which part of the image goes where, as in `pictures.decode.resize`."""
    zero = rows * 0
    if form.fit == "pad":
        scale = (form.height / rows).least(form.width / columns)
        places = []
        for length, wanted in ((rows, form.height), (columns, form.width)):
            inner = (length * scale).rounded().largest(1)
            places.append(_Along(length, zero, length, ((wanted - inner) / 2).floor(), inner, wanted))
        return places[0], places[1]
    scale = (form.height / rows).largest(form.width / columns)
    places = []
    for length, wanted in ((rows, form.height), (columns, form.width)):
        part = length if form.fit == "stretch" else wanted / scale * form.crop
        start = ((length - part) / 2).largest(0)
        places.append(_Along(length, start, length.least(start + part), zero, zero + wanted, wanted))
    return places[0], places[1]


def _between(along: _Along, axis: int, planes: Expression) -> Expression:
    """Interpolate each output between two numbers along an axis, in float32 and as in `pictures.interpolate`."""
    output = _outputs(along) - along.first
    places = along.start + (output + 0.5) * ((along.end - along.start) / along.filled) - 0.5
    places = places.largest(0).least(along.length - 1)
    before = places.floor()
    first, second = (each.cast("int64").name for each in (before, (before + 1).least(along.length - 1)))
    one, other = (planes.apply("Gather", index, axis=axis) for index in (first, second))
    share = (places - before).cast("float32")
    return one + (other - one) * (share.apply("Unsqueeze", planes.graph.integers(1)) if axis == 1 else share)


def _matrices(along: _Along, kernel: Filter) -> tuple[Expression, Expression]:
    """The weights of all outputs, times 2^22 and rounded: (upper half divided by 2^11, lower half).

    Both are whole numbers, float32 (outputs, length). The weights of an output that is not filled are 0.
    """
    graph = along.length.graph
    place, output = _counted(graph, along.length), _outputs(along) - along.first
    start, end = (each.cast("float32") for each in (along.start, along.end))  # Pillow takes float32 here
    scale = (end - start).cast("float64") / along.filled
    centre = start.cast("float64") + (output + 0.5) * scale
    distance = ((place - centre.apply("Unsqueeze", graph.integers(1)) + 0.5) * (1 / scale.largest(1))).absolute()
    weights = (1 - distance).largest(0) if kernel == "bilinear" else _cubic(distance)
    share = weights / weights.apply("ReduceSum", graph.integers(1), keepdims=1)
    filled = _filled(along).apply("Unsqueeze", graph.integers(1))
    whole = filled.where((share * (1 << BITS)).rounded(), 0)
    upper = (whole / (1 << HALF)).floor()
    return upper.cast("float32"), (whole - upper * (1 << HALF)).cast("float32")


def _cubic(distance: Expression) -> Expression:
    """Keys's cubic filter at distances of 0 or more."""
    near = ((distance * (CUBIC + 2) - (CUBIC + 3)) * distance * distance) + 1
    far = (((distance - 5) * distance + 8) * distance - 4) * CUBIC
    return (distance < 1).where(near, (distance < 2).where(far, 0))


def _twice_rounded(down: _Along, across: _Along, planes: Expression, kernel: Filter) -> Expression:
    """Resize in two passes in Pillow's order, because each pass rounds. Columns come first if that saves more."""
    graph = planes.graph
    left = _matrices(down, kernel)
    right = [each.apply("Transpose", perm=[1, 0]) for each in _matrices(across, kernel)]
    columns_first = (down.length - down.filled) > ((across.length - across.filled) * 2).largest(0)
    branches = []
    for begin in ("columns", "rows"):
        inside = graph.branch()
        (up, low), (up_right, low_right) = ([each.inside(inside) for each in part] for part in (left, right))
        x = planes.inside(inside)
        if begin == "columns":
            x = _byte(up.matmul(x), low.matmul(x))
            x = _byte(x.matmul(up_right), x.matmul(low_right))
        else:
            x = _byte(x.matmul(up_right), x.matmul(low_right))
            x = _byte(up.matmul(x), low.matmul(x))
        branches.append(Branch(inside, x.name))
    name = graph.add("If", [columns_first.name], then_branch=branches[0], else_branch=branches[1])
    return Expression(graph, name, "float32")


def _byte(upper: Expression, lower: Expression) -> Expression:
    sums = upper.cast("float64") * (1 << HALF) + lower.cast("float64")
    return (sums / (1 << BITS) + 0.5).floor().largest(0).least(255).cast("float32")


def _counted(graph: GraphWriter, length: Expression) -> Expression:
    """float64 (length,): 0, 1, 2, ..."""
    zero, one = (graph.constant("number", np.array(number, np.float64)) for number in (0, 1))
    return Expression(graph, graph.add("Range", [zero, length.name, one]), "float64")


def _outputs(along: _Along) -> Expression:
    graph = along.length.graph
    return Expression(graph, graph.constant("outputs", np.arange(along.all, dtype=np.float64)), "float64")


def _filled(along: _Along) -> Expression:
    """bool (outputs,)"""
    output = _outputs(along) - along.first
    return (output >= 0) & (output < along.filled)
