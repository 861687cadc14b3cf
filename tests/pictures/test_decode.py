import io
import os
import resource
import struct
import subprocess
import sys
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from pellucid.errors import PictureError, RecipeError
from pellucid.pictures.decode import PAD, Fit, Form, decode, resize
from pellucid.pictures.reading import read, read_with_stamp

Encode = Callable[..., bytes]
NOISE = np.random.default_rng(7).integers(0, 256, (9, 13, 3), np.uint8)
GREY = np.arange(256, dtype=np.uint8).reshape(16, 16)


def reason(data: bytes, *limit: int) -> str:
    with pytest.raises(PictureError) as caught:
        decode(data, *limit)
    assert "\n" not in caught.value.reason
    return caught.value.reason


def attempt(data: bytes, limit: int) -> np.ndarray | None:
    """The image, or None if it is refused properly; any other exception fails the test."""
    try:
        return decode(data, limit)
    except PictureError as error:
        assert error.reason.isprintable()  # noqa: PT017
        return None


def rgb(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[:, :, None], 3, axis=2)


# ------------------------------------------------------------------------------------------ what is decoded


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "PPM", "TGA", "PCX", "SGI", "JPEG2000", "ICO"])
def test_lossless_formats_are_exact(encode: Encode, form: str) -> None:
    pixels = NOISE if form != "ICO" else np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    options = {"sizes": [(16, 16)]} if form == "ICO" else {}
    assert np.array_equal(decode(encode(pixels, form, **options)), pixels)


def test_lossless_webp_is_exact(encode: Encode) -> None:
    assert np.array_equal(decode(encode(NOISE, "WEBP", lossless=True)), NOISE)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0, "quality": 100}, {"quality": 20}])
def test_jpeg_has_pillows_pixels(encode: Encode, options: dict) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (37, 51, 3), np.uint8)
    data = encode(pixels, "JPEG", **options)
    assert np.array_equal(decode(data), np.asarray(Image.open(io.BytesIO(data))))


def test_jpeg_with_junk_that_turbo_refuses_is_judged_by_pillow(encode: Encode) -> None:
    data = encode(NOISE, "JPEG")
    junk = data[:2] + b"\xff\x00" + data[2:]
    assert np.array_equal(decode(junk), decode(data))


def test_grey_jpeg_has_three_equal_channels(encode: Encode) -> None:
    data = encode(GREY, "JPEG", quality=100)
    assert np.array_equal(decode(data), rgb(np.asarray(Image.open(io.BytesIO(data)))))


def test_cmyk(encode: Encode) -> None:
    cmyk = Image.new("CMYK", (8, 8), (0, 255, 255, 0))  # no cyan, all magenta and yellow: red
    assert np.array_equal(decode(encode(cmyk, "TIFF"))[0, 0], [255, 0, 0])
    red = decode(encode(cmyk, "JPEG", quality=100))[0, 0].astype(int)
    assert abs(red - [255, 0, 0]).max() <= 3


def test_lab(encode: Encode) -> None:
    # L* = 54.29, a* = 80.81, b* = 69.89 is sRGB's red under ICC's D50; Pillow keeps L * 2.55 and a, b + 128
    lab = Image.merge("LAB", [Image.new("L", (4, 4), value) for value in (138, 209, 198)])
    red = decode(encode(lab, "TIFF"))[0, 0].astype(int)
    assert abs(red - [255, 0, 0]).max() <= 6


def test_sixteen_bits_are_scaled_not_clipped(encode: Encode) -> None:
    # 257 = 65535 / 255: 0 -> 0, 128 -> 0.498 -> 0, 129 -> 0.502 -> 1, 32768 -> 127.5 -> 128 (half up), 65535 -> 255
    values = np.array([[0, 128, 129, 257, 32767, 32768, 65535]], np.uint16)
    expected = [0, 0, 1, 1, 127, 128, 255]
    for form in ("PNG", "TIFF", "PPM"):
        assert decode(encode(values, form))[0, :, 0].tolist() == expected
    big_endian = Image.frombytes("I;16B", (7, 1), values.astype(">u2").tobytes())
    assert decode(encode(big_endian, "TIFF"))[0, :, 0].tolist() == expected


