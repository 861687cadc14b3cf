"""The way of a step's pictures into the network: in parts, varied, standardised."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pellucid.network.standardise import to_unit
from pellucid.pictures.augment import augment, augment_stored
from pellucid.training.norms import has_batch_norm

if TYPE_CHECKING:
    import torch

    from pellucid.network.standardise import Stored
    from pellucid.training.loop import Task

PIXELS = 6_000_000  # in the pictures that go through the network at once on a CPU: 64 of 300x300


def parts(task: Task, module: torch.nn.Module, rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The rows of a step, in parts that go through the network together; their gradients are added.

    One part, except on a CPU if the pictures have very many pixels: smaller parts are then as fast and take less
    memory. Batch norm needs all rows in one part, unless its sums are frozen.
    """
    if task.engine.device != "cpu" or (has_batch_norm(module) and not task.frozen_norms):
        return [rows]
    height, width = task.images.batch(rows[:0]).shape[1:3]
    return np.array_split(rows, -(-len(rows) * height * width // PIXELS))


def logits(
    task: Task,
    module: torch.nn.Module,
    pixels: Stored,
    generator: torch.Generator,
    stays: NDArray[np.bool_] | None = None,
) -> torch.Tensor:
    """The outputs for pictures (n, H, W, C) of the store, augmented first if the recipe says so.

    `stays`: which of them go through the network, (n,); None for all.
    """
    if task.augment == "none":
        with task.engine.autocast():
            return task.engine.of_stored(module, task.standardise)(pixels if stays is None else _some(pixels, stays))
    images = augmented(task, pixels, generator)
    with task.engine.autocast():
        return task.engine.forward(module)(images if stays is None else images[stays.nonzero()[0]])


def augmented(task: Task, pixels: Stored, generator: torch.Generator) -> torch.Tensor:
    """Stored pictures (n, H, W, C) varied by the recipe's augmentation and standardised, float32 (n, C, H, W)."""
    if isinstance(pixels, np.ndarray) and task.engine.device == "cpu":
        scale = task.standardise
        return augment_stored(pixels, task.augment, generator, scale.mean, scale.deviation, task.engine.share_out)
    return task.standardise(augment(to_unit(pixels, task.engine.device), task.augment, generator))


def _some(pixels: Stored, stays: NDArray[np.bool_]) -> Stored:
    return pixels[stays] if isinstance(pixels, np.ndarray) else pixels[stays.nonzero()[0]]
