"""Write an ONNX graph: collect nodes and constants, then make the bytes of a model.

ONNX is the open format that inference runtimes read (https://onnx.ai/onnx/operators). A model is a protocol buffer.
This file writes the few messages that a graph needs, with the field numbers of onnx.proto
(https://github.com/onnx/onnx/blob/v1.13.0/onnx/onnx.proto). The package `onnx` could write them too, but importing it
takes longer than classifying a picture. The tests read these bytes with that package's parser and checker.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

OPSET, FORMAT = 18, 8  # onnx 1.13 (2022), the first with ReduceMean's axes as an input; later runtimes read it
TYPES = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6, "int64": 7, "bool": 9, "float64": 11}  # TensorProto.DataType
_FLOAT, _INT, _STRING, _GRAPH, _INTS = 1, 2, 3, 5, 7  # AttributeProto.AttributeType

Size = int | str
"""A dimension: its length, or a name if the length is known only when the graph runs."""


class Place(NamedTuple):
    """Where a constant's numbers are: the name of a file beside the model, the first byte and the number of bytes."""

    file: str
    start: int
    length: int


class Branch(NamedTuple):
    """One branch of `If`: its nodes, and the name of its output. See GraphWriter.branch."""

    graph: GraphWriter
    output: str


class Value(NamedTuple):
    """An input or output of a graph: its name, NumPy's name of the type, and the dimensions."""

    name: str
    type: str
    sizes: tuple[Size, ...]


@dataclass
class GraphWriter:
    """Collects nodes. `add`, `constant` and `weight` return the name of a value, which later nodes use.

    `place`: a function from a weight's name in the state dict to the place of its numbers. Without it, `weight` writes
    the numbers into the model. `weights`: the weights that are outside the model, by their names in the graph.
    """

    place: Callable[[str], Place] | None = None
    weights: dict[str, NDArray[Any]] = field(default_factory=dict)
    _nodes: list[bytes] = field(default_factory=list)
    _constants: list[bytes] = field(default_factory=list)
    _counts: Counter[str] = field(default_factory=Counter)

    def add(self, operator: str, inputs: Sequence[str], name: str | None = None, **attributes: Any) -> str:
        """Add a node with one output, and return the name of that output.

        `name`: None for the operator's name in lower case. A number is appended to a name that is already used.
        `attributes`: int, float, str, several ints, or a Branch.
        """
        output = self._free(name or operator.lower())
        parts = [_text(1, each) for each in inputs]
        parts += [_text(2, output), _text(3, output), _text(4, operator)]
        parts += [_message(5, _attribute(key, value)) for key, value in attributes.items()]
        self._nodes.append(b"".join(parts))
        return output

    def constant(self, name: str, numbers: NDArray[Any]) -> str:
        """Add a constant of any type in TYPES, and return its name."""
        name = self._free(name)
        self._constants.append(_tensor(name, numbers) + _bytes(9, _plain(numbers).tobytes()))
        return name

    def weight(self, name: str, numbers: NDArray[Any]) -> str:
        """Add a layer's weight, in the shape that the graph needs, and return its name there.

        `name`: the name in the state dict.
        """
        if self.place is None:
            return self.constant(name, numbers)
        place, name = self.place(name), self._free(name)
        self.weights[name] = _plain(numbers)
        entries = {"location": place.file, "offset": str(place.start), "length": str(place.length)}
        elsewhere = b"".join(_message(13, _entry(*entry)) for entry in entries.items())
        self._constants.append(_tensor(name, numbers) + elsewhere + _number(14, 1))
        return name

    def scalar(self, value: float) -> str:
        """A float32 constant without dimensions."""
        return self.constant("number", np.array(value, np.float32))

    def integers(self, *values: int) -> str:
        """An int64 constant with one dimension, for shapes and axes."""
        return self.constant("integers", np.array(values, np.int64))

    def model(
        self, inputs: Iterable[Value], outputs: Iterable[Value], metadata: Mapping[str, str] | None = None
    ) -> bytes:
        """The bytes of the whole model. `metadata`: texts by key."""
        graph = self._graph() + b"".join(_message(11, _value(value)) for value in inputs)
        graph += b"".join(_message(12, _value(value)) for value in outputs)
        opset = _text(1, "") + _number(2, OPSET)
        head = _number(1, FORMAT) + _text(2, "pellucid") + _message(8, opset)
        return b"".join([head, _message(7, graph), described(metadata or {})])

    def branch(self) -> GraphWriter:
        """A writer for the nodes of a branch. They may use all values of this graph; their own names are new."""
        return GraphWriter(_counts=self._counts)

    def _graph(self) -> bytes:
        parts = [_message(1, node) for node in self._nodes] + [_text(2, "pellucid")]
        return b"".join(parts + [_message(5, constant) for constant in self._constants])

    def _free(self, name: str) -> str:
        self._counts[name] += 1
        return name if self._counts[name] == 1 else f"{name}.{self._counts[name]}"


def described(metadata: Mapping[str, str]) -> bytes:
    """The bytes of a model's metadata. Appended to the bytes of a whole model, they add to its metadata."""
    return b"".join(_message(14, _entry(key, value)) for key, value in metadata.items())


def _attribute(name: str, value: Any) -> bytes:
    if isinstance(value, float):
        return _text(1, name) + _tag(2, 5) + struct.pack("<f", value) + _number(20, _FLOAT)
    if isinstance(value, int):
        return _text(1, name) + _number(3, value) + _number(20, _INT)
    if isinstance(value, str):
        return _text(1, name) + _text(4, value) + _number(20, _STRING)
    if isinstance(value, Branch):
        graph = value.graph._graph() + _message(12, _text(1, value.output))
        return _text(1, name) + _message(6, graph) + _number(20, _GRAPH)
    return _text(1, name) + b"".join(_number(8, each) for each in value) + _number(20, _INTS)


def _tensor(name: str, numbers: NDArray[Any]) -> bytes:
    sizes = b"".join(_number(1, size) for size in numbers.shape)
    return sizes + _number(2, TYPES[numbers.dtype.name]) + _text(8, name)


def _plain(numbers: NDArray[Any]) -> NDArray[Any]:
    """The same numbers row by row and little-endian, as ONNX needs them."""
    return np.require(numbers, numbers.dtype.newbyteorder("<"), "C")


def _value(value: Value) -> bytes:
    sizes = (_number(1, size) if isinstance(size, int) else _text(2, size) for size in value.sizes)
    shape = b"".join(_message(1, size) for size in sizes)
    tensor = _number(1, TYPES[value.type]) + _message(2, shape)
    return _text(1, value.name) + _message(2, _message(1, tensor))


def _entry(key: str, value: str) -> bytes:
    return _text(1, key) + _text(2, value)


# ---- protocol buffers (https://protobuf.dev/programming-guides/encoding)


def _tag(field: int, wire: int) -> bytes:
    return _varint(field << 3 | wire)


def _number(field: int, value: int) -> bytes:
    return _tag(field, 0) + _varint(value)


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode("utf-8", "backslashreplace"))


def _message(field: int, content: bytes) -> bytes:
    return _bytes(field, content)


def _bytes(field: int, content: bytes) -> bytes:
    return _tag(field, 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1  # two's complement of a negative number
    parts = bytearray()
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    parts.append(value)
    return bytes(parts)
