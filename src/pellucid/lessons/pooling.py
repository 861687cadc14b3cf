"""Max, average and L2-norm pooling of the article's 4x4 map."""

from __future__ import annotations

from pellucid.glassbox.arithmetic.declaration import OUT
from pellucid.glassbox.arithmetic.ops import pooling as ops
from pellucid.lessons import material
from pellucid.lessons.convolution import grey
from pellucid.lessons.lesson import Grid, Lesson, Value
from pellucid.lessons.work import Work
from pellucid.network.learning import Conv
from pellucid.network.pooling import MaxPool


def pooling() -> Lesson:
    layer = MaxPool((2, 2))
    before = grey(Conv(1, (3, 3), bias=False), material.PICTURE_6X6, material.CROSS).output
    declared = {
        "largest": ops.max_pool(before.shape, layer.size, layer.step),
        "average": ops.avg_pool(before.shape, layer.size, layer.step),
        "L2 norm": ops.lp_pool(before.shape, layer.size, layer.step),
    }
    works = {
        name: Work(op, {"input": before}, {"input": "map", OUT: name, "sum": "sum of squares"})
        for name, op in declared.items()
    }
    norm = works["L2 norm"]
    _, *size = layer.output(before.shape)
    return Lesson(
        "pooling",
        "Max, average and L2-norm pooling",
        "Pooling makes a map smaller and has no weights: each window of 2x2 becomes one number. Max pooling keeps the "
        "largest: a detected pattern stays detected, and its exact place matters less. Average pooling takes the mean; "
        "L2-norm pooling the root of the sum of squares.",
        (
            Grid("map", "the output of 6x6 with 3x3", before[0], "computed"),
            *(Grid(name, name, work.output[0], "computed") for name, work in works.items()),
        ),
        (
            works["largest"].number(0, 0, 0),
            works["average"].number(0, 0, 0),
            norm.number(0, 0, 0, name="sum"),
            norm.number(0, 0, 0),
        ),
        (
            Value("size", "pixels a side of a window", layer.size[0]),
            Value("stride", "places from one to the next", layer.step[0]),
            Value("output size", "the output's size", tuple(size), layer.output_formula(before.shape)),
        ),
    )
