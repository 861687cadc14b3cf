"""Tensors with the methods of Expression, for the arithmetic of resizing.py. torch.export follows them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class TorchNumber:
    """A tensor of any type and shape. See Expression for the methods.

    `length`: for the length of an axis, the same as torch.export names it, of which it can make a range.
    """

    tensor: Tensor
    length: int | None = None

    @classmethod
    def exactly(cls, single: TorchNumber) -> TorchNumber:
        """The same numbers as float64."""
        return cls(single.tensor.double(), single.length)

    @classmethod
    def sizes(cls, image: TorchNumber) -> list[TorchNumber]:
        """The first two lengths of a tensor, as float32 scalars."""
        lengths = image.tensor.shape[:2]
        return [cls(torch.scalar_tensor(length, dtype=torch.float32), length) for length in lengths]

    def __add__(self, other: Operand) -> TorchNumber:
        return TorchNumber(self.tensor + _of(other))

    def __sub__(self, other: Operand) -> TorchNumber:
        return TorchNumber(self.tensor - _of(other))

    def __mul__(self, other: Operand) -> TorchNumber:
        return TorchNumber(self.tensor * _of(other))

    def __truediv__(self, other: Operand) -> TorchNumber:
        return TorchNumber(self.tensor / _of(other))

    def __rsub__(self, other: float) -> TorchNumber:
        return TorchNumber(other - self.tensor)

    def __rtruediv__(self, other: float) -> TorchNumber:
        return TorchNumber(torch.full_like(self.tensor, other) / self.tensor)

    def __ge__(self, other: Operand) -> TorchNumber:
        return TorchNumber(self.tensor >= _of(other))

    def __lt__(self, other: Operand) -> TorchNumber:
        return TorchNumber(self.tensor < _of(other))

    def __gt__(self, other: Operand) -> TorchNumber:
        return TorchNumber(self.tensor > _of(other))

    def __and__(self, other: TorchNumber) -> TorchNumber:
        return TorchNumber(self.tensor & other.tensor)

    def largest(self, other: Operand) -> TorchNumber:
        return TorchNumber(torch.maximum(self.tensor, self._like(other)))

    def least(self, other: Operand) -> TorchNumber:
        return TorchNumber(torch.minimum(self.tensor, self._like(other)))

    def absolute(self) -> TorchNumber:
        return TorchNumber(self.tensor.abs())

    def floor(self) -> TorchNumber:
        return TorchNumber(self.tensor.floor())

    def rounded(self) -> TorchNumber:
        return TorchNumber(self.tensor.round())

    def single(self) -> TorchNumber:
        return TorchNumber(self.tensor.float().to(self.tensor.dtype))

    def matmul(self, other: TorchNumber) -> TorchNumber:
        return TorchNumber(self.tensor @ other.tensor)

    def where(self, condition: TorchNumber, other: Operand) -> TorchNumber:
        return TorchNumber(torch.where(condition.tensor, self.tensor, self._like(other)))

    def total(self) -> TorchNumber:
        return TorchNumber(self.tensor.sum(1, keepdim=True))

    def counted(self) -> TorchNumber:
        assert self.length is not None
        return TorchNumber(torch.arange(self.length, dtype=self.tensor.dtype))

    def numbered(self, count: int) -> TorchNumber:
        return TorchNumber(torch.arange(count, dtype=self.tensor.dtype))

    def column(self) -> TorchNumber:
        return TorchNumber(self.tensor.unsqueeze(1))

    def row(self) -> TorchNumber:
        return TorchNumber(self.tensor.unsqueeze(0))

    def turned(self, *axes: int) -> TorchNumber:
        return TorchNumber(self.tensor.permute(axes))

    def taken(self, index: TorchNumber, axis: int) -> TorchNumber:
        return TorchNumber(self.tensor.index_select(axis, index.tensor))

    def weighted(self, factors: Sequence[float]) -> TorchNumber:
        column = torch.tensor(factors, dtype=self.tensor.dtype)[:, None, None]
        return TorchNumber((self.tensor * column).sum(0, keepdim=True))

    def cast(self, kind: str) -> TorchNumber:
        return TorchNumber(self.tensor.to(getattr(torch, kind)))

    def either(
        self, yes: Callable[..., TorchNumber], no: Callable[..., TorchNumber], *operands: TorchNumber
    ) -> TorchNumber:
        def unwrapped(make: Callable[..., TorchNumber]) -> Callable[..., Tensor]:
            return lambda *tensors: make(*map(TorchNumber, tensors)).tensor

        result: Any = torch.cond(self.tensor, unwrapped(yes), unwrapped(no), tuple(each.tensor for each in operands))
        return TorchNumber(result)

    def _like(self, other: Operand) -> Tensor:
        return other.tensor if isinstance(other, TorchNumber) else torch.scalar_tensor(other, dtype=self.tensor.dtype)


Operand = TorchNumber | float


def _of(other: Operand) -> Any:
    return other.tensor if isinstance(other, TorchNumber) else other
