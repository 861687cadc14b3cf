"""Bytes -> an upright RGB image: the only decoder, for training, prediction, serving and the page.

JPEG goes through libjpeg-turbo (simplejpeg); everything else, and every JPEG at which that stumbles, through
Pillow. Both give the same pixels. What the bytes hold decides, never the file's name. Colour profiles are not
applied.

Safe to call from many threads: it changes two global settings, each in one direction only (`_prepare`).
"""

import contextlib
import ctypes
import errno
import io
import logging
import os
import re
import stat
import struct
import threading
import warnings
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Literal, get_args

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, UnidentifiedImageError

from pellucid.errors import PictureError, RecipeError

Fit = Literal["pad", "crop", "stretch"]

PIXEL_LIMIT = 100_000_000
FILE_LIMIT = 1 << 30  # bytes; a picture at the pixel limit, uncompressed with 16 bits a channel, has 0.8e9
GAP = 3.0  # times the size to which whole blocks are averaged down, at least, before `shrink` resizes
PAD = 128  # the border of "pad": mid-grey, near the mean of photographs, so about 0 in a scaled input

# EPS is a program for Ghostscript, WMF one for Windows; for the others Pillow has a header but no decoder
_NOT_PICTURES = {"EPS", "WMF", "BUFR", "GRIB", "HDF5", "MPEG"}
_SIGNATURES = {
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
}
_TRUNCATED = "truncated: the file ends before the picture does"

# Pillow's lazy loading can miss formats when two threads meet in it. All of its plugins take a tenth of a cold
# prediction, and a JPEG needs none of them.
_LOADING = threading.Lock()
# Without a handler, logging prints Pillow's complaints about odd TIFF tags on stderr.
logging.getLogger("PIL").addHandler(logging.NullHandler())
# libtiff writes on stderr by itself; Pillow reports the same errors as exceptions. Found through Pillow's own module,
# where that is linked to one.
with contextlib.suppress(OSError, AttributeError, TypeError):
    _pillow = ctypes.CDLL(Image.core.__file__)
    for _handler in (_pillow.TIFFSetErrorHandler, _pillow.TIFFSetWarningHandler):
        _handler.argtypes, _handler.restype = [ctypes.c_void_p], ctypes.c_void_p
        _handler(None)