def test_other_depths_are_scaled(encode: Encode) -> None:
    def first_row(values: list[float], kind: type) -> list[int]:
        return decode(encode(np.array([values], kind), "TIFF"))[0, :, 0].tolist()

    assert first_row([0, 0.5, 1], np.float32) == [0, 128, 255]
    assert first_row([0, 100, 255], np.float32) == [0, 100, 255]
    assert first_row([-10, 0, 10], np.float32) == [0, 128, 255]
    assert first_row([np.nan, 0, 1], np.float32) == [0, 0, 255]
    assert first_row([0, 257, 65535], np.int32) == [0, 1, 255]
    assert first_row([-1000, 0, 1000], np.int32) == [0, 128, 255]
    assert first_row([7, 7], np.float32) == [7, 7]


def test_one_bit(encode: Encode) -> None:
    bits = Image.fromarray(GREY).convert("1", dither=Image.Dither.NONE)
    assert np.array_equal(decode(encode(bits, "PNG")), rgb(np.where(GREY >= 128, 255, 0).astype(np.uint8)))


def test_transparency_is_composited_on_white(encode: Encode) -> None:
    # 100 on white at alpha 0, 51 (a fifth), 255: 255, 100/5 + 255*4/5 = 224, 100
    grey, alpha = np.full((1, 3), 100, np.uint8), np.array([[0, 51, 255]], np.uint8)
    for image in (np.stack([grey, alpha], -1), np.stack([grey, grey, grey, alpha], -1)):
        assert decode(encode(image, "PNG"))[0, :, 0].tolist() == [255, 224, 100]


def test_palette_with_and_without_transparency(encode: Encode) -> None:
    image = Image.frombytes("P", (3, 1), bytes([0, 1, 2]))
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    assert decode(encode(image, "PNG"))[0].tolist() == [[255, 0, 0], [0, 255, 0], [0, 0, 255]]
    for form, transparency in [("PNG", 1), ("PNG", bytes([255, 0, 255])), ("GIF", 1)]:
        pixels = decode(encode(image, form, transparency=transparency))[0].tolist()
        assert pixels == [[255, 0, 0], [255, 255, 255], [0, 0, 255]]


def test_one_transparent_colour(encode: Encode) -> None:
    assert decode(encode(np.array([[5, 9]], np.uint8), "PNG", transparency=9))[0, :, 0].tolist() == [5, 255]
    assert decode(encode(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8), "PNG", transparency=(1, 2, 3)))[0].tolist() == [
        [255, 255, 255],
        [4, 5, 6],
    ]
    deep = encode(np.array([[2570, 9]], np.uint16), "PNG", transparency=9)
    assert decode(deep)[0, :, 0].tolist() == [10, 255]


@pytest.mark.parametrize(("form", "options"), [("GIF", {}), ("WEBP", {"lossless": True}), ("PNG", {}), ("TIFF", {})])
def test_the_first_frame_or_page(encode: Encode, form: str, options: dict) -> None:
    frames = [Image.new("RGB", (5, 4), colour) for colour in ("red", "blue", "lime")]
    data = encode(frames[0], form, save_all=True, append_images=frames[1:], **options)
    assert np.array_equal(decode(data), np.asarray(frames[0]))


# --------------------------------------------------------------------------------------------- orientation


