"""Pictures held on a GPU, if its memory fits them all: each is copied once, on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pellucid.engine.device import Engine
from pellucid.training.loop import Images

if TYPE_CHECKING:
    import torch

SHARE = 0.5  # of the GPU's free memory: the rest is for the network and what a step computes


def hold(images: Images, count: int, engine: Engine) -> tuple[Images, tuple[str, ...]]:
    """`images`, which are `count`, or the same on the GPU if they fit; and a sentence with the reason."""
    free = engine.free_bytes()
    if free is None:
        return images, ()
    size = count * int(np.prod(images.batch(np.empty(0, np.int64)).shape[1:]))
    sizes = f"{size / 1e9:.1f} GB of pictures, {free / 1e9:.1f} GB free on the GPU"
    if size > SHARE * free:
        return images, (f"pictures in main memory: {sizes}",)
    return Resident(images, count, engine), (f"pictures on the GPU: {sizes}",)


class Resident:
    """All of `images`, `count` of them, on the engine's device."""

    def __init__(self, images: Images, count: int, engine: Engine) -> None:
        import torch

        self._images, self._engine = images, engine
        shape = images.batch(np.empty(0, np.int64)).shape[1:]
        self._pixels = torch.empty((count, *shape), dtype=torch.uint8, device=engine.device)
        self._there = np.zeros(count, np.bool_)

    def batch(self, rows: NDArray[np.int64]) -> torch.Tensor:
        """Rows (n,) -> uint8 (n, H, W, C) on the device. Raises StorageError if the store cannot be read."""
        missing = np.unique(rows[~self._there[rows]])
        if len(missing):
            pixels = self._images.batch(missing)
            assert isinstance(pixels, np.ndarray)
            self._pixels[self._engine.send(missing)] = self._engine.send(pixels)
            self._there[missing] = True
        return self._pixels[self._engine.send(rows)]
