"""The parts of a lesson: a few sentences, grids of numbers, some numbers worked out term by term, single values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Role = Literal["given", "computed", "misprinted"]


@dataclass(frozen=True, eq=False)
class Grid:
    """A named array: pictures and weights as inputs, outputs and gradients as results."""

    name: str
    title: str
    numbers: Floats
    """(columns,), (rows, columns), or (channels, rows, columns)."""
    role: Role = "given"
    shown: Literal["numbers", "shades", "strength"] = "numbers"
    """How a viewer draws it: numbers, grey from 0 to 255, or grey by the absolute value."""
    columns: tuple[str, ...] = ()
    """Headings, if the columns mean different things."""
    channels: tuple[str, ...] = ()
    """Their names, if they have some."""

    def as_json(self) -> dict[str, Any]:
        headings = {name: list(getattr(self, name)) for name in ("columns", "channels") if getattr(self, name)}
        shape = list(self.numbers.shape)
        return {"title": self.title, "role": self.role, "shape": shape, "numbers": self.numbers.tolist(), **headings}


@dataclass(frozen=True)
class Factor:
    """One number in a term: `picture[0, 2]`. Outside its array it is a zero of the padding."""

    name: str
    index: tuple[int, ...]
    value: float
    inside: bool = True

    def __str__(self) -> str:
        if not self.inside:
            return "zero at the side"
        return f"{self.name}[{', '.join(map(str, self.index))}]" if self.index else self.name

    def as_json(self) -> dict[str, Any]:
        return {"name": self.name, "index": list(self.index), "value": self.value, "inside": self.inside}


@dataclass(frozen=True)
class Term:
    factors: tuple[Factor, ...]
    written: str
    """With its numbers, rounded for reading: "18 * 1"."""
    value: float
    running: float
    """The sum, or the largest, from the first term to this one."""
    won: bool = False
    """Whether this one is the largest, if the largest is picked."""

    def as_json(self) -> dict[str, Any]:
        return {
            "factors": [factor.as_json() for factor in self.factors],
            "written": self.written,
            "value": self.value,
            "running": self.running,
            "won": self.won,
        }


@dataclass(frozen=True)
class WorkedPart:
    """Terms of one formula. A convolution's unit has two parts, the products and the bias."""

    formula: str
    pick: Literal["sum", "max"]
    terms: tuple[Term, ...]
    total: float

    def as_json(self) -> dict[str, Any]:
        terms = [term.as_json() for term in self.terms]
        return {"formula": self.formula, "pick": self.pick, "terms": terms, "total": self.total}


@dataclass(frozen=True)
class Worked:
    """One number and its working. Without parts it is 0: nothing reaches it."""

    of: Factor
    """Its place and its value."""
    rule: str
    """For every number of its array: "output[y, x] = sum over ky, kx of picture[y + ky, x + kx] * filter[ky, kx]"."""
    parts: tuple[WorkedPart, ...]

    @property
    def name(self) -> str:
        return str(self.of)

    @property
    def total(self) -> float:
        return self.of.value

    @property
    def terms(self) -> tuple[Term, ...]:
        return tuple(term for part in self.parts for term in part.terms)

    def as_json(self) -> dict[str, Any]:
        place = {"name": self.of.name, "index": list(self.of.index)}
        return {"of": place, "rule": self.rule, "parts": [p.as_json() for p in self.parts], "total": self.total}


@dataclass(frozen=True)
class Value:
    """A single number, or a few that belong together, such as a shape."""

    name: str
    title: str
    value: int | float | str | list[Any] | tuple[int, ...]
    """A tuple is a size: height, width, channels."""
    formula: str = ""
    role: Role = "computed"

    def as_json(self) -> dict[str, Any]:
        formula = {"formula": self.formula} if self.formula else {}
        return {"title": self.title, "role": self.role, "value": _listed(self.value), **formula}


@dataclass(frozen=True)
class Lesson:
    """One idea of the article. Names are unique within a lesson's arrays, workings and values."""

    name: str
    """Its name on the command line: "six-by-six"."""
    title: str
    text: str
    arrays: tuple[Grid, ...] = ()
    workings: tuple[Worked, ...] = ()
    values: tuple[Value, ...] = ()

    def array(self, name: str) -> Floats:
        return next(grid.numbers for grid in self.arrays if grid.name == name)

    def working(self, name: str) -> Worked:
        """The working of the number at a place: "output[0, 0]"."""
        return next(working for working in self.workings if working.name == name)

    def value(self, name: str) -> Any:
        return next(value.value for value in self.values if value.name == name)

    def as_json(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "text": self.text,
            "arrays": {grid.name: grid.as_json() for grid in self.arrays},
            "workings": {working.name: working.as_json() for working in self.workings},
            "values": {value.name: value.as_json() for value in self.values},
        }


def _listed(value: Any) -> Any:
    """Tuples become lists, as in JSON."""
    return [_listed(each) for each in value] if isinstance(value, list | tuple) else value


def as_json(lessons: Sequence[Lesson]) -> dict[str, Any]:
    """{"lessons": {name: {title, text, arrays, workings, values}}}, in the order of the walk; numbers unrounded."""
    return {"lessons": {lesson.name: lesson.as_json() for lesson in lessons}}
