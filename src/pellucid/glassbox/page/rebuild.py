"""A whole array from its declaration, and the difference of the recorded bits from it, which an offline page stores.

An array of floating-point numbers hardly compresses. But most arrays of a trace follow from others by an op, and then
the result computed here differs from PyTorch's only in the last bits. These differences compress to a fraction and lose
nothing. A JavaScript twin (web/arithmetic/rebuild.js) computes the same numbers to the last bit, so both use only
arithmetic that is the same everywhere: float64 + - * / max min sqrt, in order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pellucid.glassbox.arithmetic import strided
from pellucid.glassbox.arithmetic.declaration import OUT, Axis, Op, Shape, Stage, Table
from pellucid.glassbox.arithmetic.expression import Expression
from pellucid.glassbox.arithmetic.precision import limited
from pellucid.glassbox.trace.update import Update

if TYPE_CHECKING:
    from pellucid.glassbox.trace.trace import Node, Trace

LIMIT = 4_000_000
"""Most assignments of index names in an array's stages that use lists of indices."""
TERMS = 16
"""Most assignments per number. More of them cost a browser more time than they save in bytes."""
LIMIT_STRIDED = 50_000_000
"""Most assignments in stages with constant steps (strided.py), which take less time."""
TERMS_STRIDED = 4096
ROUNDS = 10_000
"""Most blocks that are added one after the other, for one array."""

Floats = NDArray[np.float64]
Places = NDArray[np.int64]
_ARRIVING = ""
"""The name of the gradient of a stage's out, beside the named arrays."""
_SAME_EVERYWHERE = {
    *("name", "number", "infinity", "+", "-", "*", "/", ">", ">=", "==", "where", "max", "min", "floor", "sqrt")
}


def value(op: Op, inputs: Mapping[str, NDArray[Any]]) -> NDArray[np.float32] | None:
    """The whole of "out", float32; None if it takes too many terms or a function that differs between machines."""
    forward = [(stage, stage.out, stage.reads()) for stage in op.stages]
    if not _cheap(forward, op.shapes, prod(op.shapes[OUT])) or not all(_same_everywhere(s.term) for s in op.stages):
        return None
    arrays: dict[str, NDArray[Any]] = {**inputs, **op.constants}
    made: dict[str, Floats] = {}
    for stage in op.stages:
        flat = _run(stage, op, {**arrays, **made}).reshape(op.shapes[stage.out])
        made[stage.out] = made[stage.out] + flat if stage.out in made else flat
    return _rounded(made[OUT])


def gradient(trace: Trace, name: str) -> NDArray[np.float32] | None:
    """The whole gradient of a node or parameter from the gradients of what reads it; None as for `value`."""
    uses = [node for node in trace.nodes if name in node.reads.values() and node.name in trace.gradients]
    stages = [(node, local, stage) for node in uses for local, stage in _through(node, name)]
    if not stages or any(node.op is None or any(s.out != OUT for s in node.op.stages) for node in uses):
        return None
    for node, local, stage in stages:
        assert node.op is not None
        back = [(stage, local, (*stage.reads(), stage.out))]
        if not _cheap(back, node.op.shapes, trace.values[name].size):
            return None
    if not all(_same_everywhere(s.term.derivative(local)) and (s.pick == "sum" or _bare(s)) for _, local, s in stages):
        return None
    total = np.zeros(trace.values[name].size)
    for node, local, stage in stages:
        assert node.op is not None
        arrays = {own: trace.values[source] for own, source in node.reads.items()} | dict(node.op.constants)
        total += _run_back(stage, node.op, local, arrays, trace.gradients[node.name])
    return _rounded(total.reshape(trace.values[name].shape))


def update(step: Update, gradient: NDArray[Any]) -> NDArray[np.float32] | None:
    """All weights after an optimizer's step; None as for `value`."""
    if step.op is None or step.before.size * len(step.op.stages) > LIMIT:
        return None
    if not all(_same_everywhere(stage.term) for stage in step.op.stages):
        return None
    inputs = {"weight": step.before, "gradient": gradient, **step.remembered}
    arrays: dict[str, NDArray[Any]] = {**inputs, **step.op.constants}
    with np.errstate(all="ignore"):
        for stage in step.op.stages:
            arrays[stage.out] = limited(stage.term.evaluate(arrays), stage.precision)
    return _rounded(np.broadcast_to(arrays[OUT], step.before.shape))


