"""The ONNX Runtime backend. It predicts after a comparison with PyTorch.

It does not import torch, because this would take longer than a few hundred pictures (docs/why/inference.md). Only if a
model was never compared, its first pictures go through both.
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
from pellucid.pictures.decode import expect_many, expect_several
from pellucid.runtime.memory import keep_memory

if TYPE_CHECKING:
    from pellucid.classifier.predict.with_torch import TorchBackend

PIXELS = 131_072  # of a run, such as 8 pictures of 128x128; more are not faster and take memory
WORTH_KERNELS = 256  # pictures on which our first block saves the time that loading its kernel takes
PLAIN = 4  # pictures of a comparison that the graph computes without optimisation too
LOG = logging.getLogger("pellucid")


@dataclass(frozen=True, eq=False)
class RuntimeBackend:
    """A network's layers with their sizes, and its weights by their names in the state dict. See Backend.

    * source: the file that the weights come from
    * torch: returns the torch backend with the same network and weights
    * expected: the least number of pictures known to come
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
        """See Backend. Kernels that pay only for many pictures load once many have come or are known to come."""
        keep_memory()
        known = max(expected, self.expected)

        def load() -> Logits:
            if known >= MANY:
                expect_many()  # before any thread is busy
            return self._fused()

        if known != 1:
            expect_several()
        if known < WORTH_KERNELS:  # small groups: otherwise one core would compute all of a few pictures
            yield Stage(WORTH_KERNELS, min(batch, self._group), self._ready, self._ready)
        yield Stage(None, min(batch, GROUP), load, load)

    def compare(self, images: NDArray[np.uint8], logits: NDArray[np.float32]) -> Compared:
        """Compare ONNX Runtime with PyTorch's `logits` for these prepared images, and store the result.

        `images`: uint8 (n, H, W, C). `logits`: float32 (n, classes). Raises ExportError if ONNX Runtime does not accept
        the graph.
        """
        ours = self._parted(self.graph.opened(), images)
        return self.graph.compare(logits, ours, self._parted(self.graph.opened(optimised=False), images[:PLAIN]))

    @cached_property
    def graph(self) -> Graph:
        """The graph for ONNX Runtime."""
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
        """Use the kernel for the first block if there is one."""
        if not blocks.runs_without_torch(self.steps):
            return partial(self._parted, self._ready())
        return blocks.run_without_torch(self.steps, self.weights, self.standardise)


class _Checked:
    """Logits by ONNX Runtime if they equal PyTorch's up to BOUND, else by PyTorch, with a warning."""

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
        """Choose before the first picture, if the two were compared earlier."""
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
        plain = self._graph.opened(optimised=False)(images[:PLAIN])
        return self._by(self._graph.compare(self._torch().alone(fuse=False)(images), self._run(images), plain))

    def _by(self, compared: Compared) -> Logits:
        if compared.agrees:
            return self._run
        return self._instead(
            f"ONNX Runtime's logits differ from PyTorch's by {compared.difference:.1g} of the largest; at most "
            f"{BOUND:g} is allowed"
        )

    def _instead(self, reason: str) -> Logits:
        LOG.warning("%s: %s. PyTorch predicts instead.", self._graph.source.folder, reason)
        return self._torch().alone()
