"""Why a sum cannot agree with PyTorch's: an intermediate number that its dtype cannot hold."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pellucid.glassbox.arithmetic.declaration import OUT
from pellucid.glassbox.arithmetic.evaluator import Evaluator, Index, Terms
from pellucid.glassbox.arithmetic.expression import Expression
from pellucid.glassbox.arithmetic.precision import PRECISIONS, Precision

CANCELLED = 256
"""Ratio of the operands to a difference that counts as cancelled: the square of twice working.py's ROUNDING."""


def strain(evaluator: Evaluator, unit: float, index: Index = ()) -> str:
    """What overflows, underflows or cancels on the way to one number of "out", in words; "" if nothing does.

    `unit`: of rounding in the dtype of "out". It applies to numbers outside arrays, such as an optimizer's lines.
    """
    last = next(each for each in PRECISIONS.values() if 2.0**-each.digits == unit)
    lines = [(stage.out, terms) for stage in evaluator.op.stages for terms in evaluator.forward(index, stage.out)]
    precisions = [last if name == OUT else PRECISIONS[terms.precision or "float64"] for name, terms in lines]
    wholes = [(name, float(terms.values.sum()), each) for (name, terms), each in zip(lines, precisions, strict=True)]
    parts = [
        (f"{text} in {name}", value, each)
        for (name, terms), each in zip(lines, precisions, strict=True)
        for text, value in _steps(terms)
    ]
    for judge in (_overflow, _underflow):
        for numbers in (wholes, parts):
            if warning := next(filter(None, (judge(*number) for number in numbers)), ""):
                return warning
    return next(filter(None, (_cancelled(name, terms) for name, terms in lines if name != OUT)), "")


def _overflow(text: str, value: float, precision: Precision) -> str:
    if not precision.largest < abs(value) < np.inf:
        return ""
    return f"{text} is {value:.3g}, and the largest number of {_called(precision)} is {precision.largest:.3g}"


def _underflow(text: str, value: float, precision: Precision) -> str:
    if not 0 < abs(value) < 2.0**precision.lowest:
        return ""
    return f"{text} is {value:.3g}, and near 0 the numbers of {_called(precision)} lie {precision.smallest:.2g} apart"


def _cancelled(line: str, terms: Terms) -> str:
    """The root of a cancelled difference has an error that the root of a magnitude does not cover."""
    value = float(terms.values.sum())
    if not CANCELLED * abs(value) < terms.scale < np.inf:
        return ""
    return f"{line} is {value:.3g}, the difference of numbers of the size {terms.scale:.2g}"


def _called(precision: Precision) -> str:
    return next(name for name, each in PRECISIONS.items() if each == precision)


def _steps(terms: Terms) -> Iterator[tuple[str, float]]:
    """(words, value) of each product, quotient or sum inside a line's formula."""
    values = {column.name: column.values for column in terms.columns}
    with np.errstate(all="ignore"):
        for part in _parts(terms.formula):
            if part != terms.formula:
                yield from ((str(part), float(value)) for value in np.ravel(part.evaluate(values)))


def _parts(formula: Expression) -> Iterator[Expression]:
    """The parts of a formula, the innermost first, without names and numbers."""
    for argument in formula.arguments:
        yield from _parts(argument)
    if formula.arguments:
        yield formula
