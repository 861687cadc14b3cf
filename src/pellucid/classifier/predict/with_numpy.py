"""A network as its folder has it: its first predictions need no torch.

Importing torch takes longer than a few pictures take in NumPy (docs/why/cold.md). So the first go through
network/forward.py, and torch is imported where more come than that pays for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pellucid.classifier.predict.backend import GROUP, Logits, Stage
from pellucid.engine import blocks
from pellucid.network.forward import forward
from pellucid.network.network import Network
from pellucid.network.plan import plan
from pellucid.network.residual import PlacedLayer
from pellucid.network.standardise import Standardise
from pellucid.network.window import Shape
from pellucid.pictures.decode import expect_many
from pellucid.runtime.blas import one_thread
from pellucid.runtime.memory import keep_memory

if TYPE_CHECKING:
    from pellucid.classifier.predict.with_torch import TorchBackend

WORTH_TORCH = 30_000_000_000  # operations that take about as long in NumPy, on a core, as torch takes to be imported
MOST = 200  # pictures without torch, however small the network


@dataclass(frozen=True, eq=False)
class NumpyBackend:
    """A few pictures in NumPy, more by compiled loops or by torch, which is then imported. See Backend.

    `weights`: by the names of the state dict, in the shapes that it has there. `torch`: the same network and weights
    in torch. `many`: whether more pictures than `few` are known to come; then none of them goes through NumPy alone.
    """

    network: Network
    shape: Shape
    classes: int
    weights: dict[str, NDArray[Any]]
    standardise: Standardise
    torch: Callable[[], TorchBackend]
    many: bool = False

    @cached_property
    def few(self) -> int:
        """How many pictures to classify before torch is worth its import; 0 where the first one already is."""
        operations = plan(self.network, self.shape, self.classes).forward_flops
        return min(MOST, WORTH_TORCH // max(1, operations))

    @cached_property
    def steps(self) -> list[PlacedLayer]:
        """The layers with the sizes of what goes into them and comes out."""
        return self.network.shapes(self.shape, self.classes)

    def logits(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See Backend. One picture after the other, on one core."""
        with one_thread():
            return np.stack([forward(self.steps, self.weights, self.standardise.plain(image)) for image in images])

    def stages(self, expected: int, batch: int) -> Iterator[Stage]:
        """See Backend. `expected` is not used: `many` says what is known."""
        keep_memory()
        if not self.many:
            yield Stage(self.few, 1, lambda: self.logits, lambda: self.logits)
        yield Stage(None, min(batch, GROUP), self._alone, lambda: self.torch().logits)

    def _alone(self) -> Logits:
        """`logits` for many pictures, on the calling thread; without torch where most work is the first block."""
        logits = blocks.run_without_torch(self.steps, self.weights, self.standardise)
        if logits is None:
            return self.torch().alone()
        expect_many()
        return logits
