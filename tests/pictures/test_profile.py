"""Colour profiles, in every format that carries them."""

import io
import struct
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageCms

from pellucid.pictures import profile
from pellucid.pictures.decode import decode

Make = Callable[..., bytes]
# smooth, so that JPEG keeps it; with saturated colours, which profiles change most
BLEND = np.stack(np.meshgrid(np.linspace(0, 255, 32), np.linspace(255, 0, 24)), -1)
COLOURS = np.dstack([BLEND, np.full((24, 32), 60)]).astype(np.uint8)
GREYS = np.tile(np.arange(0, 256, 8, dtype=np.uint8), (8, 1))
EXACT: list[tuple[str, dict]] = [("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True})]
JPEG: tuple[str, dict] = ("JPEG", {"quality": 100, "subsampling": 0})


def converted(pixels: np.ndarray, icc: bytes, mode: str) -> np.ndarray:
    """LittleCMS's own result, from a direct call."""
    source, target = ImageCms.ImageCmsProfile(io.BytesIO(icc)), ImageCms.createProfile("sRGB")
    return np.asarray(ImageCms.profileToProfile(Image.fromarray(pixels, mode), source, target, outputMode="RGB"))


def srgb(light: np.ndarray) -> np.ndarray:
    """IEC 61966-2-1: light from 0 to 1 -> 0 to 255."""
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("name", ["adobe", "p3"])
@pytest.mark.parametrize(("form", "options"), [*EXACT, JPEG, ("AVIF", {"quality": 100})])
def test_wide_gamut_is_converted(encode: Make, icc: Make, name: str, form: str, options: dict) -> None:
    plain = decode(encode(COLOURS, form, **options))
    result = decode(encode(COLOURS, form, icc_profile=icc(name), **options))
    assert np.array_equal(result, converted(plain, icc(name), "RGB"))
    assert abs(result.astype(int) - plain).max() > 20


def test_adobe_rgb_by_hand(encode: Make, icc: Make) -> None:
    # (200, 100, 50) ** 2.199 through Adobe's matrix to XYZ, sRGB's matrix from it, and sRGB's curve
    data = encode(np.full((8, 8, 3), (200, 100, 50), np.uint8), "PNG", icc_profile=icc("adobe"))
    assert abs(decode(data)[0, 0].astype(int) - [227, 100, 42]).max() <= 1


@pytest.mark.parametrize(("form", "options"), [*EXACT, JPEG])
def test_srgb_and_no_profile_leave_the_pixels_alone(encode: Make, icc: Make, form: str, options: dict) -> None:
    plain = decode(encode(COLOURS, form, **options))
    assert np.array_equal(decode(encode(COLOURS, form, icc_profile=icc("srgb"), **options)), plain)
    if form != "JPEG":
        assert np.array_equal(plain, COLOURS)


@pytest.mark.parametrize(("form", "options"), [("PNG", {}), ("TIFF", {}), JPEG])
def test_linear_grey(encode: Make, icc: Make, form: str, options: dict) -> None:
    plain = decode(encode(GREYS, form, **options))
    result = decode(encode(GREYS, form, icc_profile=icc("linear"), **options))
    assert abs(result - srgb(plain / 255)).max() <= 1
    assert (result == result[..., :1]).all()


def test_grey_with_the_profile_of_its_camera(encode: Make, icc: Make) -> None:
    for form, options in (("PNG", {}), JPEG):
        grey = decode(encode(GREYS, form, icc_profile=icc("adobe"), **options))
        colours = converted(decode(encode(GREYS, form, **options)), icc("adobe"), "RGB")
        assert np.array_equal(grey, colours)


def test_cmyk_with_a_profile(encode: Make, icc: Make) -> None:
    # the profile knows black alone: 0 is white, 255 is black, whatever the inks
    inks = Image.merge("CMYK", [Image.new("L", (16, 16), value) for value in (255, 255, 255, 0)])
    for form, options in (("TIFF", {}), ("JPEG", {"quality": 100})):
        assert decode(encode(inks, form, icc_profile=icc("ink"), **options)).min() >= 250
        assert decode(encode(inks, form, **options)).max() <= 5  # without it, all inks at once are black


def test_16_bits_with_a_profile(png: Make, tiff: Make, icc: Make) -> None:
    values = np.arange(0, 65536, 256, dtype=np.uint16).reshape(16, 16, 1)
    values[0, 1] = 65535
    expected = srgb(values[..., 0] / 65535)
    packed = b"p\0\0" + zlib.compress(icc("linear"))
    for data in (png(values, (b"iCCP", packed)), tiff(values, tags={34675: icc("linear")})):
        result = decode(data)[..., 0]
        assert abs(result - expected)[values[..., 0] > 1024].max() <= 1  # the very dark lie between the curve's points
    wide = COLOURS.astype(np.uint16) * 257
    packed = b"p\0\0" + zlib.compress(icc("p3"))
    for data in (png(wide, (b"iCCP", packed)), tiff(wide, 2, tags={34675: icc("p3")})):
        assert np.array_equal(decode(data), converted(COLOURS, icc("p3"), "RGB"))


def test_transparency_and_palettes(encode: Make, icc: Make) -> None:
    wide = converted(COLOURS, icc("adobe"), "RGB")
    see_through = np.dstack([COLOURS, np.full((24, 32), 255, np.uint8)])
    see_through[0, 0, 3] = 0
    result = decode(encode(see_through, "PNG", icc_profile=icc("adobe")))
    assert result[0, 0].tolist() == [255, 255, 255]
    assert np.array_equal(result[1:], wide[1:])
    palette = Image.fromarray(COLOURS).quantize(16, dither=Image.Dither.NONE)
    data = encode(palette, "PNG", icc_profile=icc("adobe"))
    assert np.array_equal(decode(data), converted(np.asarray(palette.convert("RGB")), icc("adobe"), "RGB"))
    grey = np.dstack([GREYS, np.full_like(GREYS, 255)])
    data = encode(grey, "PNG", icc_profile=icc("linear"))
    assert abs(decode(data)[..., 0] - srgb(GREYS / 255)).max() <= 1


@pytest.mark.parametrize("form", ["PNG", "TIFF", "JPEG", "WEBP"])
def test_a_broken_profile_does_not_lose_the_picture(encode: Make, icc: Make, form: str) -> None:
    whole = icc("adobe")
    plain = decode(encode(COLOURS, form))
    wrong = [
        b"x",
        bytes(200),
        whole[:130],
        whole[:300],
        whole[:16] + b"GRAY" + whole[20:],
        whole[:16] + b"CMYK" + whole[20:],
    ]
    for broken in [*wrong, icc("linear"), icc("ink")]:
        assert np.array_equal(decode(encode(COLOURS, form, icc_profile=broken)), plain)


def test_a_large_profile_stands_in_several_segments_of_a_jpeg(encode: Make, icc: Make) -> None:
    whole = icc("adobe").ljust(150_000, b"\0")
    data = encode(COLOURS, "JPEG", icc_profile=whole)
    plain = decode(encode(COLOURS, "JPEG"))
    assert data.count(b"ICC_PROFILE\0") == 3
    assert np.array_equal(decode(data), converted(plain, icc("adobe"), "RGB"))
    # the order in the file does not count, and one that is missing makes the profile useless, not the picture
    second = data.index(b"ICC_PROFILE\0\2") - 4
    end = second + 2 + int.from_bytes(data[second + 2 : second + 4], "big")
    moved = data[:2] + data[second:end] + data[2:second] + data[end:]
    assert np.array_equal(decode(moved), decode(data))
    assert np.array_equal(decode(data[:second] + data[end:]), plain)


def test_orientation_and_profile_together(encode: Make, icc: Make) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    data = encode(COLOURS, "JPEG", icc_profile=icc("adobe"), exif=exif)
    assert np.array_equal(decode(data)[::-1, ::-1], decode(encode(COLOURS, "JPEG", icc_profile=icc("adobe"))))


def test_many_threads_convert_alike(encode: Make, icc: Make) -> None:
    files = [encode(np.roll(COLOURS, shift, 1), "PNG", icc_profile=icc("p3")) for shift in range(16)]
    alone = [decode(data) for data in files]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(decode, files * 4))
    assert all(np.array_equal(one, alone[number % 16]) for number, one in enumerate(together))


def test_a_profile_is_looked_at_once(encode: Make, icc: Make) -> None:
    profile._transform.cache_clear()
    for shift in range(3):
        decode(encode(np.roll(COLOURS, shift, 1), "JPEG", icc_profile=icc("srgb")))
    assert profile._transform.cache_info().misses == 1


def test_the_curve_that_a_png_states(png: Make, encode: Make) -> None:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    def stating(pixels: np.ndarray, *chunks: bytes) -> np.ndarray:
        data = encode(pixels, "PNG")
        return decode(data[:33] + b"".join(chunks) + data[33:])

    def gamma(value: float) -> bytes:
        return chunk(b"gAMA", struct.pack(">I", round(value * 100_000)))

    assert abs(stating(GREYS, gamma(1))[..., 0] - srgb(GREYS / 255)).max() <= 0.5
    assert abs(stating(COLOURS, gamma(1)) - srgb(COLOURS / 255)).max() <= 0.5
    assert np.array_equal(stating(COLOURS, gamma(0.45455)), COLOURS)  # sRGB's own
    assert np.array_equal(stating(COLOURS, gamma(1), chunk(b"sRGB", b"\0")), COLOURS)  # which counts for more
    assert np.array_equal(stating(COLOURS, gamma(0)), COLOURS)  # makes no sense
    deep = png(GREYS[..., None].astype(np.uint16) * 257, (b"gAMA", struct.pack(">I", 100_000)))
    assert abs(decode(deep)[..., 0] - srgb(GREYS / 255)).max() <= 1
