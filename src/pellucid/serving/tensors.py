"""The tensors of Open Inference Protocol v2, in JSON and in its binary extension.

In JSON, `data` is a list, nested or flat. In the binary extension the body is the JSON, then the tensors that state
their `binary_data_size`, in order; the header Inference-Header-Content-Length says where the JSON ends. Numbers are
little-endian; each element of BYTES is its length, four bytes, and its content.
Source: "Open Inference Protocol" and "Binary Tensor Data Extension", KServe and Triton Inference Server documentation.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.serving.bodies import short
from pellucid.serving.refusal import wrong

NUMBERS = {"UINT8": "u1", "FP32": "<f4"}
LENGTH = struct.Struct("<I")
LARGEST_AXIS = 1_000_000
MOST_AXES = 8


@dataclass(frozen=True, eq=False)
class Tensor:
    """`values`: a list of bytes or str of BYTES, else an array of the shape. JSON has BYTES as str."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    values: list[bytes] | list[str] | NDArray[Any]


def split(content: bytes, header: str | None) -> tuple[bytes, memoryview]:
    """A body -> its JSON, and the binary data behind it. `header`: Inference-Header-Content-Length. Raises Refusal."""
    if header is None:
        return content, memoryview(b"")
    if not (header.isascii() and header.isdigit() and len(header) < 12 and int(header) <= len(content)):
        raise wrong(
            f"Inference-Header-Content-Length is {header[:20]!r}; it must be a number of bytes up to the body's "
            f"{len(content)}."
        )
    return content[: int(header)], memoryview(content)[int(header) :]


def read(inputs: Any, binary: memoryview) -> list[Tensor]:
    """The input tensors of a request. Raises Refusal where one is not what it states, or bytes are left over."""
    if not isinstance(inputs, list) or not inputs:
        raise wrong("The request has no inputs.")
    tensors, place = [], 0
    for each in inputs:
        if not isinstance(each, dict) or not isinstance(each.get("name"), str):
            raise wrong("An input is not an object with a name, a shape and a datatype.")
        name, datatype, shape = stated(each["name"], each.get("datatype"), each.get("shape"))
        parameters = each.get("parameters") or {}
        size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
        if size is None:
            tensors.append(_of_json(name, datatype, shape, each.get("data")))
            continue
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= len(binary) - place:
            raise wrong(
                f"The input {name!r} states a binary_data_size of {short(size)}, and {len(binary) - place} bytes "
                "are left."
            )
        tensors.append(of_bytes(name, datatype, shape, binary[place : place + size]))
        place += size
    if place != len(binary):
        raise wrong(f"{len(binary) - place} bytes of binary data belong to no input.")
    return tensors


def stated(name: str, datatype: Any, shape: Any) -> tuple[str, str, tuple[int, ...]]:
    """What a request says of an input, checked; a long name is cut for sentences. Raises Refusal."""
    name = name[:80]
    if datatype not in (*NUMBERS, "BYTES"):
        raise wrong(f"The input {name!r} has the datatype {short(datatype)}; it must be BYTES, UINT8 or FP32.")
    return name, datatype, _shape(shape, name)


def as_json(tensor: Tensor) -> dict[str, Any]:
    """A tensor of an answer, its data in JSON, flat."""
    values = tensor.values
    data = [_text(each) for each in values] if isinstance(values, list) else values.reshape(-1).tolist()
    return {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape), "data": data}


def as_binary(tensor: Tensor) -> tuple[dict[str, Any], bytes]:
    """A tensor of an answer for the binary extension: what the JSON says of it, and its bytes."""
    values = tensor.values
    if isinstance(values, list):
        data = b"".join(LENGTH.pack(len(part)) + part for part in elements(values))
    else:
        data = np.ascontiguousarray(values, NUMBERS[tensor.datatype]).tobytes()
    stated = {"name": tensor.name, "datatype": tensor.datatype, "shape": list(tensor.shape)}
    return {**stated, "parameters": {"binary_data_size": len(data)}}, data


def elements(values: list[bytes] | list[str]) -> list[bytes]:
    """The elements of a tensor of BYTES, text in UTF-8; a byte of a name that is no UTF-8 stays itself."""
    return [each.encode("utf-8", "surrogateescape") if isinstance(each, str) else each for each in values]


