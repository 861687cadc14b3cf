"""Bytes -> an upright RGB image: the only decoder, for training, prediction, serving and the page.

JPEG goes through libjpeg-turbo (simplejpeg); everything else, and every JPEG that it rejects, goes through Pillow. Both
give the same pixels. The content decides, never the file's name. Colour profiles are applied: the image is sRGB
(profile.py). Files with more than 8 bits a sample keep their values until black and white are chosen (samples.py,
render.py). Modules that a plain JPEG does not need are imported on first use.

Safe to call from many threads: it changes two global settings, each in one direction only (`header.prepare`).
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from pellucid.errors import PictureError, RecipeError
from pellucid.pictures import interpolate
from pellucid.pictures.header import LOADING, check_size, declared_size, jpeg_header, orientation, prepare, upright
from pellucid.pictures.interpolate import Box, Filter
from pellucid.pictures.ranges import Ranges

if TYPE_CHECKING:
    from pellucid.pictures.samples import Samples

Fit = Literal["pad", "crop", "stretch"]

PIXEL_LIMIT = 100_000_000
ALONE = Ranges()  # each file with more than 8 bits a sample judged alone
PAD = 128  # the border of "pad": mid-grey, near the mean of photographs, so about 0 in a scaled input


@dataclass(frozen=True, slots=True)
class Form:
    """The size and fit that every picture is brought to. Raises RecipeError for impossible values.

    `crop`: with fit "crop", the fraction of the largest centred part's sides to keep, above 0 and up to 1, as published
    weights state it. `filter`: how pixels are interpolated. "bilinear" and "bicubic" are antialiased, as in Pillow.
    "plain" is bilinear without antialiasing, as in TensorFlow, for models that were trained on such pictures.
    """

    height: int
    width: int
    channels: Literal[1, 3] = 3
    fit: Fit = "pad"
    crop: float = 1.0
    filter: Filter = "bilinear"

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1 or self.channels not in (1, 3):
            size = f"{self.height}x{self.width}x{self.channels}"
            raise RecipeError(f"Image size {size}: height and width must be 1 or more, channels 1 or 3.")
        if self.fit not in get_args(Fit):
            raise RecipeError(f"Fit {self.fit!r} is unknown: it must be one of {', '.join(get_args(Fit))}.")
        if self.filter not in get_args(Filter):
            raise RecipeError(f"Filter {self.filter!r} is unknown: it must be one of {', '.join(get_args(Filter))}.")
        if not 0 < self.crop <= 1 or (self.crop != 1 and self.fit != "crop"):
            raise RecipeError(f"Crop {self.crop!r} must be above 0 and at most 1, and 1 unless the fit is crop.")

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels)"""
        return self.height, self.width, self.channels

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """`resize` to this form: uint8 (H, W, 3) -> uint8 (height, width, channels)."""
        return resize(image, self.height, self.width, self.channels, self.fit, self.crop, self.filter)


def decode(data: bytes, pixel_limit: int = PIXEL_LIMIT, ranges: Ranges = ALONE) -> NDArray[np.uint8]:
    """Decode the first frame or page to an upright RGB image in sRGB.

    Transparency is composited on white, and grey becomes three equal channels. `ranges` says which values become black
    and white in files with more than 8 bits a sample (docs/why/decode.md has the table). The EXIF (or XMP) orientation
    is applied; an invalid one is ignored.

    Returns uint8 (height, width, 3). Raises only PictureError, for anything that cannot be decoded in full. A picture
    with more than `pixel_limit` pixels is refused by its header, before memory is allocated for it.
    """
    if data.startswith(b"\xff\xd8"):
        with _judged(data, pixel_limit):
            if (image := _decode_jpeg(data, pixel_limit)) is not None:
                return image
    from pellucid.pictures import through_pillow

    with _judged(data, pixel_limit):
        return through_pillow.decode(data, pixel_limit, ranges)


def samples_of(data: bytes, pixel_limit: int = PIXEL_LIMIT) -> Samples | None:
    """The values of a file with more than 8 bits a sample; None for any other picture. Raises PictureError."""
    from pellucid.pictures import through_pillow

    with _judged(data, pixel_limit):
        raster = through_pillow.read(data, pixel_limit)
        return None if isinstance(raster, np.ndarray) else raster


@contextlib.contextmanager
def _judged(data: bytes, pixel_limit: int) -> Iterator[None]:
    """Turn any exception of the body into a PictureError with the reason."""
    if not data:
        raise PictureError("empty file")
    prepare(pixel_limit)
    try:
        if (size := declared_size(data)) is not None:
            check_size(*size, pixel_limit)
        yield
    except PictureError:
        raise
    except Exception as error:  # Pillow's plugins raise a dozen kinds on hostile bytes
        from pellucid.pictures.reasons import decode_reason

        raise PictureError(decode_reason(error, data, pixel_limit)) from error


