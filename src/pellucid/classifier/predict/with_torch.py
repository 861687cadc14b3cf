"""The torch backend: all cores share one group of pictures, or each core computes its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pellucid.classifier.predict.backend import GROUP, Logits, Stage
from pellucid.engine import blocks
from pellucid.network.own.program import in_plain_order
from pellucid.network.standardise import Standardise, to_unit
from pellucid.pictures.decode import expect_many

if TYPE_CHECKING:
    import torch

WORTH_FUSING = 256  # pictures on which fusing saves about the time that loading the kernels takes


@dataclass(frozen=True, eq=False)
class TorchBackend:
    """A torch module. See Backend.

    `plain`: whether the module needs pictures in plain memory order; torch.export drops the hook that ensures this.
    """

    module: torch.nn.Module
    standardise: Standardise
    plain: bool = False

    @property
    def device(self) -> str:
        """The device of the weights: "cpu", "cuda:0", ..."""
        parameter = next(self.module.parameters(), None)
        return str(parameter.device) if parameter is not None else "cpu"

    def standardised(self, images: NDArray[np.uint8]) -> torch.Tensor:
        """Prepared images uint8 (n, H, W, C) -> the module's input, float32 (n, C, H, W), on the weights' device."""
        standardised = self.standardise(to_unit(images, self.device))
        return in_plain_order(standardised) if self.plain else standardised

    def logits(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See Backend."""
        import torch

        self.module.eval()
        parts = []
        with torch.inference_mode():
            for start in range(0, len(images), GROUP):
                part = self.standardised(images[start : start + GROUP])
                parts.append(self.module(part).float().cpu().numpy())
        return np.concatenate(parts)

    def alone(self, fuse: bool = True) -> Logits:
        """Like `logits`, but for a thread that works alone: from the first call on, PyTorch gives it no helper threads.

        `fuse`: compute convolution, ReLU and pooling as one step if the network has them, equal up to rounding. The
        function uses the module's state at the time of this call.
        """
        import torch

        from pellucid.runtime.threads import work_alone

        self.module.eval()
        module, standardised = self.module, self.standardised

        def plain(images: NDArray[np.uint8]) -> torch.Tensor:
            return module(standardised(images))  # type: ignore[no-any-return]

        forward: Callable[[NDArray[np.uint8]], torch.Tensor] = plain
        if fuse and blocks.describe(module):
            expect_many()
            forward = blocks.run_stored(module, self.standardise, 1)

        def logits(images: NDArray[np.uint8]) -> NDArray[np.float32]:
            work_alone()
            with torch.inference_mode():
                return forward(images).float().numpy()

        return logits

    def stages(self, expected: int, batch: int) -> Iterator[Stage]:
        """See Backend. On the CPU the kernels of fused blocks are loaded only for many pictures."""
        if self.device != "cpu":
            yield Stage(None, batch, lambda: self.logits, lambda: self.logits)
            return
        size = min(batch, GROUP)
        if expected < WORTH_FUSING:
            yield Stage(WORTH_FUSING, size, lambda: self.alone(fuse=False), lambda: self.logits)
        yield Stage(None, size, self.alone, lambda: self.logits)
