"""Resize a part of an image, as Pillow does it and as TensorFlow does it. For many images, resample.py is faster."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Filter = Literal["bilinear", "bicubic", "plain"]
Box = tuple[float, float, float, float]
"""Left, top, right, bottom of the part to resize, in pixels."""

BITS = 22  # of a whole number that stands for a weight in Pillow's antialiased resizing
ROWS = 32  # that the compiled resizing transposes at a time
GAP = 3.0  # least size after averaging whole blocks, times the target size, before `shrunk` resizes

_FILTERS: dict[Filter, Image.Resampling] = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}


def resized(image: NDArray[np.uint8], height: int, width: int, box: Box, kernel: Filter) -> NDArray[np.uint8]:
    """`box` of uint8 (H, W, 3) -> uint8 (height, width, 3), antialiased unless `kernel` is "plain"."""
    if kernel == "plain":
        return _plain(image, height, width, box)
    return np.array(Image.fromarray(image).resize((width, height), _FILTERS[kernel], box))


def shrunk(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """uint8 (H, W, 3) -> uint8 (side, side, 3): whole blocks averaged, down to GAP times the size, then resized."""
    small = Image.fromarray(image).resize((side, side), Image.Resampling.BILINEAR, reducing_gap=GAP)
    return np.array(small)


def _plain(image: NDArray[np.uint8], height: int, width: int, box: Box) -> NDArray[np.uint8]:
    """tf.image.resize with its default settings, half-pixel centres and no antialiasing, rounded to bytes."""
    left, top, right, bottom = box
    upper, lower, down = _between(top, bottom, height, image.shape[0])
    first, second, across = _between(left, right, width, image.shape[1])
    rows = image[upper] + (image[lower].astype(np.float32) - image[upper]) * down[:, None, None]
    sums = rows[:, first] + (rows[:, second] - rows[:, first]) * across[:, None]
    return np.rint(sums).astype(np.uint8, order="C")  # `first` has turned the axes in memory


def _between(
    start: float, end: float, count: int, length: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """For each of `count` places from start to end: the pixels before and after it, and its distance from the first."""
    places = np.clip(start + (np.arange(count) + 0.5) * ((end - start) / count) - 0.5, 0, length - 1)
    before = places.astype(np.int64)
    return before, np.minimum(before + 1, length - 1), (places - before).astype(np.float32)
