"""Write an ONNX graph as Python arithmetic: `(a + b) * 2` becomes two nodes and a constant."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.network.onnx_graph import TYPES, Branch, GraphWriter


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
        return self.of(other)._with("Sub", self)

    def __rtruediv__(self, other: float) -> Expression:
        return self.of(other)._with("Div", self)

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

    def equals(self, other: Operand) -> Expression:
        return self._with("Equal", other, kind="bool")

    def where(self, condition: Expression, other: Operand) -> Expression:
        """These numbers where `condition` holds, else the other's."""
        second = other if isinstance(other, Expression) else self.of(other)
        return Expression(self.graph, self.graph.add("Where", [condition.name, self.name, second.name]), self.type)

    @classmethod
    def exactly(cls, single: Expression) -> Expression:
        """The same numbers as a float32 expression, as float64."""
        return single.cast("float64")

    @classmethod
    def sizes(cls, image: Expression) -> list[Expression]:
        """The first two lengths of an array, as float32 scalars."""
        graph = image.graph
        shape = graph.add("Shape", [image.name])
        indices = (graph.constant("index", np.array(axis, np.int64)) for axis in (0, 1))
        return [Expression(graph, graph.add("Gather", [shape, index]), "int64").cast("float32") for index in indices]

    def single(self) -> Expression:
        """Rounded to float32, of the same type."""
        return self.cast("float32").cast(self.type)

    def total(self) -> Expression:
        """The sums along the last of two axes, which stays with length 1."""
        return self.apply("ReduceSum", self.graph.integers(1), keepdims=1)

    def counted(self) -> Expression:
        """A scalar n -> (n,): 0, 1, 2, ..."""
        name = self.graph.add("Range", [self.of(0).name, self.name, self.of(1).name])
        return Expression(self.graph, name, self.type)

    def numbered(self, count: int) -> Expression:
        """(count,): 0, 1, 2, ... of the same type."""
        return Expression(self.graph, self.graph.constant("outputs", np.arange(count, dtype=self.type)), self.type)

    def column(self) -> Expression:
        """(n,) -> (n, 1)"""
        return self.apply("Unsqueeze", self.graph.integers(1))

    def row(self) -> Expression:
        """(n, ...) -> (1, n, ...)"""
        return self.apply("Unsqueeze", self.graph.integers(0))

    def turned(self, *axes: int) -> Expression:
        """The axes in another order."""
        return self.apply("Transpose", perm=axes)

    def taken(self, index: Expression, axis: int) -> Expression:
        """The parts with these int64 numbers along an axis."""
        return self.apply("Gather", index.name, axis=axis)

    def weighted(self, factors: Sequence[float]) -> Expression:
        """(n, H, W) -> (1, H, W): the sum of the planes, each times its factor."""
        column = self.graph.constant("factors", np.array(factors, self.type)[:, None, None])
        return (self * Expression(self.graph, column, self.type)).apply("ReduceSum", self.graph.integers(0), keepdims=1)

    def either(
        self, yes: Callable[..., Expression], no: Callable[..., Expression], *operands: Expression
    ) -> Expression:
        """What `yes` makes of the operands if this bool is true, else what `no` makes of them. One of them runs."""
        branches = []
        for make in (yes, no):
            inside = self.graph.branch()
            result = make(*(Expression(inside, each.name, each.type) for each in operands))
            branches.append(Branch(inside, result.name))
        name = self.graph.add("If", [self.name], then_branch=branches[0], else_branch=branches[1])
        return Expression(self.graph, name, operands[0].type)

    def cast(self, kind: str) -> Expression:
        """The same numbers as another type, a key of TYPES."""
        return Expression(self.graph, self.graph.add("Cast", [self.name], to=TYPES[kind]), kind)

    def apply(self, operator: str, *operands: str, **attributes: Any) -> Expression:
        """Apply an operator that does not change the type of the numbers."""
        return Expression(self.graph, self.graph.add(operator, [self.name, *operands], **attributes), self.type)

    def _with(self, operator: str, other: Operand, kind: str | None = None) -> Expression:
        second = other if isinstance(other, Expression) else self.of(other)
        return Expression(self.graph, self.graph.add(operator, [self.name, second.name]), kind or self.type)

    def of(self, number: float) -> Expression:
        """A constant of the same type, without dimensions."""
        constant = self.graph.constant("number", np.array(number, self.type))
        return Expression(self.graph, constant, self.type)


Operand = Expression | float
