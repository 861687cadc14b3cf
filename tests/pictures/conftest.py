"""Small pictures, made on the spot."""

import functools
import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms


@pytest.fixture(scope="session")
def encode() -> Callable[..., bytes]:
    """encode(image or array, "PNG", **save options) -> the file's bytes."""

    def encode(image: Any, form: str, **options: Any) -> bytes:
        buffer = io.BytesIO()
        picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
        picture.save(buffer, form, **options)
        return buffer.getvalue()

    return encode


@pytest.fixture
def photo(encode: Callable[..., bytes]) -> Callable[..., bytes]:
    """photo(seed) -> the bytes of a small PNG, different for each seed."""

    def photo(seed: int, height: int = 6, width: int = 8) -> bytes:
        return encode(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8), "PNG")

    return photo


@pytest.fixture
def animals(tmp_path: Path, photo: Callable[..., bytes]) -> Path:
    """A folder with three different cats and three different dogs."""
    root = tmp_path / "animals"
    for label, name in enumerate(["cat", "dog"]):
        (root / name).mkdir(parents=True)
        for number in range(3):
            (root / name / f"{number}.png").write_bytes(photo(10 * label + number))
    return root


@pytest.fixture(scope="session")
def tiff() -> Callable[..., bytes]:
    """tiff(values (H, W) or (H, W, C), photometric=1, order="<", tags={tag: numbers or bytes}) -> a TIFF."""

    def tiff(values: np.ndarray, photometric: int = 1, order: str = "<", tags: dict | None = None) -> bytes:
        values = values.reshape(*values.shape[:2], -1)
        height, width, channels = values.shape
        pixels = values.astype(values.dtype.newbyteorder(order)).tobytes()
        kind = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
        entries = {
            256: [width],
            257: [height],
            258: [values.dtype.itemsize * 8] * channels,
            259: [1],
            262: [photometric],
        }
        entries |= {
            273: [0],
            277: [channels],
            278: [height],
            279: [len(pixels)],
            339: [kind] * channels,
            **(tags or {}),
        }
        start = 8 + 2 + 12 * len(entries) + 4
        body, behind = b"", b""
        entries[273] = [start + sum(len(_packed(numbers, order)) for numbers in entries.values())]
        for tag, numbers in sorted(entries.items()):
            data = _packed(numbers, order)
            place = data.ljust(4, b"\0") if len(data) <= 4 else struct.pack(order + "I", start + len(behind))
            behind += data if len(data) > 4 else b""
            code = 7 if isinstance(numbers, bytes) else 12 if any(isinstance(one, float) for one in numbers) else 4
            body += struct.pack(order + "HHI", tag, code, len(numbers)) + place
        head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
        head += struct.pack(order + "H", len(entries)) + body + bytes(4) + behind
        return head.ljust(entries[273][0], b"\0") + pixels

    return tiff


def _packed(numbers: list | bytes, order: str) -> bytes:
    if isinstance(numbers, bytes):
        return numbers
    letter = "d" if any(isinstance(one, float) for one in numbers) else "I"
    return struct.pack(f"{order}{len(numbers)}{letter}", *numbers)


@pytest.fixture(scope="session")
def png() -> Callable[..., bytes]:
    """png(values uint16 (H, W, C), *(name, content) of chunks) -> a PNG with 16 bits a sample."""

    def png(values: np.ndarray, *chunks: tuple[bytes, bytes]) -> bytes:
        height, width, channels = values.shape
        colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
        rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
        header = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
        every = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
        return b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
            for name, data in every
        )

    return png


@pytest.fixture(scope="session")
def icc() -> Callable[..., bytes]:
    """icc("adobe" | "p3" | "srgb" | "linear" | "ink") -> a small profile of that name (ICC.1:2001-04)."""
    return _profile


# the columns of the matrix to XYZ under D50, and the curve's power
_PRIMARIES = {
    "adobe": ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457), 2.19921875),
    "p3": ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407), 2.2),
}


@functools.cache  # LittleCMS writes the second at which it makes a profile
def _profile(name: str) -> bytes:
    def number(value: float) -> bytes:
        return struct.pack(">i", round(value * 65536))

    def xyz(values: tuple[float, ...]) -> bytes:
        return b"XYZ \0\0\0\0" + b"".join(map(number, values))

    def power(value: float) -> bytes:
        return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(value * 256))

    if name == "srgb":
        return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    tags = {b"desc": b"desc\0\0\0\0" + struct.pack(">I", 2) + b"t\0" + bytes(78), b"wtpt": xyz((0.9642, 1, 0.8249))}
    if name == "linear":
        space, pcs = b"GRAY", b"XYZ "
        tags[b"kTRC"] = power(1)
    elif name == "ink":  # 2 x 2 x 2 x 2 inks to Lab: L* 100 without black and 0 with it, whatever the others are
        space, pcs = b"CMYK", b"Lab "
        table = b"".join(bytes([0 if black else 255, 128, 128]) for _ in range(8) for black in (0, 1))
        curves = bytes(range(256))
        unity = b"".join(number(float(row == column)) for row in range(3) for column in range(3))
        lut = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + unity + curves * 4 + table + curves * 3
        tags[b"A2B0"] = lut
    else:
        space, pcs = b"RGB ", b"XYZ "
        red, green, blue, gamma = _PRIMARIES[name]
        tags |= {b"rXYZ": xyz(red), b"gXYZ": xyz(green), b"bXYZ": xyz(blue)}
        tags |= {tag: power(gamma) for tag in (b"rTRC", b"gTRC", b"bTRC")}
    table, body = struct.pack(">I", len(tags)), b""
    for tag, data in tags.items():
        padded = data + bytes(-len(data) % 4)
        table += tag + struct.pack(">II", 128 + 4 + 12 * len(tags) + len(body), len(padded))
        body += padded
    kind = b"prtr" if name == "ink" else b"mntr"
    head = struct.pack(">I", 128 + len(table) + len(body)) + b"test" + bytes.fromhex("02100000") + kind + space + pcs
    head += bytes(12) + b"acsp" + bytes(28) + number(0.9642) + number(1) + number(0.8249)
    return head.ljust(128, b"\0") + table + body
