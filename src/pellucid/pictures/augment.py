"""Augmentation: change the pictures of a batch a little in training, on the batch's device or in one pass on the CPU.

* none    the batch as it is
* light   shift, scale, a small rotation, brightness and contrast: a digit or a letter stays what it was
* strong  a random part of the picture, brought back to full size (Szegedy et al., "Going deeper with
          convolutions", 2015, section 6), rotation, mirror, brightness, contrast, saturation: for photographs

One affine map per picture does all the geometry, in one bilinear sampling of the batch. Every random number is drawn on
the generator's own device: a CPU generator gives the same changes for a GPU batch, a CPU batch and stored pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Generator, Tensor

Augment = Literal["none", "light", "strong"]
Share = Callable[[Callable[[Any], None], Sequence[Any]], None]  # (task, jobs): the task of each job, on some threads

LUMA = (0.299, 0.587, 0.114)  # red, green and blue in grey, ITU-R BT.601


@dataclass(frozen=True, slots=True)
class Ranges:
    """How far a picture may be changed; each change is drawn uniformly from its range, anew for each picture."""

    area: tuple[float, float]  # of the visible part / of the picture; above 1: smaller, with a border
    aspect: float  # width / height changes by a factor from 1/aspect to aspect
    shift: float | None  # how far the centre of the visible part may move, in picture sizes; None: anywhere inside
    rotation: float  # degrees, either way
    mirror: bool  # left and right swapped for half of the pictures
    brightness: float  # all values times 1 - brightness to 1 + brightness
    contrast: float  # distance to the picture's mean, likewise
    saturation: float  # distance to the pixel's grey, likewise; RGB only
    padding: Literal["border", "reflection"]  # how to fill the outside of the picture


LIGHT = Ranges((0.8, 1.2), 1.1, 0.06, 10, False, 0.15, 0.15, 0, "border")
STRONG = Ranges((0.35, 1.0), 4 / 3, None, 10, True, 0.3, 0.3, 0.3, "reflection")
RANGES = {"light": LIGHT, "strong": STRONG}


def augment(images: Tensor, level: Augment, generator: Generator, stays: NDArray[np.bool_] | None = None) -> Tensor:
    """`images` float32 (n, C, H, W) in 0..1 -> the same shape, range and device; `images` does not change.

    Draws from `generator` alone (nothing for "none"): equal generators give equal results. `stays`: `images` are those
    pictures of a larger batch, bool (batch,); the draws are for all of it.
    """
    if level == "none" or not len(images):
        return images
    ranges = RANGES[level]
    maps, factors = _draws(len(images), images.shape[3] / images.shape[2], ranges, generator, stays)
    return _colour(_geometry(images, maps, ranges), factors, ranges)


def augment_stored(
    pixels: NDArray[np.uint8],
    level: Augment,
    generator: Generator,
    mean: tuple[float, ...],
    deviation: tuple[float, ...],
    share_out: Share,
    stays: NDArray[np.bool_] | None = None,
) -> Tensor:
    """As `augment`, for stored pictures on the CPU, and standardised: uint8 (n, H, W, C) -> float32 (n, C, H, W).

    Equal to `augment` up to rounding, then (x - mean) / deviation per channel, for values in 0..1. "none" is not
    allowed. The result is channels-last in memory.
    """
    import torch

    from pellucid.pictures import augment_cpu

    ranges, count = RANGES[level], len(pixels)
    images = np.empty(pixels.shape, np.float32)
    drawn = _draws(count, pixels.shape[2] / pixels.shape[1], ranges, generator, stays)
    maps, factors = (numbers.numpy() for numbers in drawn)
    luma, means, deviations = (np.array(numbers, np.float32) for numbers in (LUMA, mean, deviation))
    reflected = ranges.padding == "reflection"

    def change(part: slice) -> None:
        sources, made = pixels[part], images[part]
        augment_cpu.augmented(sources, maps[part], reflected, factors[part], luma, means, deviations, made)

    share_out(change, [slice(n, n + 1) for n in range(count)])
    return torch.from_numpy(images).permute(0, 3, 1, 2)


def _draws(
    count: int, wide: float, ranges: Ranges, generator: Generator, stays: NDArray[np.bool_] | None
) -> tuple[Tensor, Tensor]:
    """The maps (count, 2, 3) and factors (count, 3) of the pictures; see `augment` for `stays`."""
    if stays is None:
        return _maps(count, wide, ranges, generator), _factors(count, ranges, generator)
    maps, factors = _maps(len(stays), wide, ranges, generator), _factors(len(stays), ranges, generator)
    places = stays.nonzero()[0]
    return maps[places], factors[places]


def _even(low: float, high: float, count: int, generator: Generator) -> Tensor:
    """`count` numbers, uniform from low to high, float32 (count,), on the generator's device."""
    import torch

    return torch.rand(count, generator=generator, device=generator.device) * (high - low) + low


def _geometry(images: Tensor, maps: Tensor, ranges: Ranges) -> Tensor:
    """Apply each picture's own affine map; `ranges.padding` fills the outside."""
    from torch.nn import functional

    grid = functional.affine_grid(maps.to(images.device), list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, "bilinear", ranges.padding, align_corners=False)


def _maps(count: int, wide: float, ranges: Ranges, generator: Generator) -> Tensor:
    """Affine maps (count, 2, 3) from a result's coordinates to the picture's, both -1..1; wide = W / H."""
    import math

    import torch

    def even(low: float, high: float) -> Tensor:
        return _even(low, high, count, generator)

    side = even(*ranges.area).sqrt()
    ratio = torch.exp(even(-1, 1) * (math.log(ranges.aspect) / 2))
    limit = max(1.0, math.sqrt(ranges.area[1]))
    across, down = (side * ratio).clamp(max=limit), (side / ratio).clamp(max=limit)
    right, below = even(-1, 1), even(-1, 1)
    if ranges.shift is None:
        right, below = right * (1 - across).clamp(min=0), below * (1 - down).clamp(min=0)
    else:
        right, below = right * 2 * ranges.shift, below * 2 * ranges.shift
    angle = even(-1, 1) * math.radians(ranges.rotation)
    if ranges.mirror:
        across = torch.where(even(0, 1) < 0.5, -across, across)
    cos, sin = angle.cos(), angle.sin()
    first = torch.stack([across * cos, -down * sin / wide, right], 1)
    return torch.stack([first, torch.stack([across * sin * wide, down * cos, below], 1)], 1)


def _factors(count: int, ranges: Ranges, generator: Generator) -> Tensor:
    """(count, 3): brightness, contrast and saturation of each picture."""
    import torch

    widths = ranges.brightness, ranges.contrast, ranges.saturation
    return torch.stack([_even(1 - width, 1 + width, count, generator) for width in widths], 1)


def _colour(images: Tensor, factors: Tensor, ranges: Ranges) -> Tensor:
    """Brightness, contrast and (RGB) saturation, each with one factor per picture, then clamped to 0..1."""
    import torch

    brightness, contrast, saturation = factors.to(images.device)[:, :, None, None, None].unbind(1)
    mean = images.mean((1, 2, 3), keepdim=True)
    if ranges.saturation and images.shape[1] == 3:
        red, green, blue = images.split(1, 1)
        grey = (red * LUMA[0]).add_(green, alpha=LUMA[1]).add_(blue, alpha=LUMA[2])
        images = torch.lerp(grey, images, saturation)
    # brightness * (mean + contrast * (image - mean)) as one multiply-add
    return torch.addcmul(brightness * (1 - contrast) * mean, images, brightness * contrast).clamp_(0, 1)
