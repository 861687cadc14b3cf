"""A training's pictures as the network saw them: as they are stored, or varied by a step's augmentation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pellucid.training import forward, loop

if TYPE_CHECKING:
    from pellucid.life.again import Again


def plain(again: Again, row: int) -> NDArray[np.uint8]:
    """A picture at training size, without augmentation: uint8 (H, W, C)."""
    return _bytes(again.task.images.batch(np.array([row])))[0]


def in_step(again: Again, step: int) -> NDArray[np.uint8]:
    """All pictures of a step, counted from 1, augmented as in it: uint8 (n, H, W, C), in the order of `again.rows`.

    The random draws are those of the step: the same seed, and the same parts in the same order. Values that the
    augmentation moves beyond 0..255 are shown as 0 or 255.
    """
    import torch

    task, rows = again.task, again.rows(step)
    if task.augment == "none":
        return _bytes(task.images.batch(rows))
    generator = torch.Generator().manual_seed(loop.seed_of(task, step - 1))
    mean, deviation = (
        np.array(numbers, np.float32)[:, None, None] for numbers in (task.standardise.mean, task.standardise.deviation)
    )
    shown = []
    for part in forward.parts(task, again.state.module, rows):
        images = forward.augmented(task, task.images.batch(part), generator).float().cpu().numpy()
        pixels = np.rint((images * deviation + mean) * 255).clip(0, 255)
        shown.append(pixels.astype(np.uint8).transpose(0, 2, 3, 1))
    return np.concatenate(shown)


def _bytes(pixels: Any) -> NDArray[np.uint8]:
    return np.asarray(pixels.cpu() if hasattr(pixels, "cpu") else pixels, np.uint8)
