"""The perceptual hash of a picture: 63 low frequencies of its grey thumbnail, of unit length.

Two hashes are compared by correlation, the sum of their products. `docs/why/twins.md` has the measurements.
"""

import numpy as np
from numpy.typing import NDArray

from pellucid.pictures.verify_twins import FLAT, Floats

FREQUENCIES = 8  # along each axis
NUMBERS = FREQUENCIES**2  # of a hash; the first, the mean, is 0
ALIKE = np.float32(0.92)  # least correlation of two hashes that justifies the second look
NEAREST = 16  # most candidates for each picture and crop: limits the time if everything looks alike
ONE = np.float32(32767)  # what 1.0 is among the stored whole numbers

Hashes = NDArray[np.int16]  # (N, NUMBERS), in units of 1 / ONE: half the memory, and likenesses to within 0.0001

# A mirror changes the sign of the waves that are odd from left to right.
MIRROR = np.tile(np.array([1, -1], np.float32), NUMBERS // 2)


def hash_of(grey: Floats, scale: float) -> Floats:
    """(N, n, n) -> (N, 64): low frequencies of the inner `scale` of a picture, unit length, without the mean.

    A discrete cosine transform, weighted by the square root of the frequency: natural spectra fall so steeply that
    otherwise two or three of the numbers would decide. Flat pictures get zeros and resemble nothing.
    """
    cells = grey.shape[-1]
    at = (np.arange(cells) - (cells - 1) / 2) * scale + (cells - 1) / 2
    inner = np.maximum(0, 1 - np.abs(at[:, None] - np.arange(cells)))  # (n, n) stretches it to the whole, linearly
    order = np.arange(FREQUENCIES)
    waves = np.cos(np.pi / cells * order[:, None] * (np.arange(cells) + 0.5)) * np.sqrt(2 / cells)
    waves = (waves @ inner).astype(np.float32)  # (8, n)
    weight = np.hypot(order[:, None], order).astype(np.float32) ** 0.5  # 0 for the mean
    numbers = (waves @ grey @ waves.T * weight).reshape(len(grey), -1)
    length = np.linalg.norm(numbers, axis=1, keepdims=True)
    return np.where(grey.std(axis=(1, 2))[:, None] < FLAT, np.float32(0), numbers / np.maximum(length, 1e-6))


def stored(hashes: Floats) -> Hashes:
    return np.rint(hashes * ONE).astype(np.int16)
