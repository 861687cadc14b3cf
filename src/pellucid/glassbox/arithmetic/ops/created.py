"""Arrays that an operator creates; at most their shape comes from another array."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pellucid.glassbox.arithmetic.declaration import OUT, Op, Shape, Stage, at, each
from pellucid.glassbox.arithmetic.expression import names, number


def zeros(out: Shape) -> Op:
    return full(out, 0)


def ones(out: Shape) -> Op:
    return full(out, 1)


def full(out: Shape, fill_value: float) -> Op:
    """One number everywhere."""
    return Op("one number everywhere", {OUT: out}, (), (Stage(OUT, each(out), {OUT: at("n")}, number(fill_value)),))


def scalar_tensor(out: Shape, s: float) -> Op:
    return full(out, s)


def arange(out: Shape, start: float = 0, step: float = 1) -> Op:
    """start, start + step, start + 2 * step, ..."""
    return _row(out, start + step * np.arange(out[0], dtype=np.float64))


def linspace(out: Shape, start: float, end: float) -> Op:
    """From start to end in equal steps."""
    return _row(out, np.linspace(start, end, out[0]))


def eye(out: Shape) -> Op:
    """1 on the diagonal, else 0."""
    stage = Stage(OUT, {"n": min(out)}, {OUT: at("n", "n")}, number(1))
    return Op("diagonal of ones", {OUT: out}, (), (stage,))


def _row(out: Shape, numbers: NDArray[np.float64]) -> Op:
    stage = Stage(OUT, {"n": out[0]}, {OUT: at("n"), "numbers": at("n")}, names("numbers")[0])
    return Op("range of numbers", {"numbers": out, OUT: out}, (), (stage,), {"numbers": numbers})
