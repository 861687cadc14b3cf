"""An op at work in a lesson: its numbers under the lesson's names, each worked out term by term on demand."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.glassbox.arithmetic.declaration import OUT, Axis, Op, Stage
from pellucid.glassbox.arithmetic.evaluator import GRADIENT, Column, Evaluator, Index, Terms, everything
from pellucid.glassbox.arithmetic.expression import Expression
from pellucid.lessons.lesson import Factor, Floats, Term, Worked, WorkedPart

_BARE = re.compile(r"(?<=\w\()\((-[^()]*)\)(?=[,)])")  # max((-1), 0) reads better as max(-1, 0)


@dataclass(frozen=True, eq=False)
class Work:
    """Leaves axes of length 1 out of a place's index: a grey picture then has only rows and columns. The last `keep`
    axes always stay.
    """

    op: Op
    arrays: Mapping[str, NDArray[Any]]
    names: Mapping[str, str]
    """The lesson's names of the op's arrays and indices; others keep their own."""
    keep: int = 2
    gradient: NDArray[Any] | None = None
    """The gradient of the loss with respect to the output."""

    @cached_property
    def output(self) -> Floats:
        """The whole output, in the op's shape."""
        if not self.op.shapes[OUT]:  # a loss
            return np.array(self._evaluator.value(OUT, ())[0])
        return everything(self.op, self.arrays)

    @cached_property
    def _evaluator(self) -> Evaluator:
        return Evaluator(self.op, self.arrays, self.gradient)

    def gradient_of(self, name: str) -> Floats:
        """The whole gradient of one of the op's arrays."""
        shape = self.op.shapes[name]
        terms = [self._evaluator.gradient_of(name, index)[0] for index in _places(shape)]
        return np.array(terms).reshape(shape)

    def number(self, *index: int, name: str = OUT) -> Worked:
        """One number of the output, or of an array on the way to it, worked out."""
        total = self._evaluator.value(name, index)[0]
        of = Factor(self._name(name), self._short(name, index), total)
        return Worked(of, self._rule(name), self._parts(self._evaluator.forward(index, name)))

    def numbers(self, name: str = OUT) -> tuple[Worked, ...]:
        """Every number of an array worked out."""
        return tuple(self.number(*index, name=name) for index in _places(self.op.shapes[name]))

    def gradients(self, name: str) -> tuple[Worked, ...]:
        """The gradient of every number of an array worked out."""
        rule, terms = self._gradient_rule(name), []
        for index in _places(self.op.shapes[name]):
            total = self._evaluator.gradient_of(name, index)[0]
            of = Factor(self._name(GRADIENT + name), self._short(name, index), total)
            terms.append(Worked(of, rule, self._parts(self._evaluator.backward(name, index))))
        return tuple(terms)

    def _parts(self, several: Sequence[Terms]) -> tuple[WorkedPart, ...]:
        parts: list[WorkedPart] = []
        before = 0.0
        for terms in several:
            parts.append(self._part(terms, before))
            before += terms.total
        return tuple(parts)

    def _part(self, terms: Terms, before: float) -> WorkedPart:
        biggest = terms.pick == "max"
        running = np.maximum.accumulate(terms.values) if biggest else before + np.cumsum(terms.values)
        rows = []
        for row, value in enumerate(terms.values.tolist()):
            factors = tuple(self._factor(column, row) for column in terms.columns)
            numbers = {column.name: plain(factor.value) for column, factor in zip(terms.columns, factors, strict=True)}
            written = _BARE.sub(r"\1", terms.formula.written(numbers))
            rows.append(Term(factors, written, value, float(running[row]), row == terms.winner))
        formula = terms.formula.written({name: self._name(name) for name in terms.formula.names()})
        return WorkedPart(formula, terms.pick, tuple(rows), terms.total)

    def _factor(self, column: Column, row: int) -> Factor:
        index = tuple(int(number) for number in column.indices[row])
        array = OUT if column.name == "won" else column.name.removeprefix(GRADIENT)
        value = float(np.broadcast_to(column.values, len(column.indices))[row])
        return Factor(self._name(column.name), self._short(array, index), value, bool(column.inside[row]))

    def _name(self, name: str) -> str:
        if name.startswith(GRADIENT):
            return GRADIENT + self._name(name.removeprefix(GRADIENT))
        return self.names.get(name, name)

    def _short(self, name: str, index: Index) -> Index:
        return tuple(index[axis] for axis in self._axes(name))

    def _axes(self, name: str) -> list[int]:
        """The axes that appear in a place's name."""
        shape = self.op.shapes[name]
        return [axis for axis, size in enumerate(shape) if size > 1 or axis >= len(shape) - self.keep]

    def _rule(self, name: str) -> str:
        stages = [stage for stage in self.op.stages if stage.out == name]
        rights = [self._right(stage, stage.term, name) for stage in stages]
        return f"{self._place(stages[0], name)} = {' + '.join(rights)}"

    def _gradient_rule(self, name: str) -> str:
        stages = [stage for stage in self.op.stages if stage.through and name in stage.reads()]
        rights = []
        for stage in stages:
            if stage.pick == "max":
                rights.append(f"{GRADIENT}{self._place(stage, stage.out)} where it won")
            else:
                arriving = Expression("name", leaf=GRADIENT + stage.out)
                rights.append(self._right(stage, arriving * stage.term.derivative(name), name))
        return f"{GRADIENT}{self._place(stages[0], name)} = {' + '.join(rights)}"

    def _right(self, stage: Stage, formula: Expression, left: str) -> str:
        """The right side of the rule for a number of the array `left`."""
        fixed = {name for axis in stage.maps[left] for name, _ in axis.steps}
        over = [name for name, size in stage.ranges.items() if size > 1 and name not in fixed]
        text = formula.written({name: self._place(stage, name) for name in formula.names()})
        pick = "the largest" if stage.pick == "max" else "sum"
        return f"{pick} over {', '.join(map(self._name, over))} of {text}" if over else text

    def _place(self, stage: Stage, name: str) -> str:
        """`picture[y + ky, x + kx]`."""
        array = name.removeprefix(GRADIENT)
        axes = stage.maps[array]
        if len(axes) == len(self.op.shapes[array]):
            axes = tuple(axes[axis] for axis in self._axes(array))
        index = ", ".join(self._along(axis, stage) for axis in axes)
        return f"{self._name(name)}[{index}]" if index else self._name(name)

    def _along(self, axis: Axis, stage: Stage) -> str:
        """`2*y + ky - 1`. A name with only one value is that value, 0."""
        known = [(self._name(name), step) for name, step in axis.steps if stage.ranges[name] > 1]
        text = " + ".join(name if step == 1 else f"{step}*{name}" for name, step in known) or "0"
        return f"{text} {'-' if axis.offset < 0 else '+'} {abs(axis.offset)}" if axis.offset else text


def plain(value: float) -> str:
    """Rounded for reading, with negative numbers in parentheses: "2 * (-1)" must not read as a subtraction."""
    text = f"{value:.0f}" if value == round(value) and abs(value) < 1e15 else f"{value:.6g}"
    return f"({text})" if text.startswith("-") else text


def _places(shape: tuple[int, ...]) -> list[Index]:
    return [tuple(map(int, index)) for index in np.ndindex(*shape)]