def difference(recorded: NDArray[np.float32], rebuilt: NDArray[np.float32]) -> NDArray[np.uint32]:
    """The distance of the bits, read as whole numbers: 0, -1, 1, -2, 2, ... become 0, 1, 2, 3, 4, ... (zigzag)."""
    apart = _bits(recorded) - _bits(rebuilt)  # wraps around, as on the way back
    return ((apart << 1) ^ (apart >> 31)).view(np.uint32)


def restored(stored: NDArray[np.uint32], rebuilt: NDArray[np.float32]) -> NDArray[np.float32]:
    """The recorded array: the inverse of `difference`."""
    apart = (stored >> 1).astype(np.int32) ^ -(stored & 1).astype(np.int32)
    return (_bits(rebuilt) + apart).view(np.float32)


def _bits(array: NDArray[np.float32]) -> NDArray[np.int32]:
    return np.ascontiguousarray(array, np.float32).reshape(array.shape).view(np.int32)


def _rounded(numbers: Floats) -> NDArray[np.float32] | None:
    with np.errstate(all="ignore"):
        rounded = np.asarray(numbers, np.float32) + np.float32(0)  # no -0, whose sign max may or may not preserve
    return rounded if np.isfinite(rounded).all() else None


def _cheap(stages: Sequence[tuple[Stage, str, Sequence[str]]], shapes: Mapping[str, Shape], numbers: int) -> bool:
    """Whether these stages, each with the array that it adds to and those that it reads, are fast enough to pay.

    `numbers`: of the array that they make.
    """
    listed, by_steps = 0, 0
    for stage, to, reads in stages:
        count = prod(stage.ranges.values())
        frames = _frames(stage, (to, *reads), shapes)
        if frames is None:
            listed += count
            continue
        loops, _ = strided.parted(stage.ranges, frames[to])
        if prod(stage.ranges[name] for name in loops) > ROUNDS:
            return False
        by_steps += count
    return listed <= min(LIMIT, TERMS * numbers) and by_steps <= min(LIMIT_STRIDED, TERMS_STRIDED * numbers)


def _frames(stage: Stage, names: Sequence[str], shapes: Mapping[str, Shape]) -> dict[str, strided.Frame] | None:
    """How a stage addresses these arrays by steps; None if it picks, or if there is a table instead of a step."""
    if stage.pick != "sum":
        return None
    frames = {name: strided.frame(stage.maps[name], shapes[name], stage.ranges) for name in names}
    known = {name: frame for name, frame in frames.items() if frame is not None}
    return known if len(known) == len(frames) else None


def _same_everywhere(term: Expression) -> bool:
    return term.head in _SAME_EVERYWHERE and all(map(_same_everywhere, term.arguments))


def _bare(stage: Stage) -> bool:
    """Whether the stage picks the first of the largest numbers of one array, as in max pooling."""
    return stage.term.head == "name" and stage.ties == "first"


def _through(node: Node, name: str) -> list[tuple[str, Stage]]:
    """(the op's name of the array, stage) of each stage of a node through which the array gets a gradient."""
    if node.op is None:
        return []
    names = [local for local, source in node.reads.items() if source == name]
    return [(local, stage) for local in names for stage in node.op.stages if stage.through and local in stage.reads()]


def _run(stage: Stage, op: Op, arrays: Mapping[str, NDArray[Any]]) -> Floats:
    """A stage's out, flat, over all its assignments in order."""
    frames = _frames(stage, (stage.out, *stage.reads()), op.shapes)
    if frames is not None:
        reads = {name: (frames[name], arrays[name]) for name in stage.reads()}
        with np.errstate(all="ignore"):
            return strided.added(stage.ranges, frames[stage.out], reads, stage.term.evaluate)
    to, written = _places(stage, stage.out, op.shapes)
    count = prod(op.shapes[stage.out])
    if stage.pick == "max":
        out = np.full(count, -np.inf)
        for name in stage.reads():
            written = written & _places(stage, name, op.shapes)[1]
        np.maximum.at(out, to[written], _evaluated(stage.term, stage, op, arrays)[written])
        return out
    return _added(to, written, _evaluated(stage.term, stage, op, arrays), count)


