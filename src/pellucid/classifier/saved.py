"""A classifier as it lies in its folder, read and checked: its first predictions need no torch.

Importing torch takes longer than a few pictures take in NumPy (docs/why/cold.md). So the first go through
network/forward.py, and torch is imported where more come than that pays for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pellucid.classifier.predict.predictor import GROUP, Logits, Prediction, Predictor, Source
from pellucid.memory import keep_memory
from pellucid.network.blas import one_thread
from pellucid.network.forward import forward
from pellucid.network.network import Network
from pellucid.network.plan import plan
from pellucid.network.residual import Step
from pellucid.network.scores import Thresholds
from pellucid.network.standardise import Standardise
from pellucid.pictures.decode import ALONE, Form, Ranges, expect_many

if TYPE_CHECKING:
    import torch

    from pellucid.classifier.classifier import Classifier

WORTH_TORCH = 30_000_000_000  # operations that take about as long in NumPy, on a core, as torch takes to be imported
MOST = 200  # pictures without torch, however small the network


@dataclass(frozen=True, eq=False)
class Saved(Predictor):
    """What store.read gives. Its numbers are those of its `classifier()` but for rounding."""

    network: Network
    weights: dict[str, NDArray[Any]]
    """By the names of the state dict, in its order and with its shapes."""
    classes: tuple[str, ...]
    form: Form
    standardise: Standardise
    temperature: float
    pixel_limit: int
    ranges: Ranges = ALONE
    thresholds: Thresholds = None
    many: bool = False
    """Whether more pictures than `few` are known to come: then all of them go through torch."""

    @cached_property
    def few(self) -> int:
        """How many pictures to classify before torch is worth its import; 0 where the first one already is."""
        operations = plan(self.network, self.input_shape, len(self.classes)).forward_flops
        return min(MOST, WORTH_TORCH // max(1, operations))

    def logits(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        with one_thread():
            return np.stack([forward(self._steps, self.weights, self.standardise.plain(image)) for image in images])

    def classifier(self, device: str = "cpu") -> Classifier:
        """The same with its torch module on `device`, in evaluation mode."""
        import torch

        from pellucid.classifier.classifier import Classifier

        if device == "cpu":
            keep_memory()
        # on the meta device a layer has a shape and no numbers: torch's random generator, from which new weights
        # would be drawn, stays where it is
        with torch.device("meta"):
            module = self.network.module(self.input_shape, len(self.classes))
        tensors = {name: torch.from_numpy(numbers) for name, numbers in self.weights.items()}
        module.load_state_dict(tensors, assign=True)
        given = self.network, _placed(module, device), self.classes, self.form, self.standardise, self.temperature
        return Classifier(*given, self.pixel_limit, self.ranges, self.thresholds)

    def _stream(self, pictures: Iterable[Source], batch: int) -> Iterator[Prediction]:
        keep_memory()
        rest = iter(pictures)
        if not self.many:
            yield from self._answered(islice(rest, self.few), 1, lambda: self.logits, lambda: self.logits)
        size = min(batch, GROUP)
        yield from self._answered(rest, size, self._alone, lambda: self.classifier().logits)

    def _alone(self) -> Logits:
        """`logits` for many pictures, on the calling thread; without torch where most work is the first block."""
        from pellucid.engine import light

        if not light.applies(self._steps):
            return self.classifier().alone()
        expect_many()
        return light.logits(self._steps, self.weights, self.standardise)

    @cached_property
    def _steps(self) -> list[Step]:
        return self.network.shapes(self.input_shape, len(self.classes))


def _placed(module: torch.nn.Module, device: str) -> torch.nn.Module:
    import torch

    return module.to(device=device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
