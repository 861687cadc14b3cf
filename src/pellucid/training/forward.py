"""The way of a step's pictures into the network: in parts, varied, standardised."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pellucid.network.standardise import to_unit
from pellucid.pictures.augment import augment, augment_stored
from pellucid.training.norms import has_batch_norm

if TYPE_CHECKING:
    import torch

    from pellucid.network.standardise import Stored
    from pellucid.training.loop import Task

Through = Callable[[Callable[[Any], Any], Any], Any]
"""Takes the network and its input, and gives the output."""
PIXELS = 6_000_000  # in the pictures that go through the network at once on a CPU: 64 of 300x300


def parts(task: Task, module: torch.nn.Module, rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The rows of a step, in parts that go through the network together; their gradients are added.

    One part, except on a CPU if the pictures have very many pixels: smaller parts are then as fast and take less
    memory. Batch norm needs all rows in one part, unless its sums are frozen. In a team each process computes its share
    of each part, at least one picture.
    """
    if task.engine.device != "cpu" or (has_batch_norm(module) and not task.frozen_norms):
        return [rows]
    height, width = task.images.batch(rows[:0]).shape[1:3]
    needed = -(-len(rows) * height * width // (PIXELS * task.team.world))
    return np.array_split(rows, max(1, min(needed, len(rows) // task.team.world)))


def own(task: Task, module: torch.nn.Module, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows of a step that this process reads, in order: its share of each part."""
    if task.team.alone:
        return rows
    return np.concatenate([part[task.team.part(len(part))] for part in parts(task, module, rows)])


def logits(
    task: Task,
    module: torch.nn.Module,
    pixels: Stored,
    generator: torch.Generator,
    stays: NDArray[np.bool_] | None = None,
    through: Through | None = None,
) -> torch.Tensor:
    """The outputs for pictures (n, H, W, C) of the store, augmented first if the recipe says so.

    `stays`: which pictures of a part these are, (part,); None for all. Augmentation and dropout draw for all of the
    part. `through`: calls the network in a team (team/exchange.py).
    """
    import torch

    images: Any = pixels
    network: Callable[[Any], torch.Tensor] = task.engine.of_stored(module, task.standardise)
    if task.augment != "none":
        images, network = augmented(task, pixels, generator, stays), task.engine.forward(module)
    with task.engine.autocast(), _drawing_for_all(module, stays):
        result = network(images) if through is None else through(network, images)
    return result if result.dtype == torch.float64 else result.float()


def augmented(
    task: Task, pixels: Stored, generator: torch.Generator, stays: NDArray[np.bool_] | None = None
) -> torch.Tensor:
    """Stored pictures (n, H, W, C) varied by the recipe's augmentation and standardised, float32 (n, C, H, W)."""
    if isinstance(pixels, np.ndarray) and task.engine.device == "cpu":
        scale, share_out = task.standardise, task.engine.share_out
        return augment_stored(pixels, task.augment, generator, scale.mean, scale.deviation, share_out, stays)
    return task.standardise(augment(to_unit(pixels, task.engine.device), task.augment, generator, stays))


@contextmanager
def _drawing_for_all(module: torch.nn.Module, stays: NDArray[np.bool_] | None) -> Iterator[None]:
    """Dropout draws as for all pictures, and each picture that stays meets the draws of its own place."""
    from torch import nn

    kind = nn.modules.dropout._DropoutNd
    layers = [] if stays is None else [each for each in module.modules() if isinstance(each, kind)]
    for layer in layers:
        layer.forward = partial(_dropped, layer, stays)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _dropped(layer: torch.nn.Module, stays: NDArray[np.bool_], some: torch.Tensor) -> torch.Tensor:
    """Dropout of the pictures that stay, (m, ...), by the draws for all n."""
    import torch

    last = some.ndim == 4 and some.is_contiguous(memory_format=torch.channels_last)
    order = torch.channels_last if last else torch.contiguous_format  # draws follow the order in memory
    places = torch.from_numpy(stays.nonzero()[0]).to(some.device)
    every = some.new_zeros((len(stays), *some.shape[1:])).contiguous(memory_format=order)
    return type(layer).forward(layer, every.index_copy(0, places, some))[places]
