"""Encode images as PNG, for people to look at."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray


def encode(image: NDArray[np.uint8]) -> bytes:
    """uint8 (H, W, 3) -> the bytes of a PNG file, lossless."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", compress_level=3)  # half of the time of 6, the usual, for 7% more bytes
    return buffer.getvalue()
