"""Ops that choose between numbers, or compare them. True is 1 and false is 0."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

from pellucid.glassbox.arithmetic.declaration import OUT, Op, Shape, Stage, at, numbered
from pellucid.glassbox.arithmetic.expression import (
    Expression,
    at_least,
    equal,
    greater,
    maximum,
    minimum,
    names,
    number,
    where,
)
from pellucid.glassbox.arithmetic.ops import elementwise
from pellucid.glassbox.arithmetic.ops.elementwise import INPUT, alone, broadcast

MIN, MAX = names("min", "max")
Operand = Shape | float
Types = Mapping[str, str]
"""The dtypes of an operator's arrays by their names, "float32"; "out" is its result."""


def joined(kind: str, operands: Mapping[str, Operand | None], formula: Callable[..., Expression]) -> Op:
    """out = formula(operands), each an array, a number or None; arrays are broadcast as in NumPy."""
    arrays = {name: value for name, value in operands.items() if isinstance(value, tuple)}
    count = max(map(len, arrays.values()))
    padded = ((1,) * (count - len(shape)) + shape for shape in arrays.values())
    out = tuple(0 if 0 in sizes else max(sizes) for sizes in zip(*padded, strict=True))
    ranges = numbered(out)
    maps = {OUT: at(*ranges), **{name: broadcast(shape, out) for name, shape in arrays.items()}}
    values = [
        names(name)[0] if isinstance(value, tuple) else None if value is None else number(float(value))
        for name, value in operands.items()
    ]
    stage = Stage(OUT, ranges, maps, formula(*values))
    return Op(kind, {**arrays, OUT: out}, tuple(arrays), (stage,))


def where_of(condition: Shape, input: Operand, other: Operand) -> Op:
    """input where the condition is true, else other. The gradient goes to the chosen number."""
    return joined("choice", {"condition": condition, "input": input, "other": other}, where)


def masked_fill(input: Shape, mask: Shape, value: Operand) -> Op:
    """value where the mask is true, else input."""
    return joined("masking", {"mask": mask, "value": value, "input": input}, where)


def maximum_of(input: Operand, other: Operand) -> Op:
    """The larger of two. If they are equal, each gets half of the gradient, the mean of both orders."""
    return joined("larger of two", {"input": input, "other": other}, larger)


def minimum_of(input: Operand, other: Operand) -> Op:
    """The smaller of two. If they are equal, each gets half of the gradient."""
    return joined(
        "smaller of two", {"input": input, "other": other}, lambda a, b: (minimum(a, b) + minimum(b, a)) * 0.5
    )


def larger(a: Expression, b: Expression) -> Expression:
    return (maximum(a, b) + maximum(b, a)) * 0.5


def fmax(input: Operand, other: Operand) -> Op:
    """The larger of two. If they are equal, the first gets the gradient."""
    return joined("larger of two", {"input": input, "other": other}, lambda a, b: maximum(b, a))


def fmin(input: Operand, other: Operand) -> Op:
    """The smaller of two. If they are equal, the first gets the gradient."""
    return joined("smaller of two", {"input": input, "other": other}, lambda a, b: minimum(b, a))


def clamp(input: Shape, min: Operand | None = None, max: Operand | None = None) -> Op:
    """min(max, max(min, x)). At a bound the gradient goes to x; beyond it to the bound, if that is an array."""
    if not isinstance(min, tuple) and not isinstance(max, tuple):
        return elementwise.clamp(input, min, max)

    def bounded(x: Expression, low: Expression | None, high: Expression | None) -> Expression:
        raised = x if low is None else maximum(low, x)
        return raised if high is None else minimum(high, raised)

    operands = {"input": input, "min": min, "max": max}
    if min is None or max is None:
        return joined("clamp", operands, bounded)
    # below two equal bounds, PyTorch's gradient goes nowhere
    nobody = equal(MIN, MAX) * greater(MIN, INPUT)
    op = joined("clamp", operands, lambda x, low, high: where(nobody, 0, bounded(x, low, high)))
    (stage,) = op.stages
    return replace(op, stages=(stage, replace(stage, term=where(nobody, MAX, 0), through=False)))


