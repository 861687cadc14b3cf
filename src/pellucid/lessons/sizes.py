"""The sizes of outputs and the numbers of parameters: the network's own formulas, on the article's examples."""

from __future__ import annotations

from math import ceil

import numpy as np

from pellucid.lessons import material
from pellucid.lessons.lesson import Grid, Lesson, Value
from pellucid.network import zoo
from pellucid.network.learning import Conv
from pellucid.network.plan import Plan, plan


def output_size() -> Lesson:
    outputs, formulas = [], []
    for side, kernel, padding, stride, filters, channels in material.SIZES:
        layer = Conv(filters, (kernel, kernel), stride=(stride, stride), padding=(padding, padding))
        shape = (channels, side, side)
        count, height, width = layer.output(shape)
        outputs.append((height, width, count))
        formulas.append(layer.output_formula(shape))
    return Lesson(
        "output-size",
        "How large the output is",
        "A filter of width F on a picture of width W, with P zeros on each side and steps of S, fits at "
        "([W - F + 2P] / S) + 1 places. The third dimension of the output is the number of filters.",
        (
            Grid("settings", "settings", np.array(material.SIZES, np.float64), columns=material.SIZES_OF),
            Grid(
                "output", "output", np.array(outputs, np.float64), "computed", columns=("height", "width", "channels")
            ),
        ),
        values=tuple(
            Value(f"example {number}", _label(*settings), output, formula)
            for number, (settings, output, formula) in enumerate(zip(material.SIZES, outputs, formulas, strict=True), 1)
        ),
    )


def parameters() -> Lesson:
    network, shape = zoo.find("article").network, (3, material.SIDE, material.SIDE)
    two, one = (plan(network, shape, classes, material.BATCH) for classes in (len(material.CLASSES), 1))
    assert two.fully_connected is not None
    instead = two.fully_connected
    held_out = round(material.IMAGES * material.VALIDATION)
    every = ceil((material.IMAGES - held_out) / material.BATCH) * material.EPOCHS
    return Lesson(
        "parameters",
        "Parameters, against a fully connected network",
        "The article's network for cats and dogs: ten filters of 5x5x3 need 760 numbers, whatever the picture's size, "
        "because the same weights serve at every place. A fully connected layer with as many outputs would need one "
        "weight for each pair of input and output. The article prints a summary of one output unit, 219,801 "
        "parameters, beside code with two, which gives 438,842.",
        values=(
            Value("layers", "layers", [row.layer for row in two.rows]),
            Value("shapes", "shapes, one unit", _shapes(one)),
            Value("parameters", "parameters, one unit", _parameters(one), _formulas(one)),
            Value("total", "total, one unit", one.parameters),
            Value("parameters two units", "parameters, two units", _parameters(two), _formulas(two)),
            Value("total two units", "total, two units", two.parameters),
            Value("fully connected", "fully connected", instead.parameters, instead.formula),
            Value("loss", "loss", material.LOSS, role="given"),
            Value("optimizer", "optimizer", material.OPTIMIZER, role="given"),
            Value("metric", "metric", material.METRIC, role="given"),
            Value("images", "pictures", material.IMAGES, role="given"),
            Value("classes", "classes", list(material.CLASSES), role="given"),
            Value("resize", "brought to", (material.SIDE, material.SIDE), role="given"),
            Value("validation split", "share for validation", material.VALIDATION, role="given"),
            Value("batch size", "pictures a step", material.BATCH, role="given"),
            Value("epochs", "epochs", material.EPOCHS, role="given"),
            Value(
                "validation images",
                "pictures for validation",
                held_out,
                f"{material.IMAGES} * {material.VALIDATION} = {held_out}",
            ),
            Value(
                "steps",
                "steps of training",
                every,
                f"ceil(({material.IMAGES} - {held_out}) / {material.BATCH}) * {material.EPOCHS} = {every}",
            ),
        ),
    )


def _label(side: int, kernel: int, padding: int, stride: int, filters: int, channels: int) -> str:
    return f"{side}x{side}x{channels} with {filters} of {kernel}x{kernel}" + (", padded" if padding else "")


def _shapes(planned: Plan) -> list[tuple[int, ...]]:
    """In the form of the article's summary: height, width, channels; ReLU belongs to the layer before it."""
    channels, height, width = planned.input
    outputs = [row.output for row in planned.rows if row.layer != "relu"]
    return [(height, width, channels), *((*output[1:], output[0]) for output in outputs)]


def _parameters(planned: Plan) -> list[int]:
    return [0, *(row.parameters for row in planned.rows if row.layer != "relu")]


def _formulas(planned: Plan) -> str:
    return "; ".join(row.parameters_formula for row in planned.rows if row.parameters)
