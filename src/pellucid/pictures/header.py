"""The metadata around a picture's pixels, its size and orientation; and Pillow, made ready for many threads."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import re
import struct
import threading
import warnings

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pellucid.errors import PictureError

TRUNCATED = "truncated: the file ends before the picture does"
_ORIENTATION = 0x0112  # Exif's tag; Pillow's list of all tags takes 3 ms to import
ICC_MARK = b"ICC_PROFILE\0"  # of a JPEG's APP2 segments (ICC.1:2022, B.4)

# Pillow's lazy loading can miss formats if two threads run it at once. Loading all its plugins takes a tenth of a cold
# prediction, and a JPEG needs none of them.
LOADING = threading.Lock()
# Without a handler, logging prints Pillow's complaints about odd TIFF tags on stderr.
logging.getLogger("PIL").addHandler(logging.NullHandler())
# libtiff itself writes to stderr; Pillow reports the same errors as exceptions. Pillow's own module leads to libtiff if
# it is linked to one.
with contextlib.suppress(OSError, AttributeError, TypeError):
    _pillow = ctypes.CDLL(Image.core.__file__)
    for _handler in (_pillow.TIFFSetErrorHandler, _pillow.TIFFSetWarningHandler):
        _handler.argtypes, _handler.restype = [ctypes.c_void_p], ctypes.c_void_p
        _handler(None)


def orientation(image: Image.Image) -> int:
    """The orientation, 1 to 8, from EXIF or else XMP; 1 if there is none or it cannot be read."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # damaged metadata of an intact picture
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def upright(image: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Undo an EXIF orientation (Exif 2.3, tag 0x0112): 2 to 4 mirror and turn, 5 to 8 also swap the sides."""
    if orientation >= 5:
        image = image.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return np.ascontiguousarray(image)


def declared_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) in a PNG's or GIF's header, read before Pillow meets a bomb; None for other files."""
    if data.startswith(b"\x89PNG\r\n\x1a\n") and data[12:16] == b"IHDR" and len(data) >= 24:
        width, height = struct.unpack_from(">II", data, 16)
    elif data.startswith((b"GIF87a", b"GIF89a")) and len(data) >= 10:
        width, height = struct.unpack_from("<HH", data, 6)
    else:
        return None
    return width, height


def check_size(width: int, height: int, pixel_limit: int) -> None:
    if not width or not height:
        raise PictureError("zero width" if not width else "zero height")
    if width * height > pixel_limit:
        megapixels = f"{width * height / 1e6:.6g} megapixels"
        raise PictureError(f"{width} x {height} = {megapixels}, over the limit of {pixel_limit / 1e6:.6g}")


def prepare(pixel_limit: int) -> None:
    """Silence Pillow's warnings, and let it open what `pixel_limit` allows.

    `warnings.catch_warnings` swaps a list that all threads share, so the filter is installed once and stays. Checking
    it each time costs a microsecond and survives a reset of the filters, as pytest does for each test.

    Pillow's own limit against bombs (an error above twice MAX_IMAGE_PIXELS) is only ever raised: it also covers what
    `_check_size` cannot see before decoding, such as a PNG inside an icon.
    """
    if _QUIET not in warnings.filters:
        warnings.filterwarnings("ignore", module=_QUIET_MODULES)
    if Image.MAX_IMAGE_PIXELS is not None and pixel_limit > Image.MAX_IMAGE_PIXELS * 2:
        Image.MAX_IMAGE_PIXELS = (pixel_limit + 1) // 2


_QUIET_MODULES = r"PIL\."
_QUIET = ("ignore", None, Warning, re.compile(_QUIET_MODULES), 0)  # in the form of `warnings.filters`


def jpeg_header(data: bytes) -> tuple[int, list[bytes]]:
    """(where a JPEG's pixels begin, the earlier segments that hold its colour profile)."""
    place, segments = 2, []
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == 0xDA:
            return place, segments
        if marker == 0xFF or 0xD0 <= marker <= 0xD9 or marker == 0x01:  # without a length
            place += 1 if marker == 0xFF else 2
            continue
        end = place + 2 + (data[place + 2] << 8 | data[place + 3])
        if marker == 0xE2 and data.startswith(ICC_MARK, place + 4):
            segments.append(data[place + 4 : end])
        place = end
    return len(data), segments
