"""Pictures like photographs, and what happens to a copy of one."""

import io

import numpy as np
from PIL import Image


def photograph(seed: int, width: int = 200, height: int = 150) -> Image.Image:
    """Texture at every scale, in colour, with the 1/f spectrum of natural pictures."""
    random = np.random.default_rng(seed)
    total = np.zeros((height, width, 3))
    for size in (3, 6, 12, 25, 50):
        noise = Image.fromarray(random.integers(0, 256, (size, size, 3), dtype=np.uint8))
        grown = np.asarray(noise.resize((width, height), Image.Resampling.BICUBIC), dtype=float)
        total += (grown - 128) / size**0.5
    return Image.fromarray(np.clip(110 + 0.6 * total, 0, 255).astype(np.uint8))


def saved(picture: Image.Image, kind: str = "JPEG", quality: int = 85) -> Image.Image:
    """As it comes out of a file."""
    file = io.BytesIO()
    picture.save(file, kind, quality=quality)
    return Image.open(file).convert("RGB")


def cropped(picture: Image.Image, share: float) -> Image.Image:
    """Without `share` of its width at the left and right, and of its height at the top and bottom."""
    x, y = round(picture.width * share), round(picture.height * share)
    return picture.crop((x, y, picture.width - x, picture.height - y))
