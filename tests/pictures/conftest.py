"""Small pictures, made on the spot."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(scope="session")
def encode() -> Callable[..., bytes]:
    """encode(image or array, "PNG", **save options) -> the file's bytes."""

    def encode(image: Any, form: str, **options: Any) -> bytes:
        buffer = io.BytesIO()
        picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
        picture.save(buffer, form, **options)
        return buffer.getvalue()

    return encode


@pytest.fixture
def photo(encode: Callable[..., bytes]) -> Callable[..., bytes]:
    """photo(seed) -> the bytes of a small PNG that no other seed gives."""

    def photo(seed: int, height: int = 6, width: int = 8) -> bytes:
        return encode(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8), "PNG")

    return photo


@pytest.fixture
def animals(tmp_path: Path, photo: Callable[..., bytes]) -> Path:
    """A folder with three cats and three dogs, each another picture."""
    root = tmp_path / "animals"
    for label, name in enumerate(["cat", "dog"]):
        (root / name).mkdir(parents=True)
        for number in range(3):
            (root / name / f"{number}.png").write_bytes(photo(10 * label + number))
    return root
