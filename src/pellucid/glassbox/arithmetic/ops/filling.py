"""Ops that replace all numbers of an array, such as copy_ and fill_. The old numbers do not matter."""

from __future__ import annotations

from pellucid.glassbox.arithmetic.declaration import OUT, Op, Shape, Stage, at, each, numbered
from pellucid.glassbox.arithmetic.expression import names
from pellucid.glassbox.arithmetic.ops import created
from pellucid.glassbox.arithmetic.ops.choosing import Types
from pellucid.glassbox.arithmetic.ops.elementwise import broadcast
from pellucid.glassbox.arithmetic.ops.rounding import converted

INPUT, VALUE = names("input", "value")


def copy(input: Shape, src: Shape, types: Types | None = None) -> Op:
    """Another array's numbers, its axes of length 1 repeated, in the dtype of `input`."""
    return _spread(input, "src", src, types)


def fill(input: Shape, value: Shape | float, types: Types | None = None) -> Op:
    """One number everywhere, in the dtype of `input`."""
    if isinstance(value, tuple):
        return _spread(input, "value", value, types)
    made = (types or {}).get(OUT, "float32")
    return created.full(input, bool(value) if made == "bool" else int(value) if "int" in made else value)


def overwritten(input: Shape, value: Shape) -> Op:
    """value; the whole gradient goes to input, as if the array had been changed under torch.no_grad()."""
    maps = {OUT: at("n"), "input": at("n"), "value": at("n")}
    unchanged = Stage(OUT, each(input), {OUT: at("n"), "input": at("n")}, INPUT)
    changed = Stage(OUT, each(input), maps, VALUE - INPUT, through=False)
    shapes = {"input": input, "value": value, OUT: input}
    return Op("overwriting without a gradient", shapes, ("input", "value"), (unchanged, changed))


def _spread(input: Shape, name: str, source: Shape, types: Types | None) -> Op:
    made, from_type = ((types or {}).get(array, "float32") for array in (OUT, name))
    axes = numbered(input)
    while len(source) > len(input):  # copy_ drops leading axes of length 1
        source = source[1:]
    maps = {OUT: at(*axes), name: broadcast(source, input)}
    term = converted(names(name)[0], made, from_type)
    return Op("overwriting", {name: source, OUT: input}, (name,), (Stage(OUT, axes, maps, term),))