@dataclass(frozen=True, slots=True)
class Form:
    """The size and fit that every picture is brought to. Raises RecipeError for one that makes no sense."""

    height: int
    width: int
    channels: Literal[1, 3] = 3
    fit: Fit = "pad"

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1 or self.channels not in (1, 3):
            size = f"{self.height}x{self.width}x{self.channels}"
            raise RecipeError(f"Image size {size}: height and width must be 1 or more, channels 1 or 3.")
        if self.fit not in get_args(Fit):
            raise RecipeError(f"Fit {self.fit!r} is unknown: it must be one of {', '.join(get_args(Fit))}.")

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels)"""
        return self.height, self.width, self.channels

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """`resize` to this form: uint8 (H, W, 3) -> uint8 (height, width, channels)."""
        return resize(image, self.height, self.width, self.channels, self.fit)


def read(path: Path) -> bytes:
    """The content of a file. Raises PictureError: empty, not found, no permission, not a regular file."""
    return read_with_stat(path)[0]


def read_with_stat(path: Path) -> tuple[bytes, os.stat_result]:
    """`read`, and the state of just the file that was read, even if `path` is being replaced meanwhile."""
    # a pipe would block in open() until somebody writes to it; Windows changes line ends unless told
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise PictureError("a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file")
            if status.st_size > FILE_LIMIT:
                limit = f"{FILE_LIMIT / 1e9:.1f} for a file"
                raise PictureError(f"{status.st_size / 1e9:.1f} GB, over the limit of {limit}")
            with open(descriptor, "rb", closefd=False) as file:
                data = file.read(FILE_LIMIT)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise PictureError(_open_reason(error)) from error
    if not data:
        raise PictureError("empty file")
    return data, status


def decode(data: bytes, pixel_limit: int = PIXEL_LIMIT) -> NDArray[np.uint8]:
    """Decode the first frame or page to an upright RGB image.

    Transparency is composited on white, grey becomes three equal channels, 16 bits are scaled to 8 by /257,
    and the EXIF (or XMP) orientation is applied; an invalid one is ignored.

    Returns uint8 (height, width, 3). Raises PictureError, and nothing else, for whatever cannot be decoded in
    full; a picture of more than `pixel_limit` pixels is refused by its header, before memory is taken for it.
    """
    if not data:
        raise PictureError("empty file")
    _prepare(pixel_limit)
    try:
        if (size := _declared_size(data)) is not None:
            _check_size(*size, pixel_limit)
        if data.startswith(b"\xff\xd8") and (image := _decode_jpeg(data, pixel_limit)) is not None:
            return image
        return _decode_pillow(data, pixel_limit)
    except PictureError:
        raise
    except Exception as error:  # Pillow's plugins raise a dozen kinds on hostile bytes
        raise PictureError(_decode_reason(error, data, pixel_limit)) from error


def resize(image: NDArray[np.uint8], height: int, width: int, channels: Literal[1, 3], fit: Fit) -> NDArray[np.uint8]:
    """Bring an RGB image, uint8 (H, W, 3), to uint8 (height, width, channels), antialiased (triangle filter).

    * pad: the whole picture, in proportion, centred between `PAD` borders
    * crop: the largest centred part that has the target's proportions
    * stretch: the whole picture, its proportions given up

    One channel is luma, (299 R + 587 G + 114 B) / 1000 (ITU-R BT.601).
    """
    rows, columns = image.shape[:2]
    if fit == "pad":
        scale = min(height / rows, width / columns)
        inner_height, inner_width = max(1, round(rows * scale)), max(1, round(columns * scale))
        resized = np.full((height, width, 3), PAD, np.uint8)
        top, left = (height - inner_height) // 2, (width - inner_width) // 2
        inner = _resampled(image, inner_height, inner_width, (0, 0, columns, rows))
        resized[top : top + inner_height, left : left + inner_width] = inner
    else:
        # the part is cut by the resampling itself: scaling first would make 10000x1 three million pixels wide
        scale = max(height / rows, width / columns)
        part = (columns, rows) if fit == "stretch" else (width / scale, height / scale)
        left, top = max(0, (columns - part[0]) / 2), max(0, (rows - part[1]) / 2)
        box = left, top, min(columns, left + part[0]), min(rows, top + part[1])
        resized = _resampled(image, height, width, box)
    return resized if channels == 3 else np.array(Image.fromarray(resized).convert("L")).reshape(height, width, 1)


def _resampled(
    image: NDArray[np.uint8], height: int, width: int, box: tuple[float, float, float, float]
) -> NDArray[np.uint8]:
    if _compiled_resampling is not None and max(image.shape) <= _COMPILED_SIDE:
        return _compiled_resampling.resized(image, height, width, box)
    return np.array(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR, box))


def shrink(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """An RGB image, uint8 (H, W, 3), stretched to a small square, uint8 (side, side, 3).

    Whole blocks are averaged first, which makes it cheap; the triangle filter then keeps it smooth.
    """
    if _compiled_resampling is not None and max(image.shape) <= _COMPILED_SIDE:
        return _compiled_resampling.shrunk(image, side)
    small = Image.fromarray(image).resize((side, side), Image.Resampling.BILINEAR, reducing_gap=GAP)
    return np.array(small)


_COMPILED_SIDE = 8192  # beyond, the weights of an output are so many that their rounding adds up
_compiled_resampling: ModuleType | None = None


def expect_many() -> None:
    """Resize with a kernel from now on, in all threads: the same bits sooner, for who has many hundred pictures.

    Takes about as long as 400 pictures. Where the kernel differs from the installed Pillow, nothing changes.
    """
    global _compiled_resampling
    from pellucid.pictures import resample

    if resample.agrees():
        _compiled_resampling = resample


def _decode_jpeg(data: bytes, pixel_limit: int) -> NDArray[np.uint8] | None:
    """Decode through libjpeg-turbo; None where it has any objection, or CMYK, and Pillow has to judge."""
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data, strict=True)
        _check_size(int(width), int(height), pixel_limit)
        if str(colours).upper() in ("CMYK", "YCCK"):
            return None
        image = simplejpeg.decode_jpeg(data, "RGB", strict=True)
    except (ValueError, MemoryError):
        return None
    orientation = 1
    if b"Exif\0\0" in data or b"tiff:Orientation" in data:  # searching costs less than opening twice
        try:
            with _LOADING:
                Image.preinit()  # JPEG is one of the few that this loads
            with Image.open(io.BytesIO(data), formats=("JPEG",)) as header:
                orientation = _orientation(header)
        except Exception:
            orientation = 1  # the pixels are fine; only what Pillow reads around them is not
    return _upright(image, orientation)


def _decode_pillow(data: bytes, pixel_limit: int) -> NDArray[np.uint8]:
    with _LOADING:
        Image.init()
    # asked each time: the user may have registered a plugin (HEIF)
    formats = [name for name in Image.ID if name not in _NOT_PICTURES]
    with Image.open(io.BytesIO(data), formats=formats) as image:
        _check_size(*image.size, pixel_limit)
        image.load()
        _check_size(*image.size, pixel_limit)  # an icon can hold a picture of another size than it declares
        if image.format == "PNG" and b"IEND" not in data:
            raise PictureError(_TRUNCATED)  # all pixels are there, but Pillow minds only now and then
        return _upright(_rgb(image), _orientation(image))


def _rgb(image: Image.Image) -> NDArray[np.uint8]:
    """Any mode of Pillow -> uint8 (H, W, 3)."""
    if image.mode == "F" or image.mode.startswith("I"):
        values = np.asarray(image)
        grey = _grey(values)
        if isinstance(transparent := image.info.get("transparency"), int):
            grey[values == transparent] = 255
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode == "LAB":
        lab, rgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, lab, rgb, outputMode="RGB")
        return np.array(converted)
    if image.has_transparency_data:
        with_alpha = image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(with_alpha, mask=with_alpha.getchannel("A"))
        return np.array(white)
    return np.array(image.convert("RGB"))


def _grey(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Grey of more than 8 bits -> uint8 of the same shape.

    Integers from 0 to 65535 are taken as 16 bits; floats from 0 to 1 as a share of white, from 0 to 255 as
    they are. Any other range (measurements, not light) is stretched: minimum to black, maximum to white.
    """
    if values.dtype.kind == "f":
        values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if values.dtype.kind in "iu" and low >= 0 and high <= 65535:
        return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if low >= 0 and high <= 255:
        low, high = 0.0, (1.0 if high <= 1 else 255.0)
    scaled = (values.astype(np.float32) - low) * (255 / (high - low) if high > low else 0)
    return np.rint(scaled).astype(np.uint8)


