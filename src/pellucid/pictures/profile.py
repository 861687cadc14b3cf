"""Colour profiles: convert a picture to sRGB, the meaning of pictures without a profile.

A profile that equals sRGB in all but name changes nothing: such pictures keep their pixels. A damaged profile, or one
for another kind of picture, is ignored: the picture counts for more.
"""

from __future__ import annotations

import io
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

SAME = 2  # levels by which a profile may differ from sRGB and still count as sRGB
_CACHED = 32  # profiles: a folder has few different ones
_SPACES = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK"}
_SRGB = ImageCms.createProfile("sRGB")
SRGB_GAMMA = 1 / 2.2  # the gAMA value of a PNG in sRGB


def of_jpeg(segments: list[bytes]) -> bytes | None:
    """The profile in a JPEG's segments, each with a mark, its number and their count (ICC.1:2022, B.4).

    None if one of them is missing.
    """
    parts = {one[12]: one[14:] for one in segments if len(one) > 14}
    count = segments[0][13] if parts and len(segments[0]) > 14 else 0
    return b"".join(parts[number] for number in sorted(parts)) if count and len(parts) == count else None


def changes(profile: bytes | None, mode: str) -> bool:
    """Whether this profile changes the look of a picture of this mode, L, RGB or CMYK."""
    return profile is not None and _transform(profile, mode) is not None


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """A picture of mode L, RGB or CMYK as RGB. Transparency is not carried over."""
    conversion = None if profile is None else _transform(profile, image.mode)
    if conversion is None:
        return image if image.mode == "RGB" else image.convert("RGB")
    mode, transform = conversion
    if mode == "L":
        curve = grey_curve(profile)
        assert curve is not None
        return Image.fromarray(curve[np.asarray(image)])
    converted = transform.apply(image.convert(mode))
    assert converted is not None
    return converted


def grey_curve(profile: bytes | None) -> NDArray[np.uint8] | None:
    """sRGB, uint8 (256, 3), for each of 256 greys; None if it changes nothing."""
    conversion = None if profile is None else _transform(profile, "L")
    if conversion is None:
        return None
    mode, transform = conversion
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(1, 256)).convert(mode)
    converted = transform.apply(ramp)
    assert converted is not None
    return np.array(converted).reshape(256, 3)


def gamma_curve(gamma: float | None) -> NDArray[np.uint8] | None:
    """sRGB, uint8 (256,), for each of 256 values of a PNG whose gAMA is `gamma`; None if it changes little.

    The light is value ** (1 / gamma) (PNG specification, 11.3.2.2); sRGB's curve is that of IEC 61966-2-1.
    """
    if gamma is None or not 0.1 <= gamma <= 10 or abs(gamma - SRGB_GAMMA) < 0.02:
        return None
    light = np.linspace(0, 1, 256) ** (1 / gamma)
    encoded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.floor(encoded * 255 + 0.5).astype(np.uint8)


@lru_cache(_CACHED)
def _transform(profile: bytes, mode: str) -> tuple[str, ImageCms.ImageCmsTransform] | None:
    """The mode to convert the picture to, and the transform from there to sRGB; None if nothing is to be done.

    The rendering intent is perceptual, that of browsers and of most profiles' headers.
    """
    space = _SPACES.get(profile[16:20])
    if space is None or (space != mode and (mode, space) != ("L", "RGB")):  # grey may have its camera's profile
        return None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        # for grey only a curve is needed, and the approximations that make transforms fast are too coarse for it
        exact = ImageCms.Flags.NOOPTIMIZE if space == "L" else ImageCms.Flags.NONE
        transform = ImageCms.buildTransform(source, _SRGB, space, "RGB", ImageCms.Intent.PERCEPTUAL, exact)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    if space == "CMYK":
        return space, transform
    shown = Image.fromarray(_GRID if space == "RGB" else _GRID[:, :, 1])
    converted = transform.apply(shown)
    assert converted is not None
    off = np.abs(np.asarray(converted).astype(int) - np.asarray(shown.convert("RGB"))).max()
    return None if off <= SAME else (space, transform)


# every 17th level of each channel: 16 x 16 x 16 colours
_GRID = np.stack(np.meshgrid(*[np.arange(0, 256, 17, dtype=np.uint8)] * 3, indexing="ij"), axis=-1).reshape(64, 64, 3)