def resize(
    image: NDArray[np.uint8],
    height: int,
    width: int,
    channels: Literal[1, 3],
    fit: Fit,
    crop: float = 1.0,
    kernel: Filter = "bilinear",
) -> NDArray[np.uint8]:
    """Bring an RGB image, uint8 (H, W, 3), to uint8 (height, width, channels), antialiased unless `kernel` is "plain".

    * pad: the whole picture, in proportion, centred between `PAD` borders
    * crop: the largest centred part with the target's proportions, or the fraction `crop` of its sides
    * stretch: the whole picture, ignoring its proportions

    One channel is luma, (299 R + 587 G + 114 B) / 1000 (ITU-R BT.601).
    """
    rows, columns = image.shape[:2]
    if fit == "pad":
        scale = min(height / rows, width / columns)
        inner_height, inner_width = max(1, round(rows * scale)), max(1, round(columns * scale))
        resized = np.full((height, width, 3), PAD, np.uint8)
        top, left = (height - inner_height) // 2, (width - inner_width) // 2
        inner = _resampled(image, inner_height, inner_width, (0, 0, columns, rows), kernel)
        resized[top : top + inner_height, left : left + inner_width] = inner
    else:
        # the resampling itself crops: scaling first would make 10000x1 three million pixels wide
        scale = max(height / rows, width / columns)
        part = (columns, rows) if fit == "stretch" else (width / scale * crop, height / scale * crop)
        left, top = max(0, (columns - part[0]) / 2), max(0, (rows - part[1]) / 2)
        box = left, top, min(columns, left + part[0]), min(rows, top + part[1])
        resized = _resampled(image, height, width, box, kernel)
    return resized if channels == 3 else np.array(Image.fromarray(resized).convert("L")).reshape(height, width, 1)


def _resampled(image: NDArray[np.uint8], height: int, width: int, box: Box, kernel: Filter) -> NDArray[np.uint8]:
    if kernel == "bilinear" and _compiled_resampling is not None and max(image.shape) <= _COMPILED_SIDE:
        return _compiled_resampling.resized(image, height, width, box)
    return interpolate.resized(image, height, width, box, kernel)


def shrink(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """An RGB image, uint8 (H, W, 3), stretched to a small square, uint8 (side, side, 3).

    Averaging whole blocks first makes it cheap; the triangle filter then makes it smooth.
    """
    if _compiled_resampling is not None and max(image.shape) <= _COMPILED_SIDE:
        return _compiled_resampling.shrunk(image, side)
    return interpolate.shrunk(image, side)


_COMPILED_SIDE = 8192  # beyond this, an output has so many weights that their rounding errors add up
_compiled_resampling: ModuleType | None = None


def expect_several() -> None:
    """Resize with a kernel from now on, in all threads: the same bits, faster. If its code is not stored yet, nothing
    changes.

    Loading takes about as long as two pictures.
    """
    global _compiled_resampling
    from pellucid.pictures import resample

    if resample.is_ready():
        _compiled_resampling = resample


def expect_many() -> None:
    """The same, but a kernel that is not stored yet is compiled, which takes as long as several thousand pictures.

    If the kernel differs from the installed Pillow, nothing changes.
    """
    global _compiled_resampling
    from pellucid.pictures import resample

    if resample.agrees():
        _compiled_resampling = resample


def _decode_jpeg(data: bytes, pixel_limit: int) -> NDArray[np.uint8] | None:
    """Decode through libjpeg-turbo; None for CMYK or any objection, which Pillow has to judge."""
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data, strict=True)
        check_size(int(width), int(height), pixel_limit)
        if str(colours).upper() in ("CMYK", "YCCK"):
            return None
        image = simplejpeg.decode_jpeg(data, "RGB", strict=True)
    except (ValueError, MemoryError):
        return None
    end, icc = jpeg_header(data)
    if icc:
        from pellucid.pictures import profile

        mode = "L" if str(colours).upper() == "GRAY" else "RGB"
        if profile.changes(whole := profile.of_jpeg(icc), mode):
            plain = Image.fromarray(np.ascontiguousarray(image[..., 0]) if mode == "L" else image)
            image = np.array(profile.to_srgb(plain, whole))
    turned = 1
    # searching costs less than opening twice
    if data.find(b"Exif\0\0", 0, end) >= 0 or data.find(b"tiff:Orientation", 0, end) >= 0:
        try:
            with LOADING:
                Image.preinit()  # JPEG is among the few plugins that this loads
            with Image.open(io.BytesIO(data), formats=("JPEG",)) as header:
                turned = orientation(header)
        except Exception:
            turned = 1  # the pixels are fine; only the metadata that Pillow reads is not
    return upright(image, turned)
