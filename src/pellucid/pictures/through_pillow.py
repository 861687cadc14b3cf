"""Decode every picture except plain JPEG with Pillow: to RGB, or to samples if it has more than 8 bits."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from pellucid.errors import PictureError
from pellucid.pictures import formats, profile, render, samples, tiff, tiff_tags
from pellucid.pictures.header import LOADING, TRUNCATED, check_size, orientation, upright
from pellucid.pictures.ranges import Ranges
from pellucid.pictures.samples import Samples

_COLORMAP = 320
# EPS is a program for Ghostscript, WMF one for Windows; for the others Pillow reads a header but has no decoder
_NOT_PICTURES = {"EPS", "WMF", "BUFR", "GRIB", "HDF5", "MPEG"}


def decode(data: bytes, pixel_limit: int, ranges: Ranges) -> NDArray[np.uint8]:
    """uint8 (H, W, 3), upright, in sRGB. Raises PictureError, and any exception of Pillow's for damaged bytes."""
    raster = read(data, pixel_limit)
    return upright(render.to_rgb(raster, ranges), raster.orientation) if isinstance(raster, Samples) else raster


def read(data: bytes, pixel_limit: int) -> NDArray[np.uint8] | Samples:
    """An upright RGB image, or the samples of a file with more than 8 bits, or with 8 that Pillow refuses."""
    tags = tiff_tags.directory(data)
    if tags is not None and (raw := formats.camera_raw(data, tags)) is not None:
        raise PictureError(raw)
    if (raster := samples.of_pixmap(data, pixel_limit)) is not None:
        return raster
    if tags is not None and tiff.is_deep(tags) and (raster := tiff.samples(data, pixel_limit)) is not None:
        return raster
    readable = formats.is_heic(data) and _load_heic()
    try:
        return _read_pillow(data, pixel_limit)
    except PictureError:
        raise
    except Exception as error:
        if isinstance(error, UnidentifiedImageError) and (raster := tiff.samples(data, pixel_limit)) is not None:
            return raster
        # checked last: the user may have registered a plugin for such files
        if not readable and (other := formats.named(data)) is not None:
            raise PictureError(other) from error
        raise


def _load_heic() -> bool:
    """Register HEIC with Pillow if its extra is installed."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return False
    with LOADING:
        register_heif_opener()
    return True


def _read_pillow(data: bytes, pixel_limit: int) -> NDArray[np.uint8] | Samples:
    with LOADING:
        Image.init()
    # computed each time: the user may have registered a plugin
    formats = [name for name in Image.ID if name not in _NOT_PICTURES]
    with Image.open(io.BytesIO(data), formats=formats) as image:
        check_size(*image.size, pixel_limit)
        deep = samples.of_png(image, data) if samples.is_deep_png(data) else None
        image.load()
        _mend_palette(image)
        check_size(*image.size, pixel_limit)  # an icon can hold a picture of another size than it states
        if image.format == "PNG" and b"IEND" not in data:
            raise PictureError(TRUNCATED)  # all pixels are there, but Pillow checks this only sometimes
        if image.mode == "F" or image.mode.startswith("I"):
            deep = deep or samples.of_grey(image, data)
        if deep is not None:
            icc, gamma = image.info.get("icc_profile"), _gamma(image)
            return replace(deep, profile=icc, gamma=gamma, orientation=orientation(image))
        return upright(_rgb(image), orientation(image))


def _mend_palette(image: Image.Image) -> None:
    """Old writers put 8-bit colours into a TIFF's 16-bit palette; viewers tell that from the largest, and so do we."""
    colours = image.tag_v2.get(_COLORMAP) if isinstance(image, TiffImageFile) and image.mode == "P" else None
    if colours and 0 < max(colours) <= 255:
        image.putpalette(np.array(colours, np.uint8).reshape(3, -1).T.tobytes(), "RGB")


def _rgb(image: Image.Image) -> NDArray[np.uint8]:
    """Any mode of Pillow with 8 bits a channel or fewer -> uint8 (H, W, 3)."""
    if image.mode == "LAB":
        return render.lab_to_rgb(image)
    icc = image.info.get("icc_profile")
    grey = image.mode in ("1", "L", "LA")
    alpha, plain = None, image
    if image.has_transparency_data:
        plain = image.convert("LA" if grey else "RGBA")
        alpha = plain.getchannel("A")
    if plain.mode not in ("L", "RGB", "CMYK"):
        plain = plain.convert("L" if grey else "RGB")
    colours = profile.to_srgb(plain, icc)
    curve = None if icc else profile.gamma_curve(_gamma(image))
    if curve is not None:
        colours = Image.fromarray(curve[np.asarray(colours)])
    if alpha is not None:
        white = Image.new("RGB", image.size, "white")
        white.paste(colours, mask=alpha)
        colours = white
    return np.array(colours)


def _gamma(image: Image.Image) -> float | None:
    """A PNG's gAMA; None if it has none, or an sRGB chunk, which takes precedence (PNG specification, 4.3)."""
    gamma = image.info.get("gamma")
    return gamma if isinstance(gamma, float) and "srgb" not in image.info and image.format == "PNG" else None
