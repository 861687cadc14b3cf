"""Padding around an array: zeros, another number, or numbers of the array itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pellucid.glassbox.arithmetic.declaration import OUT, Axis, Op, Shape, Stage, at, numbered, table
from pellucid.glassbox.arithmetic.expression import names, number
from pellucid.glassbox.arithmetic.ops.shaping import moved

INPUT = names("input")[0]
_NUMPY = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}  # PyTorch's name -> NumPy's


def pad(input: Shape, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Op:
    """`pad` is before and after, last axis first; negative numbers cut off.

    Modes: "constant", or from the array itself: "reflect" (without the edge), "replicate" (the edge), "circular".
    """
    if mode != "constant":
        return _from_itself(input, pad, mode)
    before, after = _sides(input, pad)
    out = tuple(n + lo + hi for n, lo, hi in zip(input, before, after, strict=True))
    axes = list(numbered(input))
    if not value:  # indices outside the array already read zero
        source = at(*(Axis(((axis, 1),), -lo) for axis, lo in zip(axes, before, strict=True)))
        return moved("padding", input, out, numbered(out), at(*axes), source)
    starts = [max(lo, 0) for lo in before]
    ends = [n - max(hi, 0) for n, hi in zip(out, after, strict=True)]
    inside = {axis: end - start for axis, start, end in zip(axes, starts, ends, strict=True)}
    source = at(*(Axis(((axis, 1),), max(-lo, 0)) for axis, lo in zip(axes, before, strict=True)))
    stages = [Stage(OUT, inside, {OUT: _from(axes, starts), "input": source}, INPUT)]
    for axis, size in enumerate(out):  # a slab before and one after; along earlier axes, only the inside
        for start, end in ((0, starts[axis]), (ends[axis], size)):
            if end > start:
                first = [*starts[:axis], start, *[0] * (len(out) - axis - 1)]
                ranges = {**dict(list(inside.items())[:axis]), axes[axis]: end - start}
                ranges |= dict(zip(axes[axis + 1 :], out[axis + 1 :], strict=True))
                stages.append(Stage(OUT, ranges, {OUT: _from(axes, first)}, number(value)))
    return Op("padding", {"input": input, OUT: out}, ("input",), tuple(stages))


def reflection_pad(input: Shape, padding: Sequence[int]) -> Op:
    """Mirrored at the edge, which does not repeat: 2 1 | 0 1 2."""
    return _from_itself(input, padding, "reflect")


def replication_pad(input: Shape, padding: Sequence[int]) -> Op:
    """The edge repeated: 0 0 | 0 1 2."""
    return _from_itself(input, padding, "replicate")


def _from_itself(input: Shape, pad: Sequence[int], mode: str) -> Op:
    before, after = _sides(input, pad)
    sources = [_places(n, lo, hi, mode) for n, lo, hi in zip(input, before, after, strict=True)]
    out = tuple(len(places) for places in sources)
    ranges = numbered(out)
    padded = zip(ranges, sources, before, after, strict=True)
    source = at(*(table(axis, places) if lo or hi else axis for axis, places, lo, hi in padded))
    return moved(f"{mode} padding", input, out, ranges, at(*ranges), source)


def _places(n: int, lo: int, hi: int, mode: str) -> NDArray[np.int64]:
    """For each place of a padded axis, its place in the original. "circular" wraps around what is not cut off."""
    places = np.arange(n)
    if mode == "circular":
        places = places[max(-lo, 0) : n - max(-hi, 0)]
    grown = np.pad(places, (max(lo, 0), max(hi, 0)), mode=_NUMPY[mode])  # type: ignore[call-overload]
    return grown if mode == "circular" else grown[max(-lo, 0) : len(grown) - max(-hi, 0)]


def _sides(input: Shape, pad: Sequence[int]) -> tuple[list[int], list[int]]:
    """(before, after) of each axis."""
    before, after = [0] * len(input), [0] * len(input)
    for index in range(len(pad) // 2):
        before[-1 - index], after[-1 - index] = pad[2 * index], pad[2 * index + 1]
    return before, after


def _from(axes: Sequence[str], starts: Sequence[int]) -> tuple[Axis, ...]:
    return at(*(Axis(((axis, 1),), start) for axis, start in zip(axes, starts, strict=True)))
