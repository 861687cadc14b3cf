"""The checked settings in a layer's configuration, and its arrays, in the shapes that the configuration promises."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import ArtefactError, NetworkError
from pellucid.keras.graph import Node

Pair = tuple[int, int]

LARGEST_SIDE = 1 << 14  # pixels of a picture


def whole(node: Node, name: str, default: int | None = None) -> int:
    """A whole number from 1. Raises NetworkError that names the layer."""
    value = node.config.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise NetworkError(f"{node.called}: its {name} is {value!r}, but it must be a whole number, 1 or more.")
    return value


def pair(node: Node, name: str, default: Pair | None = None) -> Pair:
    """A whole number for height and for width; Keras writes one for both, or two. Raises NetworkError."""
    value = node.config.get(name, default)
    value = default if value is None else value
    both = [value, value] if isinstance(value, int) else value
    if not isinstance(both, list | tuple) or len(both) != 2 or not all(_counts(each) for each in both):
        raise NetworkError(f"{node.called}: its {name} is {value!r}, but it must be one or two whole numbers.")
    return both[0], both[1]


def number(node: Node, name: str, default: float) -> float:
    """A finite number; None is the default. Raises NetworkError.

    Keras 2 wrote some of them as float32: 0.20000000298023224 is 0.2 again.
    """
    value = node.config.get(name, default)
    value = default if value is None else value
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise NetworkError(f"{node.called}: its {name} is {value!r}, but it must be a number.")
    single = np.float32(value)
    return float(str(single)) if float(single) == value else float(value)


def numbers(node: Node, name: str, channels: int, default: float) -> NDArray[np.float64]:
    """float64 (channels,): one number for all channels, or one for each. Raises NetworkError."""
    value = node.config.get(name)
    if isinstance(value, dict):  # Keras 3's notation of an array
        value = value.get("config", {}).get("value")
    return per_channel(node, name, np.array(default if value is None else value), channels)


def per_channel(node: Node, name: str, value: NDArray[Any], channels: int) -> NDArray[np.float64]:
    """float64 (channels,) from an array with one number, or one for each channel. Raises NetworkError."""
    if value.dtype.kind not in "iuf" or value.size not in (1, channels) or not np.isfinite(value).all():
        raise NetworkError(f"{node.called}: its {name} is not one number, nor one for each of {channels} channels.")
    return np.broadcast_to(value.astype(np.float64).reshape(-1), (channels,)).copy()


def flag(node: Node, name: str, default: bool) -> bool:
    """Raises NetworkError unless it is true or false."""
    value = node.config.get(name, default)
    if not isinstance(value, bool):
        raise NetworkError(f"{node.called}: its {name} is {value!r}, but it must be true or false.")
    return value


def precision(node: Node) -> str:
    """The name of a layer's dtype policy: "float32", "mixed_float16", …"""
    policy = node.config.get("dtype")
    while isinstance(policy, dict):  # Keras 3
        inner = policy.get("config")
        policy = inner.get("name") if isinstance(inner, dict) else inner
    return str(policy or "float32")


def check_channels_last(node: Node) -> None:
    """Raises NetworkError for pictures with their channels first."""
    if node.config.get("data_format", "channels_last") not in ("channels_last", None):
        raise NetworkError(
            f"{node.called} takes its channels first (data_format {node.config['data_format']}); "
            "only channels last, the default of Keras, is supported."
        )


def arrays(node: Node, **shapes: tuple[int, ...]) -> list[NDArray[np.float32]]:
    """A layer's arrays, in this order and in these shapes. Raises ArtefactError if the file has others."""
    if len(node.arrays) != len(shapes):
        has = f"{len(node.arrays)} of them" if node.arrays else "none"
        raise ArtefactError(f"{node.called} needs {', '.join(shapes)}; the file has {has}. Save the whole model again.")
    for (name, shape), stored in zip(shapes.items(), node.arrays, strict=True):
        if stored.shape != shape:
            raise ArtefactError(f"{node.called}: its {name} is {stored.shape} in the file and should be {shape}.")
    read = [stored.read() for stored in node.arrays]
    for name, array in zip(shapes, read, strict=True):
        if not np.isfinite(array).all():
            raise ArtefactError(f"{node.called}: its {name} holds numbers that are not finite.")
    return read


def _counts(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
