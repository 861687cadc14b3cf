"""Arithmetic of an ONNX graph as Python writes it: `(a + b) * 2` is two nodes and a constant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.network.onnx_graph import TYPES, GraphWriter


@dataclass(frozen=True)
class Expression:
    """A value of a graph by its name, and the type of its numbers. With a Python number it stays of that type."""

    graph: GraphWriter
    name: str
    type: str

    def __add__(self, other: Operand) -> Expression:
        return self._with("Add", other)

    def __sub__(self, other: Operand) -> Expression:
        return self._with("Sub", other)

    def __mul__(self, other: Operand) -> Expression:
        return self._with("Mul", other)

    def __truediv__(self, other: Operand) -> Expression:
        return self._with("Div", other)

    def __rsub__(self, other: float) -> Expression:
        return self._of(other)._with("Sub", self)

    def __rtruediv__(self, other: float) -> Expression:
        return self._of(other)._with("Div", self)

    def __ge__(self, other: Operand) -> Expression:
        return self._with("GreaterOrEqual", other, kind="bool")

    def __lt__(self, other: Operand) -> Expression:
        return self._with("Less", other, kind="bool")

    def __gt__(self, other: Operand) -> Expression:
        return self._with("Greater", other, kind="bool")

    def __and__(self, other: Expression) -> Expression:
        return self._with("And", other)

    def largest(self, other: Operand) -> Expression:
        return self._with("Max", other)

    def least(self, other: Operand) -> Expression:
        return self._with("Min", other)

    def absolute(self) -> Expression:
        return self.apply("Abs")

    def floor(self) -> Expression:
        return self.apply("Floor")

    def rounded(self) -> Expression:
        """To the nearest whole number, of two to the even one, as Python's round."""
        return self.apply("Round")

    def matmul(self, other: Expression) -> Expression:
        return self._with("MatMul", other)

    def where(self, yes: Operand, no: Operand) -> Expression:
        """Of a bool expression: `yes` where it is true, `no` elsewhere; at least one of them is an expression."""
        like = next(each for each in (yes, no) if isinstance(each, Expression))
        first, second = (each if isinstance(each, Expression) else like._of(each) for each in (yes, no))
        return Expression(self.graph, self.graph.add("Where", [self.name, first.name, second.name]), like.type)

    def cast(self, kind: str) -> Expression:
        """The same numbers as another type, of those in TYPES."""
        return Expression(self.graph, self.graph.add("Cast", [self.name], to=TYPES[kind]), kind)

    def apply(self, operator: str, *operands: str, **attributes: Any) -> Expression:
        """An operator that keeps the type of the numbers."""
        return Expression(self.graph, self.graph.add(operator, [self.name, *operands], **attributes), self.type)

    def inside(self, graph: GraphWriter) -> Expression:
        """The same value, for what is written into a branch."""
        return Expression(graph, self.name, self.type)

    def _with(self, operator: str, other: Operand, kind: str | None = None) -> Expression:
        second = other if isinstance(other, Expression) else self._of(other)
        return Expression(self.graph, self.graph.add(operator, [self.name, second.name]), kind or self.type)

    def _of(self, number: float) -> Expression:
        constant = self.graph.constant("number", np.array(number, self.type))
        return Expression(self.graph, constant, self.type)


Operand = Expression | float
