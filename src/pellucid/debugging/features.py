"""What a linear readout reads of a layer: its numbers, or, of a large map, the averages over a grid of cells."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pellucid.debugging.cut import Batched, reads
from pellucid.glassbox.trace.graph import Call
from pellucid.glassbox.trace.naming import INPUT

if TYPE_CHECKING:
    from torch import Tensor

MOST = 512  # numbers that a readout reads of a map
SAME = {
    "alias",
    "batch_norm",
    "clone",
    "contiguous",
    "detach",
    "dropout",
    "feature_dropout",
    "flatten",
    "getitem",
    "permute",
    "reshape",
    "squeeze",
    "transpose",
    "unflatten",
    "unsqueeze",
    "view",
}
"""Operators after which a linear readout reads what it has read before: in another shape, or with another scale."""


@dataclass(frozen=True)
class Source:
    """A layer as a readout reads it.

    * shape: of one picture's output
    * cells: rows and columns of the grid over which a map is averaged; None if every number is read
    * count: how many numbers are read
    """

    layer: str
    shape: tuple[int, ...]
    cells: tuple[int, int] | None
    count: int

    def read(self, output: Tensor) -> Tensor:
        """A batch of the layer's output -> float32 (n, count)."""
        import torch.nn.functional as F

        output = output.float()
        if self.cells is None:
            return output.flatten(1)
        if output.ndim == 4:
            return F.adaptive_avg_pool2d(output, self.cells).flatten(1)
        return output.mean(1)


def sources(network: Batched) -> list[Source]:
    """The input, and each layer that computes something from it, in their order; the last makes the scores."""
    graph, size = network.graph, network.size
    start = graph.roles[INPUT]
    depends, every = {start}, [_source(start, network.input_shape)]
    for call in graph.calls:
        if not depends & reads(call):
            continue
        depends.add(call.name)
        shape = network.shapes.get(call.name, ())
        if _computes(call, graph.output) and len(shape) in (2, 3, 4) and shape[0] == size:
            every.append(_source(call.name, shape[1:]))
    return every


def _computes(call: Call, output: str) -> bool:
    return call.name == output or call.operator not in SAME


def _source(layer: str, shape: tuple[int, ...]) -> Source:
    """A map (C, H, W) is averaged over the finest grid that leaves at most MOST numbers; tokens (T, D) over all."""
    count = math.prod(shape)
    if count <= MOST or len(shape) == 1:
        return Source(layer, shape, None, count)
    if len(shape) == 2:
        return Source(layer, shape, (1, 1), shape[1])
    side = max(1, math.isqrt(MOST // shape[0])) if shape[0] <= MOST else 1
    cells = min(side, shape[1]), min(side, shape[2])
    return Source(layer, shape, cells, shape[0] * cells[0] * cells[1])


def of_batch(sources: list[Source], arrays: Mapping[str, Any]) -> list[Tensor]:
    """What each source reads of a batch."""
    return [source.read(arrays[source.layer]) for source in sources]
