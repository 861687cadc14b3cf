"""Signed numbers as colours: amber above zero, blue below, paper at zero. The page uses the same (web/signed.js)."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

PAPER = (255, 255, 255)
ABOVE, BELOW = ((226, 140, 40), (115, 42, 12)), ((78, 138, 235), (20, 34, 110))
"""The colour at `MIDDLE` of the scale, and the one at its end and beyond. Red, green and blue, 0 to 255."""
MIDDLE = 0.6
"""From here on a colour darkens, which shows more differences than opacity alone."""
STEPS = 255
"""Colours on each side of zero."""
LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in grey, ITU-R BT.601."""
STRONGEST = 0.85
"""Opacity at the full scale: the picture is still visible under it."""


def shade(values: NDArray[np.floating], scale: float) -> NDArray[np.uint8]:
    """float (H, W) -> uint8 (H, W, 3) on paper; the colour is full at `scale` and beyond. NaN is paper."""
    share = np.zeros(values.shape)
    if scale > 0:
        share = np.nan_to_num(np.clip(values.astype(float) / scale, -1, 1), nan=0.0)
    return palette()[np.floor(share * STEPS + 0.5).astype(int) + STEPS]


def blend(image: NDArray[np.uint8], values: NDArray[np.floating], scale: float) -> NDArray[np.uint8]:
    """The colours of `MIDDLE` over an image, uint8 (H, W, 3), turned grey: every hue comes from the values.

    The opacity grows with the magnitude of a value, float (H, W), to `STRONGEST` at `scale` and beyond.
    """
    grey = np.broadcast_to((image @ np.array(LUMA))[..., None], image.shape)
    opacity = STRONGEST * np.clip(np.abs(values) / (scale or 1.0), 0, 1)[..., None]
    hue = np.where((values > 0)[..., None], np.array(ABOVE[0], float), np.array(BELOW[0], float))
    return np.rint(grey * (1 - opacity) + hue * opacity).astype(np.uint8)


@cache
def palette() -> NDArray[np.uint8]:
    """uint8 (2 * STEPS + 1, 3): the colours of -1 to 1."""
    shares = np.arange(-STEPS, STEPS + 1) / STEPS
    return np.array([_color(ABOVE if share >= 0 else BELOW, abs(share)) for share in shares]).astype(np.uint8)


def _color(side: tuple[tuple[int, int, int], tuple[int, int, int]], share: float) -> NDArray[np.float64]:
    middle, end = (np.array(color, float) for color in side)
    if share < MIDDLE:
        paper = np.array(PAPER, float)
        return paper + (middle - paper) * (share / MIDDLE)
    return middle + (end - middle) * ((share - MIDDLE) / (1 - MIDDLE))
