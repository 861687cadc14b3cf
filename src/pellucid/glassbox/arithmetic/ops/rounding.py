"""Whole numbers, and dtypes. A rounded number does not change for a small change of its input: the gradient is 0."""

from __future__ import annotations

from pellucid.glassbox.arithmetic.declaration import OUT, Op, Shape
from pellucid.glassbox.arithmetic.expression import Expression, at_least, floor, nearest, where
from pellucid.glassbox.arithmetic.ops.choosing import Types, true
from pellucid.glassbox.arithmetic.ops.elementwise import INPUT, alone


def floor_of(input: Shape) -> Op:
    """The next whole number below, or the number itself."""
    return alone("rounded down", input, floor(INPUT))


def ceil(input: Shape) -> Op:
    """The next whole number above, or the number itself."""
    return alone("rounded up", input, -floor(-INPUT))


def trunc(input: Shape) -> Op:
    """The number without its fraction."""
    return alone("cut off", input, _whole(INPUT))


def round_of(input: Shape, decimals: int = 0) -> Op:
    """The nearest whole number, ties to even; with decimals the nearest multiple of a tenth, a hundredth, ..."""
    scale = 10.0**decimals
    return alone("rounded", input, nearest(INPUT * scale) / scale)


def cast(input: Shape, types: Types | None = None) -> Op:
    """The same numbers, rounded to another dtype; a whole number loses its fraction.

    No gradient passes through whole numbers, true and false.
    """
    made, source = ((types or {}).get(name, "float32") for name in (OUT, "input"))
    if made == "bool":
        kind = "true where not 0"
    else:
        kind = "cut off" if "int" in made and "float" in source else "same numbers"
    return alone(kind, input, converted(INPUT, made, source))


def converted(x: Expression, made: str, source: str) -> Expression:
    """A number of the dtype `source` ("float32") converted to the dtype `made`."""
    if made == "bool":
        return true(x)
    return _whole(x) if "int" in made and "float" in source else x


def _whole(x: Expression) -> Expression:
    return where(at_least(x, 0), floor(x), -floor(-x))
