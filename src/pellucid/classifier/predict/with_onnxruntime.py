"""A network as its folder has it, computed by ONNX Runtime once it has said what PyTorch says.

Torch is not imported, which would take longer than a few hundred pictures (docs/why/inference.md). Only the first
pictures of a model that was never compared go through both.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pellucid.classifier.predict.backend import GROUP, Logits, Stage
from pellucid.classifier.predict.graph import BOUND, Compared, Graph, Weights, graph
from pellucid.classifier.predict.predictor import MANY
from pellucid.engine import blocks
from pellucid.errors import ExportError
from pellucid.network.as_onnx import Weights as Numbers
from pellucid.network.residual import PlacedLayer
from pellucid.network.standardise import Standardise
from pellucid.pictures.decode import expect_many
from pellucid.runtime.memory import keep_memory

if TYPE_CHECKING:
    from pellucid.classifier.predict.with_torch import TorchBackend

PIXELS = 65_536  # in a run: 4 pictures of 128x128; more are hardly faster, and take memory
WORTH_KERNELS = 256  # pictures that save, with a first block of ours, the time that loading its kernel takes
LOG = logging.getLogger("pellucid")


@dataclass(frozen=True, eq=False)
class RuntimeBackend:
    """The layers with their sizes, and their weights by the names of the state dict. See Backend.

    `source`: where the weights come from. `torch`: the same network and weights in torch. `expected`: how many pictures
    are known to come, at least.
    """

    steps: list[PlacedLayer]
    weights: Numbers
    standardise: Standardise
    source: Weights
    torch: Callable[[], TorchBackend]
    expected: int = 0

    def logits(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See Backend."""
        return self._parted(self._ready(), images)

    def stages(self, expected: int, batch: int) -> Iterator[Stage]:
        """See Backend. What only many pictures are worth waits until they are many, or known to be."""
        keep_memory()
        known = max(expected, self.expected)

        def load() -> Logits:
            if known >= MANY:
                expect_many()  # before any thread is busy
            return self._fused()

        if known < WORTH_KERNELS:  # small groups, or a few pictures would be one core's work
            yield Stage(WORTH_KERNELS, min(batch, self._group), self._ready, self._ready)
        yield Stage(None, min(batch, GROUP), load, load)

    def compare(self, images: NDArray[np.uint8], logits: NDArray[np.float32]) -> Compared:
        """ONNX Runtime beside the logits that PyTorch gave for these prepared images; the result is remembered.

        Raises ExportError where ONNX Runtime does not take the graph.
        """
        return self.graph.compare(logits, self._parted(self.graph.opened(), images))

    @cached_property
    def graph(self) -> Graph:
        """What ONNX Runtime is given."""
        return graph(self.steps, self.weights, self.standardise, self.source)

    @cached_property
    def _checked(self) -> _Checked:
        return _Checked(self.graph, self.torch)

    @property
    def _group(self) -> int:
        _, height, width = self.steps[0].input
        return max(1, PIXELS // (height * width))

    def _parted(self, logits: Logits, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        parts = range(0, len(images), self._group)
        return np.concatenate([logits(images[start : start + self._group]) for start in parts])

    def _ready(self) -> Logits:
        self._checked.prepare()
        return self._checked

    def _fused(self) -> Logits:
        """Where the network's first block has a kernel, by that; asking imports Numba."""
        if not blocks.runs_without_torch(self.steps):
            return partial(self._parted, self._ready())
        return blocks.run_without_torch(self.steps, self.weights, self.standardise)


class _Checked:
    """Logits by ONNX Runtime where they are PyTorch's, else by PyTorch, which is then told."""

    def __init__(self, graph: Graph, torch: Callable[[], TorchBackend]) -> None:
        self._graph, self._torch = graph, torch
        self._deciding = Lock()
        self._chosen: Logits | None = None

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        if self._chosen is None:
            with self._deciding:
                if self._chosen is None:
                    self._chosen = self._compared(images)
        return self._chosen(images)

    def prepare(self) -> None:
        """Choose without a picture, where the two were compared before."""
        with self._deciding:
            if self._chosen is not None:
                return
            try:
                self._run = self._graph.opened()
            except ExportError as error:
                self._chosen = self._instead(str(error))
                return
            compared = self._graph.compared()
            if compared is not None:
                self._chosen = self._by(compared)

    def _compared(self, images: NDArray[np.uint8]) -> Logits:
        return self._by(self._graph.compare(self._torch().alone(fuse=False)(images), self._run(images)))

    def _by(self, compared: Compared) -> Logits:
        if compared.agrees:
            return self._run
        return self._instead(
            f"ONNX Runtime's logits differ from PyTorch's by {compared.difference:.1g} of the largest, "
            f"where {BOUND:g} is allowed"
        )

    def _instead(self, reason: str) -> Logits:
        LOG.warning("%s: %s. PyTorch predicts instead.", self._graph.source.folder, reason)
        return self._torch().alone()
