"""Samples -> an 8-bit RGB image: black and white chosen, the profile applied, transparency on white."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from pellucid.pictures import profile
from pellucid.pictures.levels import Pool, choose, kind_of, scaled, usable
from pellucid.pictures.ranges import Range, Ranges
from pellucid.pictures.samples import Samples

_BLOCK = 1 << 20  # values processed at once: as floats they take four or eight times the memory of their file
_ALONE = 512  # rows and columns of a single file, used to choose its range


def to_rgb(samples: Samples, ranges: Ranges) -> NDArray[np.uint8]:
    """uint8 (H, W, 3). Values outside the range, NaN and unmeasured values become its ends."""
    height, width, channels = samples.values.shape
    black_white = _range(samples, ranges)
    rgb = np.empty((height, width, 3), np.uint8)
    step = max(1, _BLOCK // (width * channels))
    for top in range(0, height, step):
        rows = slice(top, top + step)
        alpha = None if samples.alpha is None else samples.alpha[rows]
        rgb[rows] = _part(replace(samples, values=samples.values[rows], alpha=alpha), black_white)
    return rgb


def pool_of(samples: Samples, side: int = _ALONE) -> Pool:
    """The values to choose the range of such files from, at most `side` rows and columns, evenly spread.

    They come from all channels except alpha, and not from transparent pixels.
    """
    height, width, _ = samples.values.shape
    rows, columns = (np.unique(np.linspace(0, most - 1, min(side, most)).astype(int)) for most in (height, width))
    places = np.ix_(rows, columns)
    values = samples.values[places]
    if samples.alpha is not None:
        values = values[samples.alpha[places] > 0]
    elif samples.transparent is not None and len(samples.transparent) == values.shape[2]:
        values = values[(values != np.array(samples.transparent)).any(axis=2)]
    return Pool(usable(values, samples.nodata), samples.declared)


def is_measured(samples: Samples) -> bool:
    """Whether black and white have to be chosen: not for 8 bits, and not for inks."""
    return samples.values.dtype != np.uint8 and samples.colours in ("grey", "rgb")


def _range(samples: Samples, ranges: Ranges) -> Range:
    if not is_measured(samples):
        return 0.0, 1.0 if samples.values.dtype.kind == "f" else float(np.iinfo(samples.values.dtype).max)
    return ranges.of(kind_of(samples.values)) or choose(pool_of(samples), alone=True)


def _part(samples: Samples, black_white: Range) -> NDArray[np.uint8]:
    values = samples.values
    if samples.premultiplied and samples.alpha is not None:
        opaque = np.where(samples.alpha > 0, samples.alpha, 1)[:, :, None]
        values = (values / opaque).astype(np.float64 if values.dtype.itemsize > 2 else np.float32)
    light = scaled(values, black_white)
    if samples.nodata is not None:
        light[(samples.values == samples.nodata).all(axis=2)] = 0
    if samples.white_is_zero:
        light = 255 - light
    if samples.colours == "cmyk":
        inks = Image.fromarray(np.floor(light + 0.5).astype(np.uint8), "CMYK")
        rgb = np.array(profile.to_srgb(inks, samples.profile))
    elif samples.colours == "lab":
        rgb = _from_lab(samples, light)
    else:
        rgb = _coloured(light, samples)
    if samples.alpha is not None:
        share = samples.alpha[:, :, None]
        rgb = np.floor(rgb * share + 255 * (1 - share) + 0.5).astype(np.uint8)
    if samples.transparent is not None and len(samples.transparent) == samples.values.shape[2]:
        rgb[(samples.values == np.array(samples.transparent)).all(axis=2)] = 255
    return rgb


def _coloured(light: NDArray[np.float32], samples: Samples) -> NDArray[np.uint8]:
    """float32 (H, W, 1 or 3), 0 to 255 -> uint8 (H, W, 3) in sRGB."""
    if light.shape[2] == 3:
        plain = np.floor(light + 0.5).astype(np.uint8)
        if (curve := profile.gamma_curve(samples.gamma)) is not None and samples.profile is None:
            return curve[plain]
        return np.array(profile.to_srgb(Image.fromarray(plain), samples.profile))
    grey = light[:, :, 0]
    curve = profile.grey_curve(samples.profile)
    if curve is None and samples.profile is None:
        curve = profile.gamma_curve(samples.gamma)
    if curve is None:
        return np.repeat(np.floor(light + 0.5).astype(np.uint8), 3, axis=2)
    # interpolate between the curve's points, which are coarse at the dark end of a linear profile
    columns = curve.reshape(256, -1).T
    bent = np.stack([np.interp(grey, np.arange(256), column) for column in columns], axis=-1)
    rgb = np.floor(bent + 0.5).astype(np.uint8)
    return rgb if rgb.shape[2] == 3 else np.repeat(rgb, 3, axis=2)


def _from_lab(samples: Samples, light: NDArray[np.float32]) -> NDArray[np.uint8]:
    """CIELab of 8 or 16 bits, whose a and b are signed; Pillow stores them with 128 added (TIFF 6.0, section 23)."""
    step = 1 << 8 * (samples.values.dtype.itemsize - 1)
    signed = samples.values[:, :, 1:].astype(np.int64)
    signed = np.where(signed >= 128 * step, signed - 256 * step, signed)  # stored as unsigned numbers
    opponents = np.clip((signed + step // 2) // step, -128, 127) + 128
    bands = np.dstack([np.floor(light[:, :, 0] + 0.5), opponents]).astype(np.uint8)
    return lab_to_rgb(
        Image.merge("LAB", [Image.fromarray(np.ascontiguousarray(band)) for band in np.moveaxis(bands, 2, 0)])
    )


def lab_to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    """A picture of Pillow's mode LAB, under D50 as ICC has it -> uint8 (H, W, 3)."""
    lab, rgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    return np.array(ImageCms.profileToProfile(image, lab, rgb, outputMode="RGB"))
