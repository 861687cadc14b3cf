"""Lessons on weights that slide over a picture of numbers: from one weight to filters that span three channels."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import numpy as np

from pellucid.glassbox.arithmetic.declaration import OUT
from pellucid.glassbox.arithmetic.ops import products
from pellucid.lessons import material
from pellucid.lessons.lesson import Floats, Grid, Lesson, Value
from pellucid.lessons.work import Work
from pellucid.network.learning import Conv
from pellucid.network.window import Shape

FILTER: Mapping[str, str] = {"input": "picture", "weight": "filter", OUT: "output"}


def convolve(
    layer: Conv, picture: Floats, weight: Floats, bias: Floats | None = None, names: Mapping[str, str] = FILTER
) -> Work:
    """Apply a described layer to a picture (channels, H, W), with weights (filters, channels, h, w)."""
    arrays = {"input": picture, "weight": weight} | ({} if bias is None else {"bias": bias})
    bias_shape = None if bias is None else bias.shape
    op = products.conv(picture.shape, weight.shape, bias_shape, layer.stride, layer.zeros, layer.dilation)
    assert op.shapes[OUT] == layer.output(picture.shape)
    return Work(op, arrays, names)


def grey(layer: Conv, picture: Floats, weight: Floats, name: str = "filter") -> Work:
    """Apply one filter (h, w) to a picture of one channel (H, W)."""
    return convolve(layer, picture[None], weight[None, None], names={**FILTER, "weight": name})


def size(layer: Conv, incoming: Shape, name: str = "output size") -> Value:
    """Height, width and channels of a layer's output, with the article's formula in numbers."""
    channels, height, width = layer.output(incoming)
    shape = (height, width, channels) if channels > 1 else (height, width)
    return Value(name, "the output's size", shape, layer.output_formula(incoming))


def picture() -> Lesson:
    numbers = material.PICTURE
    rows, columns = numbers.shape
    return Lesson(
        "picture",
        "A picture is a matrix of numbers",
        "To a computer a grey picture is a grid of numbers, one for each pixel: 0 is black, 255 is white. This is a "
        "narrow strip of a handwritten 4, as the numbers that are all a network ever sees, and as shades of grey.",
        (
            Grid("picture", "as numbers", numbers),
            Grid("shades", "as shades", numbers, shown="shades"),
        ),
        values=(
            Value("pixels", "pixels", rows * columns, f"{rows} rows * {columns} columns = {rows * columns}"),
            Value("brightest", "the brightest pixel", float(numbers.max())),
        ),
    )


def one_weight() -> Lesson:
    layer = Conv(1, (1, 1), bias=False)
    work = grey(layer, material.PICTURE, material.ONE_WEIGHT, "weight")
    return Lesson(
        "one-weight",
        "One weight",
        "The simplest thing to do with a picture: multiply every pixel by the same weight. The picture keeps its size "
        "and its shapes, only brighter. Finding a good number for this weight is all that learning means.",
        _grids(work, material.PICTURE, material.ONE_WEIGHT, "weight"),
        (work.number(0, 0, 0), work.number(0, 1, 0)),
        (size(layer, (1, *material.PICTURE.shape)),),
    )


def pair_of_weights() -> Lesson:
    layer = Conv(1, (1, 2), bias=False)
    work = grey(layer, material.PICTURE_FOR_PAIRS, material.PAIR, "weights")
    return Lesson(
        "pair-of-weights",
        "A pair of weights",
        "Two weights side by side look at two neighbours at once: the left pixel counts fully, and 0.3 of the right "
        "one is added. The pair slides along each row one pixel at a time. It fits four columns at three places, so "
        "the output is one column narrower.",
        _grids(work, material.PICTURE_FOR_PAIRS, material.PAIR, "weights"),
        (work.number(0, 0, 0), work.number(0, 0, 1)),
        (size(layer, (1, *material.PICTURE_FOR_PAIRS.shape)),),
    )


def zeros_at_the_sides() -> Lesson:
    layer = Conv(1, (1, 2), padding=(0, 1), bias=False)
    work = grey(layer, material.PICTURE_FOR_PAIRS, material.PAIR, "weights")
    return Lesson(
        "zeros-at-the-sides",
        "Zeros at the sides",
        "A pixel at the side is seen less often than one in the middle, and the output shrinks. Put a column of zeros "
        "on each side, and every pixel is seen equally often: four columns become five, and the middle three are those "
        "of the lesson before.",
        _grids(work, material.PICTURE_FOR_PAIRS, material.PAIR, "weights"),
        (work.number(0, 0, 0), work.number(0, 0, 4)),
        (
            Value("padding", "zeros left, right, top, bottom", [*[layer.zeros[1]] * 2, *[layer.zeros[0]] * 2]),
            size(layer, (1, *material.PICTURE_FOR_PAIRS.shape)),
        ),
    )


def two_filters() -> Lesson:
    pictures = material.PICTURE_FOR_PAIRS[None]
    weights = np.stack([material.PAIR, material.SECOND_PAIR])[:, None]
    layer = Conv(2, (1, 2), bias=False)
    names = {**FILTER, "weight": "filters", OUT: "outputs"}
    work = convolve(layer, pictures, weights, names=names)
    # two outputs per place, from two neighbours: a convolution over the outputs' two channels inverts it
    undoing = np.linalg.inv(weights[:, 0, 0]).astype(np.float64)[:, :, None, None]
    names = {"input": "outputs", "weight": "undoing", OUT: "recovered"}
    undone = convolve(Conv(2, (1, 1), bias=False), work.output, undoing, names=names)
    return Lesson(
        "two-filters",
        "Two filters that complement each other",
        "The first filter keeps the left of two neighbours and loses most of the right one; the second does the "
        "opposite. Neither output alone tells what the picture was. Both together do: weighted sums of the two give "
        "back each left and each right pixel. This is why a layer has several filters.",
        (
            Grid("picture", "picture", material.PICTURE_FOR_PAIRS),
            Grid("filters", "filters", weights[:, 0]),
            Grid("outputs", "output", work.output, "computed"),
            Grid("undoing", "weights that undo it", undoing[:, :, 0, 0], "computed"),
            Grid("recovered", "given back", undone.output, "computed", channels=("left pixels", "right pixels")),
        ),
        (work.number(0, 0, 0), work.number(1, 0, 0), undone.number(0, 0, 0), undone.number(1, 0, 0)),
        (size(layer, pictures.shape),),
    )


def two_by_two() -> Lesson:
    layer = Conv(1, (2, 2), bias=False)
    work = grey(layer, material.PICTURE_FOR_PAIRS, material.TWO_BY_TWO, "weights")
    return Lesson(
        "two-by-two",
        "A 2x2 weight matrix",
        "Neighbours above and below matter as much as those left and right, so the weights become a small matrix: here "
        "the two pairs, one above the other. It slides to the right and down, and the output is one shorter both ways.",
        _grids(work, material.PICTURE_FOR_PAIRS, material.TWO_BY_TWO, "weights"),
        (work.number(0, 0, 0),),
        (size(layer, (1, *material.PICTURE_FOR_PAIRS.shape)),),
    )


def six_by_six() -> Lesson:
    layer = Conv(1, (3, 3), bias=False)
    work = grey(layer, material.PICTURE_6X6, material.CROSS)
    first = work.number(0, 0, 0)
    nonzero = [term.value for term in first.terms if term.value]
    return Lesson(
        "six-by-six",
        "6x6 with a 3x3 filter",
        "The filter lies on nine pixels; each is multiplied by the weight above it, and the products are added up to "
        "one number of the output. Then it moves on by one. The weights of 0 switch four pixels off, which leaves five "
        "terms. The same nine weights serve at all sixteen places.",
        _grids(work, material.PICTURE_6X6, material.CROSS, "filter"),
        (first,),
        (
            Value("first terms", "its terms that are not 0", nonzero, " + ".join(f"{term:g}" for term in nonzero)),
            Value("first value", "the first number of the output", first.total),
            size(layer, (1, 6, 6)),
        ),
    )


def stride() -> Lesson:
    layer = Conv(1, (3, 3), stride=(2, 2), bias=False)
    work = grey(layer, material.PICTURE_6X6, material.CROSS)
    dense = grey(Conv(1, (3, 3), bias=False), material.PICTURE_6X6, material.CROSS).output[0]
    row, column = material.MISPRINTED_AT
    misprinted = work.output[0].copy()
    misprinted[row, column] = material.MISPRINTED
    corner = work.number(0, row, column)
    [[there, beside]] = np.argwhere(dense == material.MISPRINTED).tolist()
    return Lesson(
        "stride",
        "Stride 2, and a slip in the article",
        "The filter may take larger steps. With stride 2 every second place is left out, in rows and in columns, and "
        "the output has half the size each way. The article prints 412 at the lower right, where the arithmetic gives "
        "851: 412 is the number that stride 1 has in its second row.",
        (
            *_grids(work, material.PICTURE_6X6, material.CROSS, "filter"),
            Grid("misprinted", "as the article prints it", misprinted, "misprinted"),
        ),
        (corner,),
        (
            Value("stride", "places from one to the next", layer.stride[0]),
            Value("lower right", "the lower right number", corner.total),
            Value("misprinted", "as the article prints it", material.MISPRINTED, role="misprinted"),
            Value("where 412 is", "row and column of 412 with stride 1, from 0", [there, beside]),
            size(layer, (1, 6, 6)),
        ),
    )


def same_padding() -> Lesson:
    layer = Conv(1, (3, 3), padding="same", bias=False)
    work = grey(layer, material.PICTURE_6X6, material.CROSS)
    output = work.output[0]
    return Lesson(
        "same-padding",
        "Same padding",
        "With a border of zeros around the picture the output is as large as the picture: 6x6 stays 6x6. The middle "
        "4x4 is what came out without the border.",
        _grids(work, material.PICTURE_6X6, material.CROSS, "filter"),
        (work.number(0, 0, 0),),
        (
            Value("padding", "zeros on each side", layer.zeros[0], "(3 - 1) / 2 = 1"),
            Value("first values", "the first two numbers", output[0, :2].tolist()),
            size(layer, (1, 6, 6)),
        ),
    )


def depth(photo: Floats) -> Lesson:
    """`photo` is (3, H, W), at least 32x32; the lesson uses its central 32x32."""
    top, left = (photo.shape[1] - 32) // 2, (photo.shape[2] - 32) // 2
    colours = photo[:, top : top + 32, left : left + 32]
    layer = Conv(10, (5, 5))
    names = {**FILTER, "weight": "filters"}
    work = convolve(layer, colours, material.DEPTH_FILTERS, material.DEPTH_BIAS, names)
    row, column = material.DEPTH_PLACE
    units = tuple(work.number(channel, row, column) for channel in range(10))
    shape = colours.shape
    per_filter = prod(material.DEPTH_FILTERS.shape[1:])
    colour_names = ("red", "green", "blue")
    patch = colours[:, row : row + 5, column : column + 5]
    return Lesson(
        "depth",
        "32x32x3 with ten filters of 5x5x3",
        "A colour picture has a third dimension: red, green and blue. A filter always spans all of it: 5x5 on "
        "three channels is 5*5*3 weights, and each place gives one number, not three. Ten filters give ten numbers a "
        "place, which become the third dimension of what the next layer sees. "
        f"Here are all ten for the 5x5 pixels from row {row} and column {column} on, one of them worked out.",
        (
            Grid("patch", "picture", patch, channels=colour_names),
            Grid("filter", "filter 1", material.DEPTH_FILTERS[1], channels=colour_names),
            Grid("output", "the ten numbers", np.array([unit.total for unit in units]), "computed"),
        ),
        (units[1],),
        (
            Value("terms", "products in one number", per_filter, f"5*5*3 = {per_filter}"),
            size(layer, shape),
            Value("parameters", "weights and biases", layer.parameters(shape), layer.parameters_formula(shape)),
        ),
    )


def _grids(work: Work, picture: Floats, weight: Floats, name: str) -> tuple[Grid, ...]:
    return (
        Grid("picture", "picture", picture),
        Grid(name, name, weight),
        Grid("output", "output", work.output[0], "computed"),
    )