@pytest.mark.parametrize("orientation", range(9))
@pytest.mark.parametrize(("form", "options"), [("JPEG", {}), ("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {})])
def test_exif_orientation(encode: Encode, form: str, options: dict, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(NOISE, form, exif=exif, **options)
    plain = decode(encode(NOISE, form, **options))
    turned = ImageOps.exif_transpose(_with_orientation(plain, orientation))
    assert np.array_equal(decode(data), np.asarray(turned))
    assert decode(data).shape == ((13, 9, 3) if orientation >= 5 else (9, 13, 3))


def _with_orientation(pixels: np.ndarray, orientation: int) -> Image.Image:
    image = Image.fromarray(pixels)
    image.getexif()[0x0112] = orientation
    return image


def test_orientation_six_by_hand(encode: Encode) -> None:
    # 6: the camera was turned so that the file's first row is the picture's right side
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encode(np.array([[1, 2, 3], [4, 5, 6]], np.uint8), "PNG", exif=exif)
    assert decode(data)[:, :, 0].tolist() == [[4, 1], [5, 2], [6, 3]]


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_orientation_in_xmp(encode: Encode, form: str) -> None:
    xmp = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf tiff:Orientation="6"/></x:xmpmeta>'
    if form == "PNG":
        from PIL.PngImagePlugin import PngInfo

        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", xmp)
        data = encode(NOISE, "PNG", pnginfo=info)
    else:
        data = encode(NOISE, "JPEG", xmp=xmp.encode())
    assert decode(data).shape == (13, 9, 3)


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\0\x09\x01", b"rubbish"]
)
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_bad_exif_does_not_break_a_fine_picture(encode: Encode, form: str, exif: bytes) -> None:
    assert decode(encode(NOISE, form, exif=exif)).shape == NOISE.shape


def test_an_orientation_that_is_no_number_is_ignored(encode: Encode) -> None:
    exif = b"II*\0" + struct.pack("<IHHHI4sI", 8, 1, 0x0112, 2, 4, b"six\0", 0)
    assert Image.open(io.BytesIO(encode(NOISE, "PNG", exif=exif))).getexif()[0x0112] == "six"
    for form in ("PNG", "JPEG"):
        assert decode(encode(NOISE, form, exif=b"Exif\0\0" + exif)).shape == NOISE.shape


# ------------------------------------------------------------------------------------------ what is refused


@settings(max_examples=200, deadline=None)
@given(form=st.sampled_from(["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"]), share=st.floats(0, 1))
def test_a_cut_file_is_refused_or_whole(encode: Encode, form: str, share: float) -> None:
    whole = encode(NOISE, form)
    cut = whole[: int(share * (len(whole) - 1))]
    image = attempt(cut, 10_000)
    if image is not None:  # only bytes that belong to no pixel were missing
        assert np.array_equal(image, decode(whole))
        assert form != "JPEG"
        assert form != "PNG" or len(whole) - len(cut) <= 4  # the checksum of the end


@settings(max_examples=200, deadline=None)
@given(
    form=st.sampled_from(["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "TGA", "ICO"]),
    place=st.floats(0, 1, exclude_max=True),
    junk=st.binary(min_size=1, max_size=8),
)
def test_damaged_files_raise_nothing_but_picture_error(encode: Encode, form: str, place: float, junk: bytes) -> None:
    data = bytearray(encode(NOISE, form))
    start = int(place * len(data))
    data[start : start + len(junk)] = junk
    image = attempt(bytes(data), 1_000_000)
    assert image is None or (image.dtype == np.uint8 and image.shape[2] == 3)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_raise_nothing_but_picture_error(data: bytes) -> None:
    image = attempt(data, 10_000)
    assert image is None or image.size <= 30_000


def test_reasons(encode: Encode) -> None:
    png, jpeg = encode(NOISE, "PNG"), encode(NOISE, "JPEG")
    assert reason(b"") == "empty file"
    assert reason(b"Dear diary, today no pictures.\n" * 40) == "not a picture"
    program = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
    assert reason(program) == "a PostScript file (EPS), which is a program: convert it to PNG"
    assert reason(png[:-40]).startswith("truncated: ")
    assert reason(jpeg[:-10]).startswith("truncated: ")
    assert reason(png[:20]).startswith("truncated: ")
    assert reason(png[:30] + b"?" + png[31:]) == "damaged PNG: its header cannot be read"
    assert reason(_png_header(0, 5)) == "zero width"
    assert reason(b"GIF89a" + struct.pack("<HH", 5, 0) + bytes(30)) == "zero height"


def test_the_name_does_not_matter(encode: Encode, tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(encode(NOISE, "WEBP", lossless=True))
    assert np.array_equal(decode(read(path)), NOISE)


def test_the_pixel_limit_is_inclusive(encode: Encode) -> None:
    for form in ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"):
        data = encode(NOISE, form)
        assert decode(data, 9 * 13).shape == (9, 13, 3)
        assert reason(data, 9 * 13 - 1) == "13 x 9 = 0.000117 megapixels, over the limit of 0.000116"


def _png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(10**6)))
        + chunk(b"IEND", b"")
    )


def _bombs(encode: Encode) -> dict[str, bytes]:
    size = struct.pack(">HH", 60000, 60000)
    jpeg = encode(NOISE, "JPEG")
    frame = jpeg.index(b"\xff\xc0") + 5
    bmp = encode(NOISE, "BMP")
    tiff = encode(NOISE, "TIFF").replace(
        struct.pack("<HHIHH", 256, 4, 1, 13, 0), struct.pack("<HHIHH", 256, 4, 1, 60000, 0)
    )
    tiff = tiff.replace(struct.pack("<HHIHH", 257, 4, 1, 9, 0), struct.pack("<HHIHH", 257, 4, 1, 60000, 0))
    vp8x = b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + b"\x5f\xea\0" * 2
    # an icon that says 16 x 16 and holds a PNG that says 60000 x 60000
    inner = _png_header(60000, 60000)
    icon = struct.pack("<HHHBBBBHHII", 0, 1, 1, 16, 16, 0, 0, 1, 32, len(inner), 22) + inner
    return {
        "PNG": inner,
        "GIF": b"GIF89a"
        + struct.pack("<HH", 60000, 60000)
        + b"\x80\0\0"
        + bytes(6)
        + b",\0\0\0\0\x60\xea\x60\xea\0\x02\0;",
        "GIF frame": b"GIF89a\1\0\1\0\x80\0\0" + bytes(6) + b",\0\0\0\0\x60\xea\x60\xea\0\x02\0;",
        "JPEG": jpeg[:frame] + size + jpeg[frame + 4 :],
        "BMP": bmp[:18] + struct.pack("<ii", 60000, 60000) + bmp[26:],
        "TIFF": tiff,
        "WEBP": vp8x + bytes(40),
        "ICO": icon,
    }


@pytest.mark.parametrize("name", ["PNG", "GIF", "GIF frame", "JPEG", "BMP", "TIFF", "WEBP", "ICO"])
def test_a_bomb_is_refused_by_its_header(encode: Encode, name: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused = reason(_bombs(encode)[name])
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert "3600 megapixels, over the limit of 100" in refused
    if name in ("PNG", "GIF", "JPEG"):
        assert refused == "60000 x 60000 = 3600 megapixels, over the limit of 100"
    assert grown < 20_000  # KiB


def test_a_text_bomb_in_a_png_takes_little_memory(encode: Encode) -> None:
    data = zlib.compress(bytes(200_000_000), 9)
    body = b"zTXtComment\0\0" + data
    bomb = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    png = encode(NOISE, "PNG")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "text" in reason(png[:33] + bomb + png[33:])
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000


def test_a_higher_limit_opens_what_pillow_would_refuse(encode: Encode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)  # Pillow refuses from 41 pixels on
    data = encode(NOISE, "BMP")
    assert "over the limit of 4e-05" in reason(data, 40)
    assert decode(data, 200).shape == NOISE.shape


def test_nothing_is_said_on_stderr(encode: Encode, tmp_path: Path) -> None:
    """Neither Python's warnings nor its logging nor a C library's own output."""
    damaged = []
    for form in ("JPEG", "PNG", "GIF", "WEBP", "TIFF"):
        data = bytearray(encode(NOISE, form, **({"compression": "jpeg"} if form == "TIFF" else {})))
        for place in range(8, len(data), 7):
            broken = data.copy()
            broken[place] ^= 0xFF
            damaged.append(bytes(broken))
    damaged.append(encode(NOISE, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01"))
    (tmp_path / "damaged").write_bytes(b"".join(struct.pack("<I", len(data)) + data for data in damaged))
    script = (
        "import struct, sys; from pathlib import Path\n"
        "from pellucid.errors import PictureError; from pellucid.pictures.decode import decode\n"
        "data, place, count = Path(sys.argv[1]).read_bytes(), 0, 0\n"
        "while place < len(data):\n"
        "    (length,) = struct.unpack_from('<I', data, place); place += 4 + length; count += 1\n"
        "    try: decode(data[place - length : place], 10**6)\n"
        "    except PictureError: pass\n"
        "print(count)\n"
    )
    command = [sys.executable, "-W", "always", "-c", script, str(tmp_path / "damaged")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == str(len(damaged))
    assert done.stderr == ""


def test_pillows_warnings_are_no_errors(encode: Encode) -> None:
    data = encode(NOISE, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.warns(UserWarning, match="EXIF"):  # Pillow does warn about this file
            Image.open(io.BytesIO(data)).getexif()
        with ThreadPoolExecutor(4) as pool:
            shapes = list(pool.map(lambda _: decode(data).shape, range(16)))
    assert shapes == [NOISE.shape] * 16


# ----------------------------------------------------------------------------------------------------- read


def read_reason(path: Path) -> str:
    with pytest.raises(PictureError) as caught:
        read(path)
    return caught.value.reason


def test_what_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    os.mkfifo(tmp_path / "pipe")
    assert read_reason(tmp_path / "empty") == "empty file"
    assert read_reason(tmp_path / "nothing") == "not found"
    assert read_reason(tmp_path) == "a folder"
    assert read_reason(tmp_path / "pipe") == "not a regular file"  # and it does not wait for a writer


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret.png"
    path.write_bytes(b"x")
    path.chmod(0)
    if os.geteuid() == 0:  # root may read everything: let the system's answer be the one others get

        def refuse(*_: object) -> int:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("pellucid.pictures.reading.os.open", refuse)
    assert read_reason(path) == "no permission"


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(6_000_000_000)  # sparse
    assert read_reason(tmp_path / "huge") == "6.0 GB, over the limit of 1.1 for a file"


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    before = os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else []
    for path in (tmp_path, tmp_path / "empty", tmp_path / "nothing"):
        read_reason(path)
    assert len(os.listdir("/proc/self/fd") if before else []) == len(before)


def test_read_with_stamp(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    status = (tmp_path / "a").stat()
    assert read_with_stamp(tmp_path / "a") == (b"abc", (3, status.st_mtime_ns, status.st_ctime_ns))


# --------------------------------------------------------------------------------------------------- resize


def grey_row(*values: int) -> np.ndarray:
    return rgb(np.array([values], np.uint8))


def test_pad_keeps_all_and_fills_with_grey() -> None:
    # 1 x 4 into 4 x 4: scale 1, so rows 0, 2 and 3 are border (the odd row goes below)
    image = resize(grey_row(10, 20, 30, 40), 4, 4, 3, "pad")
    assert image[:, :, 0].tolist() == [[PAD] * 4, [10, 20, 30, 40], [PAD] * 4, [PAD] * 4]


def test_crop_takes_the_middle() -> None:
    assert resize(grey_row(10, 20, 30, 40), 1, 2, 3, "crop")[0, :, 0].tolist() == [20, 30]
    column = resize(grey_row(10, 20, 30, 40).swapaxes(0, 1).copy(), 2, 1, 3, "crop")
    assert column[:, 0, 0].tolist() == [20, 30]


def test_stretch_is_antialiased() -> None:
    # triangle filter of radius 2 at scale 2, centre of the first output pixel at 1: weights (1 - |x + .5 - 1| / 2)
    # of x = 0, 1, 2 are 3/4, 3/4, 1/4, their sum 7/4; (0*3 + 0*3 + 175*1) / 7 = 25, and 150 by symmetry
    assert resize(grey_row(0, 0, 175, 175), 1, 2, 3, "stretch")[0, :, 0].tolist() == [25, 150]


def test_one_channel_is_luma() -> None:
    image = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [77, 77, 77]]], np.uint8)
    # 0.299 * 255 = 76.2, 0.587 * 255 = 149.7, 0.114 * 255 = 29.07
    assert resize(image, 1, 4, 1, "stretch").tolist() == [[[76], [150], [29], [77]]]


def test_the_right_size_is_left_alone() -> None:
    for fit in ("pad", "crop", "stretch"):
        assert np.array_equal(resize(NOISE, 9, 13, 3, fit), NOISE)


@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
@pytest.mark.parametrize("shape", [(10000, 1, 3), (1, 10000, 3), (1, 1, 3), (1, 65500, 3)])
def test_extreme_shapes(shape: tuple[int, int, int], fit) -> None:
    image = resize(np.full(shape, 77, np.uint8), 300, 300, 3, fit)
    assert image.shape == (300, 300, 3)
    assert (image == 77).any()
    assert set(np.unique(image)) <= ({77, PAD} if fit == "pad" else {77})


@settings(max_examples=150, deadline=None)
@given(
    rows=st.integers(1, 60),
    columns=st.integers(1, 60),
    height=st.integers(1, 60),
    width=st.integers(1, 60),
    channels=st.sampled_from([1, 3]),
    fit=st.sampled_from(["pad", "crop", "stretch"]),
)
def test_any_shape_becomes_the_form(rows: int, columns: int, height: int, width: int, channels, fit) -> None:
    image = Form(height, width, channels, fit).apply(np.full((rows, columns, 3), 200, np.uint8))
    assert image.shape == (height, width, channels)
    assert image.dtype == np.uint8
    assert image.flags["C_CONTIGUOUS"]
    if fit == "pad":
        # the picture touches both ends of one side and keeps its proportions to half a pixel (but has at least one)
        inside = (image[:, :, 0] == 200).any(1).sum(), (image[:, :, 0] == 200).any(0).sum()
        assert inside[0] == height or inside[1] == width
        scale = min(height / rows, width / columns)
        assert abs(inside[0] - max(1, rows * scale)) <= 0.5 + 1e-9
        assert abs(inside[1] - max(1, columns * scale)) <= 0.5 + 1e-9
    else:
        assert (image == 200).all()


def test_a_form_that_makes_no_sense() -> None:
    with pytest.raises(RecipeError, match="0x5x3"):
        Form(0, 5)
    with pytest.raises(RecipeError, match="5x5x4"):
        Form(5, 5, 4)  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match="'squash' is unknown"):
        Form(5, 5, 3, "squash")  # type: ignore[arg-type]


def test_a_tiff_palette_of_small_colours_is_not_black() -> None:
    """Old writers put 0 to 255 where 0 to 65,535 belong, and libtiff's viewers handle that too."""
    colours = np.random.default_rng(1).integers(0, 256, (256, 3), dtype=np.uint8)
    image = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16))
    image.putpalette(colours.tobytes(), "RGB")
    buffer = io.BytesIO()
    image.save(buffer, "TIFF")
    large, small = ((colours.T.astype("<u2") * factor).tobytes() for factor in (256, 1))
    assert buffer.getvalue().count(large) == 1
    for content in (buffer.getvalue(), buffer.getvalue().replace(large, small)):
        assert np.array_equal(decode(content, 1_000_000), colours.reshape(16, 16, 3))


@pytest.mark.parametrize(("height", "width"), [(2, 3), (7, 4), (5, 5), (1, 1), (11, 23)])
@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
def test_plain_resizing_is_bilinear_between_four_pixels(height: int, width: int, fit: Fit) -> None:
    """By the definition of tf.image.resize: half-pixel centres, clamped at the border, no antialiasing."""
    image = np.random.default_rng(4).integers(0, 256, (5, 9, 3), np.uint8)
    resized = resize(image, height, width, 3, fit, kernel="plain")
    assert resized.shape == (height, width, 3)
    if fit != "stretch":
        return
    for row in range(height):
        for column in range(width):
            y = min(max((row + 0.5) * 5 / height - 0.5, 0), 4)
            x = min(max((column + 0.5) * 9 / width - 0.5, 0), 8)
            (top, left), (bottom, right) = (int(y), int(x)), (min(int(y) + 1, 4), min(int(x) + 1, 8))
            above = image[top, left] * (1 - x + left) + image[top, right] * (x - left)
            below = image[bottom, left] * (1 - x + left) + image[bottom, right] * (x - left)
            assert np.abs(above * (1 - y + top) + below * (y - top) - resized[row, column]).max() <= 0.501


def test_plain_resizing_to_the_same_size_changes_nothing() -> None:
    image = np.random.default_rng(4).integers(0, 256, (6, 8, 3), np.uint8)
    assert np.array_equal(resize(image, 6, 8, 3, "stretch", kernel="plain"), image)
