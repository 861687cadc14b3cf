"""Fold what follows or precedes a convolution into its weights: only the convolution is left to compute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid.network.learning import BatchNorm, Conv
from pellucid.network.residual import PlacedLayer
from pellucid.network.standardise import Standardise

Weights = Mapping[str, NDArray[Any]]
"""Arrays by their names in the state dict."""


def batchnorm(steps: Sequence[PlacedLayer], weights: Weights, path: str) -> tuple[list[PlacedLayer], Weights]:
    """The row without each batch norm that follows a convolution, and all weights with the convolution's new ones.

    The convolution gets a bias. Names stay. `path`: what precedes the names of these layers, such as "residual1.body.".
    """
    left: list[PlacedLayer] = []
    changed = dict(weights)
    for step in steps:
        before = left[-1] if left else None
        if not (isinstance(step.layer, BatchNorm) and before is not None and isinstance(before.layer, Conv)):
            left.append(step)
            continue
        scale, shift, mean, variance = (
            np.asarray(weights[f"{path}{step.name}.{part}"], np.float64)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        factor, conv = scale / np.sqrt(variance + step.layer.eps), f"{path}{before.name}"
        bias = np.asarray(weights[f"{conv}.bias"], np.float64) if before.layer.bias else 0.0
        changed[f"{conv}.weight"] = (changed[f"{conv}.weight"] * factor[:, None, None, None]).astype(np.float32)
        changed[f"{conv}.bias"] = ((bias - mean) * factor + shift).astype(np.float32)
        left[-1] = before._replace(layer=replace(before.layer, bias=True))
    return left, changed


def standardise(
    weight: NDArray[Any], bias: NDArray[Any], scale: Standardise, zero: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The weight and bias of a first convolution for whole pixels minus `zero` instead of standardised pixels.

    weight: (filters, C, rows, columns), of one group. bias: (filters,). Where the convolution pads with zeros, it then
    pads with pixels of value `zero` instead of the mean.
    """
    mean, deviation = (np.array(each, np.float64) for each in (scale.mean, scale.deviation))
    new = np.asarray(weight, np.float64) / (255 * deviation)[None, :, None, None]
    shift = (new.sum(axis=(2, 3)) * (zero - 255 * mean)).sum(axis=1)
    return new.astype(np.float32), (bias + shift).astype(np.float32)
