"""`Form.apply` as arithmetic on any kind of numbers: resize an image of any size to the network's input.

Pillow (src/libImaging/Resample.c) makes two passes, along the rows and along the columns. Each sums products with
weights of 22 bits and rounds to 8 bits. The weights follow from the image's size, as matrices, each weight split into
its upper and its lower 11 bits. Both halves are multiplied in float32. The sums are exact if a window sees up to 32
numbers, and within 1e-6 of a byte's step if it sees more.

The numbers are nodes of an ONNX graph in float64 (expressions.py), nodes in pairs of float32 (pairs.py), or tensors
(torch_numbers.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from pellucid.exports.expressions import Expression
from pellucid.exports.pairs import Pair
from pellucid.network.onnx_graph import GraphWriter
from pellucid.pictures.decode import PAD, Form
from pellucid.pictures.interpolate import Filter

BITS, HALF = 22, 11  # bits of a weight in Pillow, and of its lower half
CUBIC = -0.5  # the coefficient a of Pillow's bicubic filter (Keys 1981, eq. 4)
LUMA = 19595, 38470, 7471  # shares of 65,536: Pillow's whole numbers for ITU-R BT.601

Number = Any
"""Expression in float64, Pair, or TorchNumber in float64: they have the same methods."""
Single = Any
"""Expression or TorchNumber in float32."""


class _Along(NamedTuple):
    """One axis of a resizing. All numbers are scalars.

    * length: of the image
    * start, end: of the part of the image that is resized
    * first, filled: the first output that gets a value, and the number of outputs that do
    * all: the number of outputs
    """

    length: Number
    start: Number
    end: Number
    first: Number
    filled: Number
    all: int


def resized(graph: GraphWriter, form: Form, image: str, numbers: type[Expression] | type[Pair] = Expression) -> str:
    """Nodes from uint8 (H, W, 3) to whole numbers in 0..255, float32 (1, C, height, width). Returns their name.

    `numbers`: how to compute the weights.
    """
    pixels = Expression(graph, image, "uint8")
    return resize(form, pixels.cast("float32"), *map(numbers.exactly, numbers.sizes(pixels))).name


def resize(form: Form, pixels: Single, rows: Number, columns: Number) -> Single:
    """float32 (H, W, 3) -> whole numbers in 0..255, float32 (1, C, height, width). `rows`, `columns`: H and W."""
    down, across = _placed(form, rows, columns)
    planes = pixels.turned(2, 0, 1)
    if form.filter == "plain":
        whole = _between(across, 2, _between(down, 1, planes)).rounded()
    else:
        whole = _twice_rounded(down, across, planes, form.filter)
    if form.fit == "pad":
        whole = whole.where(_filled(down).column() & _filled(across).row(), PAD)
    if form.channels == 1:
        whole = ((whole.weighted(LUMA) + 32768) / 65536).floor()
    return whole.row()


def _placed(form: Form, rows: Number, columns: Number) -> tuple[_Along, _Along]:
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


def _between(along: _Along, axis: int, planes: Single) -> Single:
    """Interpolate each output between two numbers along an axis, in float32 and as in `pictures.interpolate`."""
    output = _outputs(along) - along.first
    places = along.start + (output + 0.5) * ((along.end - along.start) / along.filled) - 0.5
    places = places.largest(0).least(along.length - 1)
    before = places.floor()
    first, second = (each.cast("int64") for each in (before, (before + 1).least(along.length - 1)))
    one, other = (planes.taken(index, axis) for index in (first, second))
    share = (places - before).cast("float32")
    return one + (other - one) * (share.column() if axis == 1 else share)


def _matrices(along: _Along, kernel: Filter) -> tuple[Single, Single]:
    """The weights of all outputs, times 2^22 and rounded: (upper half divided by 2^11, lower half).

    Both are whole numbers, float32 (outputs, length). The weights of an output that is not filled are 0.
    """
    place, output = along.length.counted(), _outputs(along) - along.first
    start, end = along.start.single(), along.end.single()  # Pillow takes float32 here
    scale = (end - start).single() / along.filled
    centre = start + (output + 0.5) * scale
    distance = ((place - centre.column() + 0.5) * (1 / scale.largest(1))).absolute()
    weights = (1 - distance).largest(0) if kernel == "bilinear" else _cubic(distance)
    share = weights / weights.total()
    whole = (share * (1 << BITS)).rounded().where(_filled(along).column(), 0)
    upper = (whole / (1 << HALF)).floor()
    return upper.cast("float32"), (whole - upper * (1 << HALF)).cast("float32")


def _cubic(distance: Number) -> Number:
    """Keys's cubic filter at distances of 0 or more."""
    near = ((distance * (CUBIC + 2) - (CUBIC + 3)) * distance * distance) + 1
    far = (((distance - 5) * distance + 8) * distance - 4) * CUBIC
    return near.where(distance < 1, far.where(distance < 2, 0))


def _twice_rounded(down: _Along, across: _Along, planes: Single, kernel: Filter) -> Single:
    """Resize in two passes in Pillow's order, because each pass rounds. Columns come first if that saves more."""
    left = _matrices(down, kernel)
    right = [each.turned(1, 0) for each in _matrices(across, kernel)]
    exactly = type(down.length).exactly

    def along_columns(x: Single, matrices: Sequence[Single]) -> Single:
        return _byte(*(exactly(matrix.matmul(x)) for matrix in matrices))

    def along_rows(x: Single, matrices: Sequence[Single]) -> Single:
        return _byte(*(exactly(x.matmul(matrix)) for matrix in matrices))

    def columns_first(x: Single, *matrices: Single) -> Single:
        return along_rows(along_columns(x, matrices[:2]), matrices[2:])

    def rows_first(x: Single, *matrices: Single) -> Single:
        return along_columns(along_rows(x, matrices[2:]), matrices[:2])

    condition = (down.length - down.filled) > ((across.length - across.filled) * 2).largest(0)
    return condition.either(columns_first, rows_first, planes, *left, *right)


def _byte(upper: Number, lower: Number) -> Single:
    sums = upper * (1 << HALF) + lower
    return (sums / (1 << BITS) + 0.5).floor().cast("float32").largest(0).least(255)


def _outputs(along: _Along) -> Number:
    """(outputs,): 0, 1, 2, ..."""
    return along.length.numbered(along.all)


def _filled(along: _Along) -> Any:
    """bool (outputs,)"""
    output = _outputs(along) - along.first
    return (output >= 0) & (output < along.filled)
