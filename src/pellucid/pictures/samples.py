"""A file with more than 8 bits a sample -> its values, before black and white are chosen.

Pillow reads grey of 16 and 32 bits, but only the high byte of 16-bit colours. A 16-bit colour PNG is read twice, high
bytes and low bytes; TIFF has its own module (tiff.py).
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pellucid.pictures.ranges import FULL, Range

PNG = b"\x89PNG\r\n\x1a\n"
_GAP = rb"(?:\s|#[^\r\n]*[\r\n])+"  # white space and comments
_PIXMAP = re.compile(rb"P([256])" + 3 * (_GAP + rb"(\d{1,9})") + rb"\s")
Colours = Literal["grey", "rgb", "cmyk", "lab"]
Key = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Samples:
    """The values of a file, and what its header says about them.

    * values: (H, W, C) of any integer or floating-point type: 1 channel of grey, 3 of rgb and lab, 4 of cmyk
    * alpha: float32 (H, W), 0 (transparent) to 1; `premultiplied`: the values are multiplied by it
    * white_is_zero: for grey, as in TIFF
    * declared: the (black, white) that the file states
    * nodata: a value that means no measurement
    * transparent: the transparent colour (PNG), as C values
    * profile: the ICC profile
    * gamma: of a PNG without a profile; the values are light to the power of gamma
    * orientation: 1 to 8, as in EXIF
    """

    values: NDArray[Any]
    colours: Colours
    alpha: NDArray[np.float32] | None = None
    premultiplied: bool = False
    white_is_zero: bool = False
    declared: Range | None = None
    nodata: float | None = None
    transparent: Key | None = None
    profile: bytes | None = None
    gamma: float | None = None
    orientation: int = 1


def is_deep_png(data: bytes) -> bool:
    """Whether this PNG has 16 bits a sample."""
    return data.startswith(PNG) and data[24:25] == b"\x10"


def of_png(image: Image.Image, data: bytes) -> Samples:
    """A PNG of 16 bits a sample, opened by Pillow but not yet loaded. Raises as Pillow does."""
    kind = data[25]  # 0 grey, 2 RGB, 4 grey and alpha, 6 RGB and alpha (PNG specification, 11.2.1)
    alpha = None
    if kind == 0:
        image.load()
        values = np.asarray(image).astype(np.uint16)[:, :, None]
    elif kind == 4:  # four bytes a pixel, like RGBA
        values = np.ascontiguousarray(_bytes(image, "RGBA", "RGBA")).view(">u2")
    else:
        mode = "RGB" if kind == 2 else "RGBA"
        high = _bytes(image, mode, f"{mode};16B").astype(np.uint16)
        with Image.open(io.BytesIO(data), formats=("PNG",)) as again:
            # the high byte of a number that begins with its low byte is the low byte here
            values = high << 8 | _bytes(again, mode, f"{mode};16L")
    if kind in (4, 6):
        values, alpha = values[:, :, :-1], (values[:, :, -1] / np.float32(65535)).astype(np.float32)
    key = image.info.get("transparency")
    return Samples(
        values.astype(np.uint16),
        "grey" if kind in (0, 4) else "rgb",
        alpha,
        declared=_significant(data, values),
        transparent=(key,) if isinstance(key, int) else key if isinstance(key, tuple) else None,
    )


def of_grey(image: Image.Image, data: bytes) -> Samples:
    """A loaded picture of a mode with one deep channel: I;16, I, F and their like."""
    values = np.asarray(image)
    values = values.astype(values.dtype.newbyteorder("="))
    declared = None
    if image.format == "FITS":
        values = _calibrated(values, data)
    elif image.format == "PPM" and image.mode == "I":
        # for a plain one, Pillow has scaled it by the white that the file states
        header = _PIXMAP.match(data)
        values = values.astype(np.uint16)
        declared = None if header is not None and int(header[4]) == FULL[1] else FULL
    return Samples(values[:, :, None], "grey", declared=declared)


def of_pixmap(data: bytes, pixel_limit: int) -> Samples | None:
    """A binary PPM or PGM with 16 bits a sample; None for any other file. White comes from the header."""
    header = _PIXMAP.match(data)
    if header is None or header[1] == b"2" or not 255 < int(header[4]) <= 65535:
        return None
    width, height, white = int(header[2]), int(header[3]), int(header[4])
    channels = 1 if header[1] == b"5" else 3
    count = height * width * channels
    if not 0 < height * width <= pixel_limit or len(data) - header.end() < 2 * count:
        return None  # Pillow reports the error
    values = np.frombuffer(data, ">u2", count, header.end()).reshape(height, width, channels)
    colours: Colours = "grey" if channels == 1 else "rgb"
    if white == FULL[1]:
        return Samples(values.astype(np.uint16), colours)
    # scaled to one white, because files of one folder may state different ones
    scaled = np.minimum(np.floor(values * (FULL[1] / white) + 0.5), FULL[1]).astype(np.uint16)
    return Samples(scaled, colours, declared=FULL)


def _bytes(image: Image.Image, mode: str, raw: str) -> NDArray[np.uint8]:
    """The picture as `mode`, from bytes that are read as `raw`, against the file's own header."""
    image._mode = mode  # type: ignore[attr-defined]
    image.tile = [tile._replace(args=raw) for tile in image.tile]  # type: ignore[attr-defined]
    image.load()
    return np.asarray(image)


def _significant(data: bytes, values: NDArray[Any]) -> Range | None:
    """The range in a PNG's sBIT chunk.

    The specification wants values with fewer bits scaled up to 16; many writers do not scale them.
    """
    place = data.find(b"sBIT", 33, data.find(b"IDAT"))
    if place < 4:
        return None
    length = int.from_bytes(data[place - 4 : place], "big")
    bits = max(data[place + 4 : place + 4 + min(length, 3)], default=16)
    if not 8 <= bits < 16:
        return None
    white = 2**bits - 1
    return (0.0, float(white)) if int(values.max()) <= white else FULL


def _calibrated(values: NDArray[Any], data: bytes) -> NDArray[Any]:
    """FITS: BZERO + BSCALE * value (FITS standard 4.0, 4.4.2.5). Its integers are signed, which Pillow ignores."""
    if values.dtype == np.uint16:
        values = values.view(np.int16)
    header = data[: 2880 * 10]
    zero, scale = (_card(header, name, default) for name, default in ((b"BZERO", 0.0), (b"BSCALE", 1.0)))
    if (zero, scale) == (0.0, 1.0):
        return values
    exact = values * np.float64(scale) + zero
    whole = values.dtype.kind == "i" and zero.is_integer() and scale.is_integer()
    return exact.astype(np.int64) if whole else exact.astype(np.float32)


def _card(header: bytes, name: bytes, default: float) -> float:
    match = re.search(name.ljust(8) + rb"= *([-+0-9.EeDd]+)", header)
    try:
        return float(match[1].replace(b"D", b"E")) if match else default
    except ValueError:
        return default
