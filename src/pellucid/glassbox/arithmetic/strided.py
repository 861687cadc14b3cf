"""Sum over all assignments of a stage through views: no list of indices is written, for any number of assignments.

Every array lies in a frame of zeros that is large enough for all addresses of the stage, so no address is outside. An
assignment's place in it is then a sum of fixed steps, one for each index name. The names are divided in two. The block
has names that lead to different places of the result, and is computed at once; loops over the other names add one block
after the other. So the order of addition is fixed for each number, and web/arithmetic/strided.js adds in the same
order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from pellucid.glassbox.arithmetic.declaration import Axis, Shape, Table

Floats = NDArray[np.float64]

BLOCK = 1 << 15
"""Numbers of a block that are computed together: they stay in a core's cache during the loops."""


@dataclass(frozen=True)
class Frame:
    """How a stage addresses an array."""

    shape: Shape
    before: tuple[int, ...]
    """Zeros before the array, along each axis."""
    after: tuple[int, ...]
    first: int
    """The flat place, in the frame, of the assignment with all values 0."""
    steps: Mapping[str, int]
    """Flat places between one value of an index name and the next."""

    @property
    def whole(self) -> Shape:
        """The shape with its zeros."""
        return tuple(lo + n + hi for lo, n, hi in zip(self.before, self.shape, self.after, strict=True))

    def framed(self, array: NDArray[np.generic]) -> Floats:
        """The array in its frame, flat."""
        plain = np.asarray(array).reshape(self.shape).astype(np.float64)
        if self.whole == self.shape:
            return plain.reshape(-1)
        return np.pad(plain, list(zip(self.before, self.after, strict=True))).reshape(-1)

    def inside(self, framed: Floats) -> Floats:
        """The array without its frame, flat."""
        places = (slice(lo, lo + n) for lo, n in zip(self.before, self.shape, strict=True))
        return np.ascontiguousarray(framed.reshape(self.whole)[tuple(places)]).reshape(-1)

    def view(self, framed: Floats, ranges: Mapping[str, int]) -> Floats:
        """The number of each assignment: an axis for each name of the ranges."""
        size = framed.itemsize
        return as_strided(
            framed[self.first :], tuple(ranges.values()), tuple(size * self.steps[name] for name in ranges)
        )


def frame(axes: Sequence[Axis], shape: Shape, ranges: Mapping[str, int]) -> Frame | None:
    """How an array is addressed; None if there is a table instead of a step."""
    if any(isinstance(step, Table) for axis in axes for _, step in axis.steps):
        return None
    shape = shape if len(axes) == len(shape) else (prod(shape),)
    lowest = [axis.offset + sum(min(0, step * (ranges[name] - 1)) for name, step in _steps(axis)) for axis in axes]
    highest = [axis.offset + sum(max(0, step * (ranges[name] - 1)) for name, step in _steps(axis)) for axis in axes]
    before = tuple(max(0, -low) for low in lowest)
    after = tuple(max(0, high - (size - 1)) for high, size in zip(highest, shape, strict=True))
    whole = [lo + n + hi for lo, n, hi in zip(before, shape, after, strict=True)]
    flat = [prod(whole[axis + 1 :]) for axis in range(len(whole))]
    steps = dict.fromkeys(ranges, 0)
    for axis, stride in zip(axes, flat, strict=True):
        for name, step in _steps(axis):
            steps[name] += step * stride
    first = sum((axis.offset + lo) * stride for axis, lo, stride in zip(axes, before, flat, strict=True))
    return Frame(tuple(shape), before, after, first, steps)


def parted(ranges: Mapping[str, int], to: Frame) -> tuple[list[str], list[str]]:
    """(names of the loops, names of the block), each in the order of the ranges. A name of one value is in neither.

    The block has the names with the most values, such that two assignments never lead to one place.
    """
    several = [name for name, count in ranges.items() if count > 1]
    block: list[str] = []
    for name in sorted(several, key=lambda name: -ranges[name]):
        if _apart([*block, name], ranges, to.steps):
            block.append(name)
    return [name for name in several if name not in block], [name for name in several if name in block]


def added(
    ranges: Mapping[str, int],
    to: Frame,
    reads: Mapping[str, tuple[Frame, NDArray[np.generic]]],
    term: Callable[[Mapping[str, Floats]], Floats | float],
) -> Floats:
    """The sums, flat in the shape of `to`: of `term` over all assignments, each of which reads one number per array."""
    if not all(ranges.values()):
        return np.zeros(prod(to.shape))
    loops, block = parted(ranges, to)
    order = {name: ranges[name] for name in (*loops, *block)}
    total = np.zeros(prod(to.whole))
    into = to.view(total, order)
    views = {name: frame.view(frame.framed(array), order) for name, (frame, array) in reads.items()}
    each = list(product(*(range(ranges[name]) for name in loops)))
    for part in _parts([ranges[name] for name in block]):
        for at in each:
            place = (*at, *part)
            into[place] += term({name: view[place] for name, view in views.items()})
    return to.inside(total)


def _steps(axis: Axis) -> Iterator[tuple[str, int]]:
    yield from ((name, step) for name, step in axis.steps if isinstance(step, int))


def _apart(names: Sequence[str], ranges: Mapping[str, int], steps: Mapping[str, int]) -> bool:
    """Whether all assignments lead to different places: each step is longer than all shorter ones together."""
    reach = 0
    for name in sorted(names, key=lambda name: abs(steps[name])):
        if abs(steps[name]) <= reach:
            return False
        reach += abs(steps[name]) * (ranges[name] - 1)
    return True


def _parts(sizes: Sequence[int]) -> Iterator[tuple[slice, ...]]:
    """The block in parts of about BLOCK numbers, along its first axis."""
    if not sizes:
        yield ()
        return
    at_once = max(1, BLOCK // prod(sizes[1:]))
    for start in range(0, sizes[0], at_once):
        yield (slice(start, start + at_once),)
