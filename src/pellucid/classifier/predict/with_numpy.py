"""The NumPy backend: its first predictions need no torch.

Importing torch takes longer than classifying a few pictures in NumPy (docs/why/cold.md). network/forward.py computes
these few; torch is imported once enough pictures follow to pay for it.
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

WORTH_TORCH = 30_000_000_000  # operations that take NumPy, on one core, about as long as importing torch
MOST = 200  # pictures without torch, however small the network


@dataclass(frozen=True, eq=False)
class NumpyBackend:
    """Computes a few pictures in NumPy, more in compiled loops or in torch, which it imports then. See Backend.

    `weights`: by the names and in the shapes of the state dict. `torch`: the same network and weights in torch. `many`:
    whether more pictures than `few` are known to come; then none of them goes through NumPy alone.
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
        """How many pictures to classify before torch is worth its import; 0 if it is from the first one on."""
        operations = plan(self.network, self.shape, self.classes).forward_flops
        return min(MOST, WORTH_TORCH // max(1, operations))

    @cached_property
    def steps(self) -> list[PlacedLayer]:
        """The layers with their input and output sizes."""
        return self.network.shapes(self.shape, self.classes)

    def logits(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See Backend. Computes one picture after the other, on one core."""
        with one_thread():
            return np.stack([forward(self.steps, self.weights, self.standardise.plain(image)) for image in images])

    def stages(self, expected: int, batch: int) -> Iterator[Stage]:
        """See Backend. `expected` is not used: `many` holds what is known."""
        keep_memory()
        if not self.many:
            yield Stage(self.few, 1, lambda: self.logits, lambda: self.logits)
        yield Stage(None, min(batch, GROUP), self._alone, lambda: self.torch().logits)

    def _alone(self) -> Logits:
        """`logits` for many pictures, on the calling thread; without torch if the first block is most of the work."""
        logits = blocks.run_without_torch(self.steps, self.weights, self.standardise)
        if logits is None:
            return self.torch().alone()
        expect_many()
        return logits