def _run_back(stage: Stage, op: Op, name: str, arrays: Mapping[str, NDArray[Any]], arriving: NDArray[Any]) -> Floats:
    """A stage's contribution to the gradient of one of the arrays that it reads, flat."""
    slope = stage.term.derivative(name)
    frames = _frames(stage, (name, stage.out, *stage.reads()), op.shapes)
    if frames is not None:
        reads = {each: (frames[each], arrays[each]) for each in slope.names()}
        reads[_ARRIVING] = frames[stage.out], arriving
        with np.errstate(all="ignore"):
            return strided.added(stage.ranges, frames[name], reads, lambda v: v[_ARRIVING] * slope.evaluate(v))
    to, written = _places(stage, name, op.shapes)
    out, inside = _places(stage, stage.out, op.shapes)
    gradients = arriving.reshape(-1).astype(np.float64)
    count = prod(op.shapes[name])
    if stage.pick == "max":
        used = written & inside
        rows = _winners(arrays[name].reshape(-1)[to[used]].astype(np.float64), out[used], len(gradients))
        return np.bincount(to[used][rows], gradients[out[used][rows]], count).astype(np.float64)
    slopes = _evaluated(slope, stage, op, arrays)
    return _added(to, written & inside, gradients[np.where(inside, out, 0)] * slopes, count)


def _winners(candidates: Floats, of: Places, count: int) -> Places:
    """Rows of the first of the largest candidates of each output, in the order of rows."""
    largest = np.full(count, -np.inf)
    np.maximum.at(largest, of, candidates)
    rows = np.flatnonzero(candidates == largest[of])
    _, first = np.unique(of[rows], return_index=True)
    return np.sort(rows[first])


def _added(to: Places, written: NDArray[np.bool_], terms: Floats, count: int) -> Floats:
    return np.bincount(to[written], terms[written], count).astype(np.float64)


def _evaluated(term: Expression, stage: Stage, op: Op, arrays: Mapping[str, NDArray[Any]]) -> Floats:
    values = {name: _read(stage, name, op.shapes, arrays)[0] for name in term.names()}
    with np.errstate(all="ignore"):
        return np.broadcast_to(term.evaluate(values), (prod(stage.ranges.values()),)).astype(np.float64)


def _read(
    stage: Stage, name: str, shapes: Mapping[str, Shape], arrays: Mapping[str, NDArray[Any]]
) -> tuple[Floats, NDArray[np.bool_]]:
    """(numbers, inside) of an array for each assignment; 0 outside the array."""
    places, inside = _places(stage, name, shapes)
    values = np.zeros(len(places))
    values[inside] = arrays[name].reshape(-1)[places[inside]]
    return values, inside


def _places(stage: Stage, name: str, shapes: Mapping[str, Shape]) -> tuple[Places, NDArray[np.bool_]]:
    """(flat position, inside) in an array for each assignment of the ranges, row by row, the last name fastest."""
    ranges, axes = stage.ranges, stage.maps[name]
    shape = shapes[name] if len(axes) == len(shapes[name]) else (prod(shapes[name]),)
    flat, inside = np.zeros((1,) * len(ranges), np.int64), np.ones((1,) * len(ranges), bool)
    for axis, size in zip(axes, shape, strict=True):
        along = _along(axis, ranges)
        inside = inside & (along >= 0) & (along < size)
        flat = flat * size + along
    every = tuple(ranges.values())
    return np.broadcast_to(flat, every).reshape(-1), np.broadcast_to(inside, every).reshape(-1)


def _along(axis: Axis, ranges: Mapping[str, int]) -> Places:
    """The index along one axis, with an axis for each name of the ranges (of length 1 if it does not depend on it)."""
    position = np.full((1,) * len(ranges), axis.offset, np.int64)
    for name, step in axis.steps:
        number = list(ranges).index(name)
        steps = step.places if isinstance(step, Table) else np.arange(ranges[name]) * step
        position = position + steps.reshape((-1,) + (1,) * (len(ranges) - number - 1))
    return position
