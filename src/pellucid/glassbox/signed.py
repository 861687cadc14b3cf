"""Signed numbers as colours, the same everywhere: amber above zero, blue below, nothing at zero."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

AMBER, BLUE = (251, 191, 36), (37, 99, 235)
PAPER = (251, 250, 247)
LUMA = (0.299, 0.587, 0.114)  # red, green and blue in grey, ITU-R BT.601
STRONGEST = 0.85  # opacity at the full scale: the picture can still be seen under it


def shade(values: NDArray[np.float32], scale: float) -> NDArray[np.uint8]:
    """float (H, W) -> uint8 (H, W, 3) on paper; the colour is full at `scale` and beyond."""
    return _mixed(np.broadcast_to(np.array(PAPER, float), (*values.shape, 3)), values, scale, 1.0)


def blend(image: NDArray[np.uint8], values: NDArray[np.float32], scale: float) -> NDArray[np.uint8]:
    """The same over an image, uint8 (H, W, 3), turned grey, so that every hue is the values' own."""
    grey = np.broadcast_to((image @ np.array(LUMA))[..., None], image.shape)
    return _mixed(grey, values, scale, STRONGEST)


def _mixed(under: NDArray, values: NDArray[np.float32], scale: float, strongest: float) -> NDArray[np.uint8]:
    opacity = strongest * np.clip(np.abs(values) / (scale or 1.0), 0, 1)[..., None]
    hue = np.where((values > 0)[..., None], np.array(AMBER, float), np.array(BLUE, float))
    return np.rint(under * (1 - opacity) + hue * opacity).astype(np.uint8)