def _of_json(name: str, datatype: str, shape: tuple[int, ...], data: Any) -> Tensor:
    if not isinstance(data, list):
        raise wrong(f"The input {name!r} has no data.")
    if datatype == "BYTES":
        texts = _flat(data)
        if not all(isinstance(each, str) for each in texts):
            raise wrong(f"The input {name!r} is BYTES, and its data holds something else than strings.")
        return of_elements(name, shape, texts)
    try:
        values = np.asarray(data)
    except ValueError as error:  # rows of unequal lengths
        raise wrong(f"The data of the input {name!r} is not a tensor of numbers.") from error
    if values.dtype.kind not in "iuf":  # NumPy would read text and null as numbers
        raise wrong(f"The data of the input {name!r} is not a tensor of numbers.")
    return of_numbers(name, datatype, shape, values)


def of_elements(name: str, shape: tuple[int, ...], values: list[bytes] | list[str]) -> Tensor:
    """A tensor of BYTES. Raises Refusal where its shape takes another number of elements."""
    _fits(name, shape, len(values))
    return Tensor(name, "BYTES", shape, values)


def of_numbers(name: str, datatype: str, shape: tuple[int, ...], values: NDArray[Any]) -> Tensor:
    """A tensor of UINT8 or FP32 from numbers of any type and form. Raises Refusal where they are not what it states."""
    _fits(name, shape, values.size)
    if datatype == "UINT8":
        if not ((values >= 0) & (values <= 255) & (values == np.rint(values))).all():
            raise wrong(f"The input {name!r} is UINT8, and its data holds something else than whole numbers to 255.")
        return Tensor(name, datatype, shape, values.astype(np.uint8).reshape(shape))
    with np.errstate(over="ignore"):  # infinity is refused with the other values that are not from 0 to 1
        return Tensor(name, datatype, shape, values.astype(np.float32).reshape(shape))


def of_bytes(name: str, datatype: str, shape: tuple[int, ...], data: memoryview | bytes) -> Tensor:
    """A tensor as the binary extension has it. Raises Refusal where the bytes are not what it states."""
    if datatype != "BYTES":
        numbers = np.dtype(NUMBERS[datatype])
        if len(data) != prod(shape) * numbers.itemsize:
            raise wrong(
                f"The input {name!r} has {len(data)} bytes; {datatype} of shape {list(shape)} takes "
                f"{prod(shape) * numbers.itemsize}."
            )
        return Tensor(name, datatype, shape, np.frombuffer(data, numbers).reshape(shape))
    parts, place = [], 0
    while place < len(data):
        end = place + LENGTH.size
        length = LENGTH.unpack(data[place:end])[0] if end <= len(data) else len(data)
        if end + length > len(data):
            raise wrong(f"The input {name!r} is cut: element {len(parts)} states more bytes than there are.")
        parts.append(bytes(data[end : end + length]))
        place = end + length
    return of_elements(name, shape, parts)


def _shape(shape: Any, name: str) -> tuple[int, ...]:
    axes: Sequence[Any] = shape if isinstance(shape, list) else [None]
    if len(axes) > MOST_AXES:
        raise wrong(f"The input {name!r} has {len(axes)} axes, of at most {MOST_AXES}.")
    for axis in axes:
        if not isinstance(axis, int) or isinstance(axis, bool) or not 0 <= axis <= LARGEST_AXIS:
            raise wrong(f"The input {name!r} has the shape {short(shape)}; it must be a list of sizes.")
    return tuple(axes)


def _fits(name: str, shape: tuple[int, ...], count: int) -> None:
    if prod(shape) != count:
        raise wrong(f"The input {name!r} has {count} elements; its shape {list(shape)} takes {prod(shape)}.")


def _flat(data: list[Any]) -> list[Any]:
    """A list of lists as one list, in one pass however deeply it is nested."""
    flat: list[Any] = []
    waiting = [iter(data)]
    while waiting:
        for each in waiting[-1]:
            if isinstance(each, list):
                waiting.append(iter(each))
                break
            flat.append(each)
        else:
            waiting.pop()
    return flat


def _text(value: bytes | str) -> str:
    return value if isinstance(value, str) else value.decode("utf-8", "backslashreplace")
