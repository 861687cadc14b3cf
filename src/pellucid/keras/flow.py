"""The state of reading a network: the input of the next layer, and what each layer became."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.network.layer import Layer
from pellucid.network.window import Shape

Weights = Mapping[str, NDArray[Any]]
Zeros = tuple[int, int, int, int]
"""Zeros at the top, bottom, left and right."""


@dataclass(frozen=True)
class ConvertedLayer:
    """A layer of ours with its weights, by the names of its module; a residual layer has those of its branches."""

    layer: Layer
    weights: Weights = field(default_factory=dict)
    branches: tuple[tuple[ConvertedLayer, ...], tuple[ConvertedLayer, ...]] = ((), ())


@dataclass
class Flow:
    """The data of one picture at this place of the network.

    * shape: (channels, height, width) or (features,), in our order
    * flattened: the (channels, height, width) before flattening, if Keras's row has another order than ours; see
      `as_ours`
    * plane: the picture has no axis of channels in Keras, (height, width)
    * zeros: a ZeroPadding2D that waits for the layer it pads
    * positive: no number is below 0, so zeros never win a maximum over them
    * notes: what the user needs to know
    """

    shape: Shape
    flattened: Shape | None = None
    plane: bool = False
    zeros: Zeros = (0, 0, 0, 0)
    positive: bool = False
    notes: list[str] = field(default_factory=list)


def as_ours(array: NDArray[np.float32], flattened: Shape | None) -> NDArray[np.float32]:
    """An array (features, ...) whose first axis is Keras's flattened row, in our order.

    Keras flattens row by row with the channels innermost, ours channel by channel.
    """
    if flattened is None:
        return array
    channels, height, width = flattened
    inside = array.shape[1:]
    return np.moveaxis(array.reshape(height, width, channels, *inside), 2, 0).reshape(-1, *inside)
