"""Read the weights of a model folder as arrays, and their places in the file, without torch and without a copy.

The format (https://github.com/huggingface/safetensors) has three parts: 8 bytes with the length of the header; the
header, JSON with the type, shape and place of each tensor; and the numbers, little-endian, tensor after tensor.
"""

from __future__ import annotations

import json
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import ArtefactError
from pellucid.network.layer import TensorSpecs
from pellucid.network.onnx_graph import Place
from pellucid.network.window import Shape

# safetensors' name of a type -> NumPy's; our weights have no other types
_TYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "U8": "uint8", "BOOL": "bool"}
_TYPES |= {f"I{bits}": f"int{bits}" for bits in (8, 16, 32, 64)}


class Tensors(NamedTuple):
    """The arrays, in the shapes of the state dict, and their places in the file, both by name."""

    arrays: dict[str, NDArray[Any]]
    places: dict[str, Place]


def read(path: Path, expected: TensorSpecs, config: str) -> Tensors:
    """The file's tensors, in the order of `expected`. Raises ArtefactError if names, types or shapes differ from these.

    `config`: the name of the file that describes the network, for the error. The weights are read, not mapped, because
    the file may be replaced while the arrays are in use.
    """
    try:
        content = np.fromfile(path, np.uint8)
        entries = _header(content, path.name)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ArtefactError(f"{path} cannot be read: {error}.") from error
    for name, (numbers, shape) in expected.items():
        if name not in entries:
            raise ArtefactError(f"{path} has no {name}, which the network in {config} needs.")
        actual = entries[name][:2]
        if actual != (numbers, shape):
            raise ArtefactError(
                f"{path}: {name} is {actual[0]} {actual[1]}, but the network in {config} needs {numbers} {shape}."
            )
        if entries[name][2].length != prod(shape) * np.dtype(numbers).itemsize:
            raise ArtefactError(f"{path} cannot be read: {name} has {entries[name][2].length} bytes.")
    extra = sorted(entries.keys() - expected.keys())
    if extra:
        raise ArtefactError(f"{path} has {', '.join(extra)}, which the network in {config} does not know.")
    arrays = {name: _array(content, *entries[name]) for name in expected}
    return Tensors(arrays, {name: entries[name][2] for name in expected})


def _header(content: NDArray[np.uint8], file: str) -> dict[str, tuple[str, Shape, Place]]:
    """(type, shape, place) of each tensor. If damaged, raises ValueError, TypeError, KeyError or AttributeError."""
    start = 8 + int.from_bytes(content[:8].tobytes(), "little")
    if start > len(content):
        raise ValueError("its header is cut")
    entries = {}
    for name, each in json.loads(content[8:start].tobytes()).items():
        if name != "__metadata__":
            first, end = (start + int(offset) for offset in each["data_offsets"])
            if not start <= first <= end <= len(content):
                raise ValueError(f"{name} lies outside the file")
            kind = _TYPES.get(each["dtype"], each["dtype"])
            entries[name] = (kind, tuple(each["shape"]), Place(file, first, end - first))
    return entries


def _array(content: NDArray[np.uint8], numbers: str, shape: Shape, place: Place) -> NDArray[Any]:
    part = content[place.start : place.start + place.length]
    return part.view(np.dtype(numbers).newbyteorder("<")).astype(numbers, copy=False).reshape(shape)