def clamp_min(input: Shape, min: Operand) -> Op:
    return clamp(input, min)


def clamp_max(input: Shape, max: Operand) -> Op:
    return clamp(input, None, max)


def sign(input: Shape) -> Op:
    """1, 0 or -1; its gradient is 0."""
    return alone("sign", input, greater(INPUT, 0) - greater(0, INPUT))


def eq(input: Operand, other: Operand, types: Types | None = None) -> Op:
    return _compared("equal", input, other, types, equal)


def ne(input: Operand, other: Operand, types: Types | None = None) -> Op:
    return _compared("not equal", input, other, types, lambda a, b: 1 - equal(a, b))


def gt(input: Operand, other: Operand, types: Types | None = None) -> Op:
    return _compared("greater", input, other, types, greater)


def ge(input: Operand, other: Operand, types: Types | None = None) -> Op:
    return _compared("greater or equal", input, other, types, at_least)


def lt(input: Operand, other: Operand, types: Types | None = None) -> Op:
    return _compared("less", input, other, types, lambda a, b: greater(b, a))


def le(input: Operand, other: Operand, types: Types | None = None) -> Op:
    return _compared("less or equal", input, other, types, lambda a, b: at_least(b, a))


def logical_and(input: Shape, other: Operand) -> Op:
    return joined("and", {"input": input, "other": other}, lambda a, b: true(a) * true(b))


def logical_or(input: Shape, other: Operand) -> Op:
    return joined("or", {"input": input, "other": other}, lambda a, b: maximum(true(a), true(b)))


def logical_xor(input: Shape, other: Operand) -> Op:
    return joined("either", {"input": input, "other": other}, lambda a, b: 1 - equal(true(a), true(b)))


def logical_not(input: Shape) -> Op:
    return alone("not", input, equal(INPUT, 0))


def bitwise_and(input: Shape, other: Operand, types: Types | None = None) -> Op | None:
    """Logical and; the bits of whole numbers are not supported. The same holds for or, xor and not."""
    return logical_and(input, other) if _truths(types) else None


def bitwise_or(input: Shape, other: Operand, types: Types | None = None) -> Op | None:
    return logical_or(input, other) if _truths(types) else None


def bitwise_xor(input: Shape, other: Operand, types: Types | None = None) -> Op | None:
    return logical_xor(input, other) if _truths(types) else None


def bitwise_not(input: Shape, types: Types | None = None) -> Op | None:
    return logical_not(input) if _truths(types) else None


def isnan(input: Shape) -> Op:
    """Not a number equals nothing, not even itself."""
    return alone("is not a number", input, 1 - equal(INPUT, INPUT))


def isinf(input: Shape) -> Op:
    return alone("is infinite", input, equal(maximum(INPUT, -INPUT), number(math.inf)))


def isfinite(input: Shape) -> Op:
    return alone("is finite", input, greater(number(math.inf), maximum(INPUT, -INPUT)))


def true(value: Expression) -> Expression:
    """1 where a number counts as true, as every number except 0 does."""
    return 1 - equal(value, 0)


def _truths(types: Types | None) -> bool:
    return (types or {}).get(OUT) == "bool"


def _compared(
    kind: str,
    input: Operand,
    other: Operand,
    types: Types | None,
    formula: Callable[[Expression, Expression], Expression],
) -> Op:
    """PyTorch compares in the array's precision, so a number is rounded to it."""
    if isinstance(other, float) and "float" in (dtype := (types or {}).get("input", "")):
        import torch

        other = torch.tensor(other, dtype=getattr(torch, dtype)).item()
    return joined(kind, {"input": input, "other": other}, formula)
