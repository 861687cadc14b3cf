"""Stored bytes -> a network's input: 0..255 -> 0..1 -> mean 0, deviation 1 per channel.

This happens only here: training, prediction and every explanation use it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

    Stored = NDArray[np.uint8] | Tensor
    """Stored pictures, uint8 (n, H, W, C): an array, or a tensor on the computing device."""


def to_unit(images: Stored, device: str = "cpu") -> Tensor:
    """uint8 (n, H, W, C) -> float32 (n, C, H, W) in 0..1 on `device`, channels-last in memory."""
    import torch

    if isinstance(images, np.ndarray):
        # copied only if necessary: torch takes no array that is read-only or has gaps
        images = torch.from_numpy(np.require(images, requirements=("C", "W")))
    pixels = images.to(device)
    # (n, H, W, C) viewed as (n, C, H, W) is already channels-last: the only copy is the conversion to float
    return pixels.permute(0, 3, 1, 2).to(torch.float32).div_(255.0)


@dataclass(frozen=True)
class Standardise:
    """(x - mean) / deviation per channel, for pixels in 0..1."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def plain(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """A picture without torch: uint8 (H, W, C) -> float32 (C, H, W), `to_unit` and standardised."""
        mean, deviation = (np.array(numbers, np.float32)[:, None, None] for numbers in (self.mean, self.deviation))
        pixels = np.ascontiguousarray(image.transpose(2, 0, 1)).astype(np.float32)
        return (pixels / np.float32(255) - mean) / deviation

    def table(self) -> NDArray[np.float32]:
        """The result for each byte, float32 (C, 256): the same numbers as for a picture."""
        every = np.arange(256, dtype=np.uint8)[None, :, None]
        return self.plain(np.repeat(every, len(self.mean), axis=2))[:, 0]

    def __call__(self, images: Tensor) -> Tensor:
        """float32 (n, C, H, W) in 0..1 -> float32 of the same shape, about mean 0 and deviation 1."""
        import torch

        count, channels, height, width = images.shape
        # a row's channels side by side, against as many means: three times as fast in PyTorch as channel by channel
        rows = images.permute(0, 2, 3, 1).reshape(count * height, width * channels)
        mean, deviation = (torch.tensor(v, device=images.device).repeat(width) for v in (self.mean, self.deviation))
        return (rows - mean).div_(deviation).view(count, height, width, channels).permute(0, 3, 1, 2)


ROWS = 256  # their squares add up to less than 2^24, and float32 represents every integer up to that


def measure(batches: Iterable[NDArray[np.uint8]], channels: int) -> Standardise:
    """Mean and deviation of each channel over uint8 batches (n, H, W, C), exact, because every sum is an integer."""
    count, total, squares = 0, np.zeros(channels, np.int64), np.zeros(channels, np.int64)
    for batch in batches:
        count += batch.size // channels
        rows = batch.reshape(-1, batch.shape[2] * channels)
        for start in range(0, len(rows), ROWS):
            numbers = rows[start : start + ROWS].astype(np.float32)
            ones = np.ones(len(numbers), np.float32)
            total += _by_channel(ones @ numbers, channels)
            squares += _by_channel(ones @ np.square(numbers, out=numbers), channels)
    mean = total / count
    variance = squares / count - mean**2
    # a constant channel keeps its scale, because its deviation would be zero
    deviation = np.where(variance > 0.25, np.sqrt(np.maximum(variance, 0.25)), 255.0)
    return Standardise(tuple((mean / 255).tolist()), tuple((deviation / 255).tolist()))


def _by_channel(sums: NDArray[np.float32], channels: int) -> NDArray[np.int64]:
    return sums.astype(np.int64).reshape(-1, channels).sum(axis=0)