def _orientation(image: Image.Image) -> int:
    """The orientation, 1 to 8, from EXIF or else XMP; 1 where there is none or it cannot be read."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # a damaged note about a fine picture
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _upright(image: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Undo an EXIF orientation (Exif 2.3, tag 0x0112): 2 to 4 mirror and turn, 5 to 8 also swap the sides."""
    if orientation >= 5:
        image = image.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return np.ascontiguousarray(image)


def _declared_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) in a PNG's or GIF's header, so that a bomb never reaches Pillow; None for the rest."""
    if data.startswith(b"\x89PNG\r\n\x1a\n") and data[12:16] == b"IHDR" and len(data) >= 24:
        width, height = struct.unpack_from(">II", data, 16)
    elif data.startswith((b"GIF87a", b"GIF89a")) and len(data) >= 10:
        width, height = struct.unpack_from("<HH", data, 6)
    else:
        return None
    return width, height


def _check_size(width: int, height: int, pixel_limit: int) -> None:
    if not width or not height:
        raise PictureError("zero width" if not width else "zero height")
    if width * height > pixel_limit:
        megapixels = f"{width * height / 1e6:.6g} megapixels"
        raise PictureError(f"{width} x {height} = {megapixels}, over the limit of {pixel_limit / 1e6:.6g}")


def _prepare(pixel_limit: int) -> None:
    """Silence Pillow's warnings, and let it open what `pixel_limit` allows.

    `warnings.catch_warnings` swaps a list that all threads share, so the filter is put in once and stays.
    Looking each time costs a microsecond and survives whoever resets the filters, as pytest does for each test.

    Pillow's own guard against bombs (an error above twice MAX_IMAGE_PIXELS) is only ever widened: it also
    covers what `_check_size` cannot see before the decoding, such as a PNG inside an icon.
    """
    if _QUIET not in warnings.filters:
        warnings.filterwarnings("ignore", module=_QUIET_MODULES)
    if Image.MAX_IMAGE_PIXELS is not None and pixel_limit > Image.MAX_IMAGE_PIXELS * 2:
        Image.MAX_IMAGE_PIXELS = (pixel_limit + 1) // 2


_QUIET_MODULES = r"PIL\."
_QUIET = ("ignore", None, Warning, re.compile(_QUIET_MODULES), 0)  # as `warnings.filters` holds it


def _open_reason(error: OSError) -> str:
    match error:
        case FileNotFoundError():
            return "not found"
        case PermissionError():
            return "no permission"
    if error.errno == errno.ENXIO:  # a socket
        return "not a regular file"
    return f"cannot be read: {error.strerror or error}"


def _decode_reason(error: Exception, data: bytes, pixel_limit: int) -> str:
    printable = "".join(letter if letter.isprintable() else " " for letter in str(error)[:200])
    text = " ".join(printable.split())[:120] or type(error).__name__
    kind = next((name for signature, name in _SIGNATURES.items() if data.startswith(signature)), None)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        kind = "WebP"
    if isinstance(error, Image.DecompressionBombError):
        pixels = re.search(r"\((\d+) pixels\)", text)
        megapixels = f"{int(pixels[1]) / 1e6:.6g} megapixels" if pixels else "more pixels than can be counted"
        return f"{megapixels}, over the limit of {pixel_limit / 1e6:.6g}"
    if isinstance(error, UnidentifiedImageError):
        return f"damaged {kind}: its header cannot be read" if kind else "not a picture"
    if isinstance(error, MemoryError):
        return "needs more memory than there is"
    if isinstance(error, EOFError) or "truncated" in text.lower():
        return _TRUNCATED
    if "MAX_TEXT" in text:
        return "damaged PNG: text in it that unpacks to more than Pillow allows (a bomb)"
    return f"damaged {kind or 'picture'}: {text}"
