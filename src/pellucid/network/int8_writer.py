"""Write a network as a graph of 8-bit integers.

`Int8Writer` is a GraphWriter. It adds the nodes that turn numbers into bytes and back (QuantizeLinear and
DequantizeLinear of ONNX) around the nodes that a runtime can compute with bytes. A runtime merges each group into one
integer operation: DequantizeLinear, Conv, Relu, QuantizeLinear become one convolution of bytes.

    number = scale * (byte - zero)

Maps are uint8 with one scale each. Weights are int8 with one scale a filter, and zero is 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pellucid.network.onnx_graph import GraphWriter

# of a weight's byte: older processors add two products in 16 bits; 2 * 255 * 64 fits, 2 * 255 * 127 does not
LIMIT = 64
_LARGEST_BIAS = 2**30  # so a sum of products still fits beside it in 32 bits

_WITH_WEIGHTS = ("Conv", "Gemm")
_MOVING = ("MaxPool", "Flatten", "Unsqueeze", "Squeeze", "Transpose")  # they move numbers, and bytes as well
_OF_ONE = ("GlobalAveragePool", "AveragePool", "Sigmoid", "LeakyRelu")
_OF_TWO = ("Add", "Mul")
_CLIPPING = ("Relu", "Clip")  # a runtime leaves them to the clipping of QuantizeLinear

Range = tuple[float, float]
"""The lowest and the highest number of a map that still has a byte of its own."""


class _Bytes(NamedTuple):
    """A map as bytes: the names of the bytes, of their scale and of their zero, and the scale's number."""

    content: str
    scale: str
    zero: str
    step: float

    @property
    def inputs(self) -> list[str]:
        return [self.content, self.scale, self.zero]


@dataclass
class Int8Writer(GraphWriter):
    """A GraphWriter for bytes.

    `ranges`: the Range of each map that becomes bytes, in the order in which they do. `maps`: the names of these maps.
    """

    ranges: Iterator[Range] = field(default_factory=lambda: repeat((0.0, 1.0)))
    maps: list[str] = field(default_factory=list)
    _numbers: dict[str, NDArray[Any]] = field(default_factory=dict)
    _bytes: dict[str, _Bytes] = field(default_factory=dict)
    _sums: set[str] = field(default_factory=set)

    def pixels(self, name: str, zero: int) -> str:
        """Declare that a value, uint8, holds pixels, and that `zero` counts as 0. Returns the same name."""
        self._bytes[name] = self._encoded(name, name, 1.0, zero)
        return name

    def weight(self, name: str, numbers: NDArray[Any]) -> str:
        """See GraphWriter. The node that uses it decides its type."""
        self._numbers[name] = numbers
        return name

    def add(self, operator: str, inputs: Sequence[str], name: str | None = None, **attributes: Any) -> str:
        """See GraphWriter. Only nodes that this writer adds may use the output; see `number`."""
        x, *others = inputs
        if operator in _WITH_WEIGHTS:
            return self._sum(super().add(operator, self._weighted(x, *others), name, **attributes))
        if operator in _CLIPPING and x in self._sums and x not in self._bytes:
            return self._sum(super().add(operator, inputs, name, **attributes))
        if operator in _MOVING and self._integer(x):
            bytes_ = self._as_bytes(x)
            output = super().add(operator, [bytes_.content, *others], name, **attributes)
            self._bytes[output] = bytes_._replace(content=output)
            return output
        output = super().add(operator, [self._plain(each) for each in inputs], name, **attributes)
        of_one = operator in _OF_ONE + _CLIPPING and self._integer(x)
        of_two = operator in _OF_TWO and x != others[0] and self._integer(x) and self._integer(others[0])
        return self._sum(output) if of_one or of_two else output

    def number(self, name: str) -> str:
        """The name of a value as float32, at the end of the network. From then on any node may use it."""
        if name in self._sums:
            self._sums.remove(name)
            return name
        return self._as_numbers(name) if name in self._bytes else name

    def _integer(self, name: str) -> bool:
        return name in self._sums or name in self._bytes

    def _sum(self, name: str) -> str:
        """Note the result of an integer operation. It becomes bytes before anything but clipping uses it."""
        self._sums.add(name)
        return name

    def _plain(self, name: str) -> str:
        if name in self._numbers:
            return self.constant(f"{name}.float32", self._numbers[name])
        return self._as_numbers(name) if self._integer(name) else name

    def _as_numbers(self, name: str) -> str:
        return super().add("DequantizeLinear", self._as_bytes(name).inputs, f"{name}.numbers")

    def _as_bytes(self, name: str) -> _Bytes:
        if name not in self._bytes:
            low, high = next(self.ranges)
            self.maps.append(name)
            low, high = min(low, 0.0), max(high, 0.0)
            step = float(np.float32((high - low) / 255)) or 1.0
            encoded = self._encoded(name, f"{name}.bytes", step, round(-low / step))
            super().add("QuantizeLinear", [name, encoded.scale, encoded.zero], encoded.content)
            self._bytes[name] = encoded
        return self._bytes[name]

    def _encoded(self, name: str, content: str, step: float, zero: int) -> _Bytes:
        scale = self.constant(f"{name}.scale", np.array(step, np.float32))
        return _Bytes(content, scale, self.constant(f"{name}.zero", np.array(zero, np.uint8)), step)

    def _weighted(self, x: str, weight: str, *bias: str) -> list[str]:
        """The inputs of a convolution or a dense layer. A bias is int32, in the steps of the sum."""
        numbers = np.asarray(self._numbers[weight], np.float32)
        largest = np.abs(numbers.reshape(len(numbers), -1)).max(axis=1).astype(np.float64)
        bytes_ = self._as_bytes(x)
        offsets = [self._numbers[each].astype(np.float64) for each in bias]
        for offset in offsets:  # a filter of tiny weights beside a large bias: coarser weights, so the bias fits
            largest = np.maximum(largest, np.abs(offset) * LIMIT / (bytes_.step * _LARGEST_BIAS))
        steps = np.where(largest > 0, largest / LIMIT, 1.0).astype(np.float32)
        across = steps.reshape(-1, *(1,) * (numbers.ndim - 1))
        whole = np.rint(numbers / across).astype(np.int8)
        inputs = [self._as_numbers(x), self._dequantised(weight, whole, steps)]
        for name, offset in zip(bias, offsets, strict=True):
            sums = (np.float32(bytes_.step) * steps).astype(np.float32)
            inputs.append(self._dequantised(name, np.rint(offset / sums).astype(np.int32), sums))
        return inputs

    def _dequantised(self, name: str, whole: NDArray[Any], steps: NDArray[np.float32]) -> str:
        content = self.constant(f"{name}.bytes", whole)
        parts = [content, self.constant(f"{name}.scale", steps)]
        parts.append(self.constant(f"{name}.zero", np.zeros(steps.shape, whole.dtype)))
        return super().add("DequantizeLinear", parts, f"{name}.numbers", axis=0)
