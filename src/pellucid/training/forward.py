"""The way of a step's pictures into the network: in parts, varied, standardised."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
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

    `stays`: which of them go through the network, (n,); None for all. Augmentation and dropout draw for all of them.
    """
    if task.augment == "none":
        with task.engine.autocast(), _drawing_for_all(module, stays):
            return task.engine.of_stored(module, task.standardise)(pixels if stays is None else _some(pixels, stays))
    images = augmented(task, pixels, generator)
    with task.engine.autocast(), _drawing_for_all(module, stays):
        return task.engine.forward(module)(images if stays is None else images[stays.nonzero()[0]])


def augmented(task: Task, pixels: Stored, generator: torch.Generator) -> torch.Tensor:
    """Stored pictures (n, H, W, C) varied by the recipe's augmentation and standardised, float32 (n, C, H, W)."""
    if isinstance(pixels, np.ndarray) and task.engine.device == "cpu":
        scale = task.standardise
        return augment_stored(pixels, task.augment, generator, scale.mean, scale.deviation, task.engine.share_out)
    return task.standardise(augment(to_unit(pixels, task.engine.device), task.augment, generator))


def _some(pixels: Stored, stays: NDArray[np.bool_]) -> Stored:
    return pixels[stays] if isinstance(pixels, np.ndarray) else pixels[stays.nonzero()[0]]


@contextmanager
def _drawing_for_all(module: torch.nn.Module, stays: NDArray[np.bool_] | None) -> Iterator[None]:
    """Dropout draws as for all pictures, and each picture that stays meets the draws of its own place."""
    from torch import nn

    layers = [] if stays is None else [each for each in module.modules() if isinstance(each, nn.Dropout)]
    for layer in layers:
        layer.forward = partial(_dropped, layer, stays)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _dropped(layer: torch.nn.Dropout, stays: NDArray[np.bool_], some: torch.Tensor) -> torch.Tensor:
    """Dropout of the pictures that stay, (m, ...), by the draws for all n."""
    import torch
    import torch.nn.functional as F

    last = some.ndim == 4 and some.is_contiguous(memory_format=torch.channels_last)
    order = torch.channels_last if last else torch.contiguous_format  # draws follow the order in memory
    places = torch.from_numpy(stays.nonzero()[0]).to(some.device)
    every = some.new_zeros((len(stays), *some.shape[1:])).contiguous(memory_format=order)
    return F.dropout(every.index_copy(0, places, some), layer.p, layer.training)[places]
