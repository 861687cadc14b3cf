"""A classifier whose weights are rounded to fewer bits, computed by its own module: every layer stays visible."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from pellucid.network.int8_writer import LIMIT

if TYPE_CHECKING:
    from torch import Tensor

    from pellucid.classifier.classifier import Classifier

Kind = Literal["bfloat16", "int8"]


def rounded(classifier: Classifier, kind: Kind) -> Classifier:
    """The same classifier with rounded weights; the sums and the maps stay in float32.

    "bfloat16" rounds every weight. "int8" rounds the weights of convolutions and dense layers to whole multiples
    of a scale for each filter, its largest magnitude / 64, as int8 predictions do. The classifier
    itself does not change.
    """
    import torch

    module = deepcopy(classifier.module)
    with torch.no_grad():
        for parameter in module.parameters():
            if kind == "bfloat16":
                parameter.copy_(parameter.bfloat16())
            elif parameter.ndim > 1:
                parameter.copy_(_eight_bits(parameter))
    return replace(classifier, module=module)


def _eight_bits(weight: Tensor) -> Tensor:
    """The weight (filters, ...) as whole multiples of each filter's scale, from -64 to 64."""
    scale = weight.abs().flatten(1).amax(1).clamp_min(1e-30) / LIMIT
    scale = scale.reshape(-1, *[1] * (weight.ndim - 1))
    return (weight / scale).round().clamp(-LIMIT, LIMIT) * scale
