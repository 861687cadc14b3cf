"""Write an ONNX graph as Python arithmetic: `(a + b) * 2` becomes two nodes and a constant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.network.onnx_graph import TYPES, GraphWriter


@dataclass(frozen=True)
class Expression:
    """The name of a value in a graph, and the type of its numbers. Python numbers in operations take this type."""

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
        """Round to the nearest whole number, halves to the even one, like Python's `round`."""
        return self.apply("Round")

    def matmul(self, other: Expression) -> Expression:
        return self._with("MatMul", other)

    def where(self, yes: Operand, no: Operand) -> Expression:
        """`yes` where this bool expression is true, else `no`. At least one of the two must be an Expression."""
        like = next(each for each in (yes, no) if isinstance(each, Expression))
        first, second = (each if isinstance(each, Expression) else like._of(each) for each in (yes, no))
        return Expression(self.graph, self.graph.add("Where", [self.name, first.name, second.name]), like.type)

    def cast(self, kind: str) -> Expression:
        """The same numbers as another type, a key of TYPES."""
        return Expression(self.graph, self.graph.add("Cast", [self.name], to=TYPES[kind]), kind)

    def apply(self, operator: str, *operands: str, **attributes: Any) -> Expression:
        """Apply an operator that does not change the type of the numbers."""
        return Expression(self.graph, self.graph.add(operator, [self.name, *operands], **attributes), self.type)

    def inside(self, graph: GraphWriter) -> Expression:
        """The same value, for use in the graph of a branch."""
        return Expression(graph, self.name, self.type)

    def _with(self, operator: str, other: Operand, kind: str | None = None) -> Expression:
        second = other if isinstance(other, Expression) else self._of(other)
        return Expression(self.graph, self.graph.add(operator, [self.name, second.name]), kind or self.type)

    def _of(self, number: float) -> Expression:
        constant = self.graph.constant("number", np.array(number, self.type))
        return Expression(self.graph, constant, self.type)


Operand = Expression | float
