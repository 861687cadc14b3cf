"""The features of a picture: the input of the last dense layer, which turns them into logits.

A run of the module finds this layer: it is the linear operation whose output the module returns. A user's own module
and an exported one have features too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from pellucid.errors import NetworkError

if TYPE_CHECKING:
    from pellucid.classifier.classifier import Classifier


@dataclass(frozen=True)
class Backbone:
    """`module` on `prepared` images, uint8 (n, H, W, C), and the input of its last dense layer.

    `head`: the layer's name in the module; `width`: the number of features of a picture.
    """

    module: torch.nn.Module
    prepared: Callable[[NDArray[np.uint8]], Tensor]
    head: str
    width: int

    def both(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(logits (n, classes), features (n, width)), of prepared images uint8 (n, H, W, C)."""
        logits, layer = _watched(self.module, self.prepared(images))
        assert layer is not None, "the module takes another way with these images"
        return logits.float().cpu().numpy(), layer.input.float().cpu().numpy()


def of(classifier: Classifier) -> Backbone:
    """The backbone of a classifier. Raises NetworkError if the network does not end in a dense layer."""
    module, form = classifier.module.eval(), classifier.form
    blank = np.zeros((1, form.height, form.width, form.channels), np.uint8)
    _, layer = _watched(module, classifier.standardised(blank))
    parameters = module.named_parameters()
    names = [name for name, parameter in parameters if layer is not None and _is_same(parameter, layer.weight)]
    if layer is None or not names:
        raise NetworkError(
            "This network has no features. Features are the input of a last dense layer, and this network does not "
            "end with one. Use a network that ends in dense."
        )
    return Backbone(module, classifier.standardised, names[0].rpartition(".")[0], layer.input.shape[1])


@dataclass(frozen=True)
class _Linear:
    input: Tensor
    weight: Tensor
    output: Tensor


class _Watch(TorchDispatchMode):
    """Notes the last linear operation of this thread. Does not change the module, which other threads may be using."""

    def __init__(self) -> None:
        super().__init__()
        self.last: _Linear | None = None

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func is torch.ops.aten.linear.default:
            self.last = _Linear(args[0], args[1], result)
        return result


def _watched(module: torch.nn.Module, images: Tensor) -> tuple[Tensor, _Linear | None]:
    """The logits, and the linear operation that computed them; None if another operation did."""
    with torch.inference_mode(), _Watch() as watch:  # only without gradients does a linear operation appear as one
        logits = module(images)
    last = watch.last
    if last is None or last.input.ndim != 2 or not _is_same(last.output, logits):
        return logits, None
    return logits, last


def _is_same(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors are the same numbers at the same address."""
    return one.data_ptr() == other.data_ptr() and one.shape == other.shape
