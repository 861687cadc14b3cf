"""TIFF of any depth, number of channels and kind of number -> its samples.

Pillow knows a list of combinations. But TIFF stores rows of samples, and a row of 100 samples of 4 bytes is a row of
400 samples of 1 byte: Pillow is shown the file with another directory, as grey of 8 bits and so many times as wide.
It undoes the compression; what the bytes mean is worked out here. Section and tag numbers are those of TIFF 6.0.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from pellucid.errors import PictureError
from pellucid.pictures.header import TRUNCATED, check_size
from pellucid.pictures.ranges import Range
from pellucid.pictures.samples import Colours, Samples

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER, OFFSETS, ORIENTATION = 256, 257, 258, 259, 262, 266, 273, 274
CHANNELS, ROWS, COUNTS, MINIMUM, MAXIMUM, PLANAR, PREDICTOR = 277, 278, 279, 280, 281, 284, 317
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS, EXTRA, FORMAT, SMALLEST, LARGEST = (
    322,
    323,
    324,
    325,
    338,
    339,
    340,
    341,
)
PROFILE, NODATA = 34675, 42113
# type of a tag's values -> struct's letter; ASCII and undefined stay bytes
_TYPES = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d", 13: "I", 16: "Q", 17: "q", 18: "Q"}
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
# none, LZW, Deflate (two numbers), PackBits, LZMA, Zstandard: those that keep bytes as they are
_COMPRESSIONS = {1, 5, 8, 32946, 32773, 34925, 50000}
_COLOURS: dict[int, tuple[Colours, int]] = {
    0: ("grey", 1),
    1: ("grey", 1),
    2: ("rgb", 3),
    5: ("cmyk", 4),
    8: ("lab", 3),
}
_ASSOCIATED, _UNASSOCIATED = 1, 2  # alpha, in ExtraSamples
_MOST = 8  # bytes a pixel of the limit, of what is held unpacked
_ENTRIES = 4096  # in a directory; a page has about twenty


def directory(data: bytes) -> dict[int, Any] | None:
    """The first page's tags: bytes, or a tuple of numbers. None where this is no TIFF or its directory is damaged."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or len(data) < 16:
        return None
    try:
        (version,) = struct.unpack_from(order + "H", data, 2)
        if version not in (42, 43):
            return None
        big = version == 43
        (place,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
        (count,) = struct.unpack_from(order + ("Q" if big else "H"), data, place)
        place += 8 if big else 2
        tags = {}
        for entry in range(min(count, _ENTRIES)):
            tag, kind, number = struct.unpack_from(
                order + ("HHQ" if big else "HHI"), data, place + entry * (20 if big else 12)
            )
            value = place + entry * (20 if big else 12) + (12 if big else 8)
            if (length := _SIZES.get(kind, 0) * number) > (8 if big else 4):
                (value,) = struct.unpack_from(order + ("Q" if big else "I"), data, value)
            if not length or value + length > len(data):
                continue
            tags[tag] = (
                data[value : value + length]
                if kind not in _TYPES
                else struct.unpack_from(f"{order}{number}{_TYPES[kind]}", data, value)
            )
    except struct.error:
        return None
    return tags


@dataclass(frozen=True)
class _Layout:
    """How the samples lie in the file; sizes in pixels and bits."""

    width: int
    height: int
    channels: int
    bits: int
    dtype: np.dtype[Any]
    planar: bool  # each channel by itself
    across: int  # pixels after which rows are cut: a tile's width, or the picture's
    predictor: int

    @property
    def together(self) -> int:
        """Channels that lie beside each other in a pixel."""
        return 1 if self.planar else self.channels

    @property
    def row(self) -> int:
        """Bytes of a row of a strip or tile."""
        return -(-self.across * self.together * self.bits // 8)


def samples(data: bytes, pixel_limit: int) -> Samples | None:
    """The first page's samples; None for what is not TIFF, or what Pillow's own way is meant for: JPEG inside,
    palettes, YCbCr, 1 to 8 bits packed.

    Raises PictureError over the limit, and what Pillow raises for damaged data.
    """
    tags = directory(data)
    if tags is None or (layout := _layout(data, tags)) is None:
        return None
    check_size(layout.width, layout.height, pixel_limit)
    if layout.width * layout.height * max(1, layout.channels * layout.bits // 8) > pixel_limit * _MOST:
        size = f"{layout.width} x {layout.height} pixels of {layout.channels} x {layout.bits} bits"
        raise PictureError(f"{size}, over the limit of {pixel_limit * _MOST / 1e6:.6g} MB unpacked")
    planes = [_plane(data, tags, layout, plane) for plane in range(layout.channels if layout.planar else 1)]
    values = planes[0] if len(planes) == 1 else np.concatenate(planes, axis=2)
    return _described(values, tags, layout)


def is_deep(tags: dict[int, Any]) -> bool:
    """Whether Pillow would lose something: more than 8 bits a sample, signed ones, grey multiplied with its alpha."""
    bits, formats = tags.get(BITS, (1,)), tags.get(FORMAT, (1,))
    multiplied = tags.get(CHANNELS) == (2,) and tags.get(EXTRA) == (_ASSOCIATED,)
    return isinstance(bits, tuple) and isinstance(formats, tuple) and (max(bits) > 8 or 2 in formats or multiplied)


def _layout(data: bytes, tags: dict[int, Any]) -> _Layout | None:
    try:
        width, height, channels = (
            int(tags.get(tag, (default,))[0]) for tag, default in ((WIDTH, 0), (HEIGHT, 0), (CHANNELS, 1))
        )
        bits, formats = set(tags.get(BITS, (1,))), set(tags.get(FORMAT, (1,)))
        compression, photometric = int(tags.get(COMPRESSION, (1,))[0]), int(tags.get(PHOTOMETRIC, (1,))[0])
        predictor = int(tags.get(PREDICTOR, (1,))[0])
    except (TypeError, IndexError):
        return None
    usual = len(bits) == len(formats) == 1 and compression in _COMPRESSIONS and photometric in _COLOURS
    if not usual or width < 1 or height < 1 or not 1 <= channels <= 1024 or predictor not in (1, 2, 3):
        return None
    depth, number = int(bits.pop()), {1: "u", 2: "i", 3: "f", 4: "u"}.get(int(formats.pop()))
    order = "<" if data[:2] == b"II" else ">"
    packed = 9 <= depth <= 15 and number == "u" and predictor == 1
    if number is None or not (packed or depth in (8, 16, 32, 64)) or (number == "f" and depth == 8):
        return None
    kind = np.dtype(f"{order}u2" if packed else f"{order}{number}{depth // 8}")
    if channels < _COLOURS[photometric][1] or (predictor != 1 and (predictor == 3) != (number == "f")):
        return None
    planar = int(tags.get(PLANAR, (1,))[0]) == 2 and channels > 1
    across = int(tags[TILE_WIDTH][0]) if TILE_WIDTH in tags else width
    return _Layout(width, height, channels, depth, kind, planar, across, predictor) if across > 0 else None


def _plane(data: bytes, tags: dict[int, Any], layout: _Layout, plane: int) -> NDArray[np.generic]:
    """One plane's samples, (H, W, channels that lie together), in native byte order."""
    across = -(-layout.width // layout.across)  # tiles beside each other
    row = layout.row
    entries = {
        WIDTH: (row * across,),
        HEIGHT: (layout.height,),
        BITS: (8,),
        COMPRESSION: tags.get(COMPRESSION, (1,)),
        PHOTOMETRIC: (1,),
        CHANNELS: (1,),
    }
    tiled = TILE_WIDTH in tags
    for offsets, counts in [(TILE_OFFSETS, TILE_COUNTS) if tiled else (OFFSETS, COUNTS)]:
        planes = layout.channels if layout.planar else 1
        each = len(tags[offsets]) // planes
        here = slice(plane * each, (plane + 1) * each)
        entries |= {offsets: tags[offsets][here], counts: tags[counts][here]}
    if tiled:
        entries |= {TILE_WIDTH: (row,), TILE_HEIGHT: tags[TILE_HEIGHT]}
    else:
        entries |= {ROWS: (min(int(tags.get(ROWS, (layout.height,))[0]), layout.height),)}
    if FILL_ORDER in tags:
        entries |= {FILL_ORDER: tags[FILL_ORDER]}
    _check_length(data, entries, row * across)
    unpacked = _unpacked(_redirected(data, entries))
    tiles = unpacked.reshape(layout.height, across, row)
    values = _numbers(tiles, layout).reshape(layout.height, -1, layout.together)
    return np.ascontiguousarray(values[:, : layout.width])


def _check_length(data: bytes, entries: dict[int, tuple[int, ...]], row: int) -> None:
    """Raise PictureError where pixels lie behind the end: another directory stands there, and would be read as such."""
    tiled = TILE_WIDTH in entries
    offsets, counts = (entries[tag] for tag in ((TILE_OFFSETS, TILE_COUNTS) if tiled else (OFFSETS, COUNTS)))
    if entries[COMPRESSION] == (1,):
        height, rows = entries[HEIGHT][0], entries[TILE_HEIGHT if tiled else ROWS][0]
        whole = rows * (entries[TILE_WIDTH][0] if tiled else row)
        counts = [whole] * len(offsets)
        if not tiled and rows and height % rows:
            counts[-1] = height % rows * row
    if any(offset + count > len(data) for offset, count in zip(offsets, counts, strict=True)):
        raise PictureError(TRUNCATED)


def _unpacked(data: bytes) -> NDArray[np.uint8]:
    """The bytes of a TIFF of one channel of 8 bits, (H, W), whose size has been checked."""
    from PIL import TiffImagePlugin  # half of what a TIFF costs in a cold command

    class Bytes(TiffImagePlugin.TiffImageFile):
        def load_prepare(self) -> None:
            # without Pillow's guard against bombs, which takes every byte for a pixel
            self.im = Image.core.new(self.mode, self.size)
            ImageFile.ImageFile.load_prepare(self)

    with Bytes(io.BytesIO(data)) as image:
        image.load()
        return np.asarray(image)


def _numbers(tiles: NDArray[np.uint8], layout: _Layout) -> NDArray[np.generic]:
    """Bytes (H, tiles, bytes) -> numbers (H, tiles, samples), with the predictor undone (14; TIFF technical note 3)."""
    height, across, _ = tiles.shape
    together, size = layout.together, layout.dtype.itemsize
    if layout.bits % 8:
        bits = np.unpackbits(tiles, axis=2)[:, :, : layout.across * together * layout.bits]
        weights = 1 << np.arange(layout.bits - 1, -1, -1, dtype=np.uint16)
        return bits.reshape(height, across, -1, layout.bits) @ weights
    if layout.predictor == 3:
        deltas = tiles.reshape(height, across, -1, together)
        whole = np.cumsum(deltas, axis=2, dtype=np.uint8).reshape(height, across, size, -1)
        big = np.ascontiguousarray(whole.swapaxes(2, 3)).view(layout.dtype.newbyteorder(">"))
        return big.reshape(height, across, -1).astype(layout.dtype.newbyteorder("="))
    numbers = np.ascontiguousarray(tiles).view(layout.dtype).astype(layout.dtype.newbyteorder("="))
    if layout.predictor == 2:
        deltas = numbers.reshape(height, across, -1, together)
        return np.cumsum(deltas, axis=2, dtype=numbers.dtype).reshape(height, across, -1)
    return numbers


def _redirected(data: bytes, entries: dict[int, tuple[int, ...]]) -> bytes:
    """The same file with this directory behind it, to which its header points; all values as 32 bits."""
    order = "<" if data[:2] == b"II" else ">"
    start = len(data) + len(data) % 2
    behind = start + 2 + 12 * len(entries) + 4
    body, values = struct.pack(order + "H", len(entries)), b""
    for tag, numbers in sorted(entries.items()):
        packed = struct.pack(f"{order}{len(numbers)}I", *numbers)
        place = packed if len(numbers) == 1 else struct.pack(order + "I", behind + len(values))
        body += struct.pack(order + "HHI", tag, 4, len(numbers)) + place
        values += b"" if len(numbers) == 1 else packed
    header = data[:2] + struct.pack(order + "HI", 42, start)
    return b"".join((header, memoryview(data)[8:], bytes(len(data) % 2), body, bytes(4), values))


def _described(values: NDArray[np.generic], tags: dict[int, Any], layout: _Layout) -> Samples:
    photometric, extra = int(tags.get(PHOTOMETRIC, (1,))[0]), tags.get(EXTRA, ())
    colours, count = _COLOURS[photometric]
    if colours == "grey" and layout.channels >= 3:
        colours, count = "rgb", 3  # bands, the first three of them to be seen
        extra = ()
    meaning = int(extra[0]) if len(extra) else (_UNASSOCIATED if layout.channels == count + 1 and not extra else 0)
    if EXTRA not in tags and colours != "rgb":
        meaning = 0
    alpha = None
    if layout.channels > count and meaning in (_ASSOCIATED, _UNASSOCIATED):
        full = np.float32(1) if values.dtype.kind == "f" else np.float32(np.iinfo(values.dtype).max)
        alpha = np.clip(values[:, :, count].astype(np.float32) / full, 0, 1)
    values = values[:, :, :count]
    if layout.bits % 8:
        declared: Range | None = (0.0, float(2**layout.bits - 1))
    else:
        declared = _declared(values, tags)
    orientation = tags.get(ORIENTATION, (1,))[0]
    return Samples(
        values,
        colours,
        alpha,
        premultiplied=meaning == _ASSOCIATED,
        white_is_zero=photometric == 0,
        declared=declared,
        nodata=_nodata(tags),
        profile=tags.get(PROFILE) if isinstance(tags.get(PROFILE), bytes) else None,
        orientation=int(orientation) if 1 <= orientation <= 8 else 1,
    )


def _declared(values: NDArray[np.generic], tags: dict[int, Any]) -> Range | None:
    """What the tags state as the range; None where they state no more than what values happen to be in the file."""
    for low, high in ((SMALLEST, LARGEST), (MINIMUM, MAXIMUM)):
        if high not in tags:
            continue
        try:
            black, white = float(min(tags.get(low, (0,)))), float(max(tags[high]))
        except (TypeError, ValueError):
            continue
        if black < white and (black, white) != (float(values.min()), float(values.max())):
            return black, white
    return None


def _nodata(tags: dict[int, Any]) -> float | None:
    """GDAL's tag, a number as text."""
    text = tags.get(NODATA)
    try:
        return float(text.rstrip(b"\0 ")) if isinstance(text, bytes) else None
    except ValueError:
        return None
