"""scikit-learn's handwritten digits as picture files: what the demo and the lessons train on."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from pellucid import files
from pellucid.errors import RecipeError


def check(what: str) -> None:
    """Raises RecipeError if scikit-learn is missing, from which `what` takes its pictures."""
    if find_spec("sklearn") is None:
        raise RecipeError(f"{what} scikit-learn for its pictures: pip install 'pellucid[demo]'.")


def write(folder: Path) -> int:
    """Write 1,797 digits of 8x8 pixels as grey PNG files FOLDER/DIGIT/NUMBER.png. Returns how many.

    Raises StorageError.
    """
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)  # (1797, 64) in 0..16, (1797,)
    images = np.round(pixels * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8)
    with files.storage_errors(folder):
        for digit in range(10):
            (folder / str(digit)).mkdir(parents=True)
        for number, (image, digit) in enumerate(zip(images, labels, strict=True)):
            Image.fromarray(image).save(folder / str(digit) / f"{number:04}.png")
    return len(images)
