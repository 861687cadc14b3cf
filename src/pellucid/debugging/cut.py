"""A network's graph, cut at one layer: some calls run once for a batch, the rest again for each channel that is zero.

A layer's channels are set to zero behind its batch norm and its activation function. Zeros before them would not remove
a filter: the batch norm would turn them into a constant of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pellucid.classifier.classifier import Classifier
from pellucid.errors import TraceError
from pellucid.glassbox.trace import exporting, frozen_copy
from pellucid.glassbox.trace.graph import Call, Graph, Ref
from pellucid.glassbox.trace.naming import INPUT
from pellucid.glassbox.trace.running import filled, first_line

if TYPE_CHECKING:
    from torch import Tensor

CONVOLUTIONS = ("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
KEEPING = {
    "batch_norm",
    "instance_norm",
    "relu",
    "relu6",
    "leaky_relu",
    "prelu",
    "elu",
    "selu",
    "celu",
    "gelu",
    "silu",
    "mish",
    "hardswish",
    "hardsigmoid",
    "hardtanh",
    "sigmoid",
    "tanh",
    "softplus",
    "clamp",
    "clip",
    "clamp_min",
    "clamp_max",
    "dropout",
    "feature_dropout",
    "alias",
    "clone",
    "contiguous",
    "detach",
}
"""Operators whose channel c depends on channel c of what they read, and on nothing else of the picture."""
NUMBERS = 800_000  # numbers of the pictures in a batch
MOST = 64  # pictures in a batch
CLOSE = 1e-3  # largest difference between the graph's scores and the module's, as a part of the largest score


@dataclass(frozen=True)
class Cut:
    """A graph, cut behind a layer.

    * layer: its name; `place`: the name of the array that changes
    * axis: of the channels in that array, counted from 0
    * before: the calls that compute the array, and all else that the rest reads; `after`: those that depend on it
    """

    layer: str
    place: str
    axis: int
    channels: int
    before: tuple[Call, ...]
    after: tuple[Call, ...]


class Batched:
    """A classifier's graph for batches of a fixed size. The classifier does not change."""

    def __init__(self, classifier: Classifier, pictures: int) -> None:
        """`pictures`: how many will come. Raises TraceError if the network cannot be traced."""
        form = classifier.form
        fitting = NUMBERS // (form.height * form.width * form.channels)
        self.size = max(1, min(MOST, fitting, pictures))
        self._classifier = classifier
        blank = np.zeros((self.size, form.height, form.width, form.channels), np.uint8)
        with frozen_copy.gradients():
            self.module = frozen_copy.still(classifier.module)
            sample = classifier.standardised(blank)
            self.graph: Graph = exporting.capture(deepcopy(self.module), sample).scored()
        weights = [*self.module.named_parameters(), *self.module.named_buffers()]
        self.fixed: Mapping[str, Any] = {**{name: each.detach() for name, each in weights}, **self.graph.constants}
        self.input_shape = tuple(sample.shape[1:])
        self.shapes = self._shapes(sample)

    def input(self, images: NDArray[np.uint8]) -> dict[str, Any]:
        """The graph's arrays before its first call, for prepared images uint8 (n, H, W, C), n at most `size`.

        The last of them fills the rest of the batch.
        """
        rest = np.repeat(images[-1:], self.size - len(images), axis=0)
        return {**self.fixed, self.graph.roles[INPUT]: self._classifier.standardised(np.concatenate([images, rest]))}

    def check(self, images: NDArray[np.uint8]) -> None:
        """Compare the graph's scores with those of the module itself. Raises TraceError if they differ."""
        import torch

        with torch.inference_mode():
            arrays = self.input(images)
            scores = run(self.graph.calls, arrays)[self.graph.output]
            own = self.module(arrays[self.graph.roles[INPUT]])
            apart = float((scores - own).abs().max())
            if not apart <= CLOSE * max(1.0, float(own.abs().max())):
                raise TraceError(f"The traced network's scores differ from the module's own by {apart:.2g}.")

    def convolutions(self) -> list[str]:
        """The names of the convolutions, in their order."""
        return [call.name for call in self.graph.calls if call.operator in CONVOLUTIONS]

    def cut(self, layer: str) -> Cut:
        """Cut the graph behind a layer. Raises TraceError if there is no such layer, or if it has no channels."""
        calls = self.graph.calls
        own = next((call for call in calls if call.name == layer), None)
        if own is None:
            raise frozen_copy.unknown(layer, [call.name for call in calls if call.name in self.shapes], "layer")
        place = self._place(own)
        shape = self.shapes.get(place, ())
        if place == self.graph.output:
            raise TraceError(f"{layer} makes the network's scores; its channels are the classes, not filters.")
        if len(shape) not in (2, 4) or shape[0] != self.size:
            what = "x".join(map(str, shape)) or "several arrays"
            raise TraceError(f"{layer} has no channels: its output for {self.size} pictures is {what}.")
        depends, after = {place}, []
        for call in calls:
            if any(name in depends for name in reads(call)):
                depends.add(call.name)
                after.append(call)
        needed, before = {place, *(name for call in after for name in reads(call) if name not in depends)}, []
        for call in reversed(calls):
            if call.name in needed:
                before.append(call)
                needed.update(reads(call))
        return Cut(layer, place, 1, shape[1], tuple(reversed(before)), tuple(after))

    def _place(self, call: Call) -> str:
        """The array behind a layer's batch norm and activation, as long as nothing else reads what lies between."""
        name = call.name
        while True:
            readers = [each for each in self.graph.calls if name in reads(each)]
            if len(readers) != 1 or name == self.graph.output:
                return name
            (reader,) = readers
            if reader.operator not in KEEPING or not reader.args or reader.args[0] != Ref(name):
                return name
            name = reader.name

    def _shapes(self, sample: Tensor) -> dict[str, tuple[int, ...]]:
        """The shape of each call's result that is one array."""
        import torch

        with torch.inference_mode():
            arrays = run(self.graph.calls, {**self.fixed, self.graph.roles[INPUT]: sample})
        every = ((call.name, arrays[call.name]) for call in self.graph.calls)
        return {name: tuple(each.shape) for name, each in every if isinstance(each, torch.Tensor)}


def run(calls: Iterable[Call], arrays: dict[str, Any]) -> dict[str, Any]:
    """Add each call's result to `arrays`, and return it. Raises TraceError if a call fails."""
    for call in calls:
        try:
            arrays[call.name] = call.run(*filled(call.args, arrays), **filled(dict(call.kwargs), arrays))
        except Exception as error:  # a function of the module's may do anything
            raise TraceError(f"{call.name} cannot be run on several pictures: {first_line(error)}.") from error
    return arrays


def reads(call: Call) -> set[str]:
    """The names of the arrays that a call reads."""
    names: set[str] = set()
    waiting: list[Any] = [call.args, dict(call.kwargs)]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Ref):
            names.add(value.name)
        elif isinstance(value, Mapping):
            waiting.extend(value.values())
        elif isinstance(value, list | tuple):
            waiting.extend(value)
    return names
