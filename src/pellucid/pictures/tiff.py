"""TIFF of any depth, number of channels and kind of number -> its samples.

Pillow knows only a list of combinations. But TIFF stores rows of samples, and a row of 100 samples of 4 bytes is a row
of 400 samples of 1 byte. So Pillow gets the file with another directory: 8-bit grey, that many times as wide. Pillow
undoes the compression; this module interprets the bytes. Section and tag numbers are those of TIFF 6.0.
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
from pellucid.pictures import tiff_tags as tag
from pellucid.pictures.header import TRUNCATED, check_size
from pellucid.pictures.ranges import Range
from pellucid.pictures.samples import Colours, Samples

# none, LZW, Deflate (two numbers), PackBits, LZMA, Zstandard: the lossless ones
_COMPRESSIONS = {1, 5, 8, 32946, 32773, 34925, 50000}
_COLOURS: dict[int, tuple[Colours, int]] = {
    0: ("grey", 1),
    1: ("grey", 1),
    2: ("rgb", 3),
    5: ("cmyk", 4),
    8: ("lab", 3),
}
_PLACES = {False: (tag.OFFSETS, tag.COUNTS), True: (tag.TILE_OFFSETS, tag.TILE_COUNTS)}  # of strips, of tiles
_CHANNELS = 1024  # at most; hyperspectral pictures have some hundred
_ASSOCIATED, _UNASSOCIATED = 1, 2  # alpha, in ExtraSamples
_MOST = 8  # bytes held unpacked, at most, per pixel of the limit


@dataclass(frozen=True)
class _Layout:
    """The layout of the samples in the file; sizes in pixels and bits."""

    width: int
    height: int
    channels: int
    bits: int
    dtype: np.dtype[Any]
    planar: bool  # each channel is stored separately
    tiled: bool
    across: int  # pixels per row of a strip or tile: a tile's width, or the picture's
    predictor: int

    @property
    def together(self) -> int:
        """Channels stored together in a pixel."""
        return 1 if self.planar else self.channels

    @property
    def tiles(self) -> int:
        """Tiles beside each other; 1 for a file in strips."""
        return -(-self.width // self.across)

    @property
    def row(self) -> int:
        """Bytes of a row of a strip or tile."""
        return -(-self.across * self.together * self.bits // 8)


def samples(data: bytes, pixel_limit: int) -> Samples | None:
    """The first page's samples; None for other files and for TIFFs that Pillow handles itself.

    Those have JPEG inside, a palette, YCbCr, or 1 to 8 bits packed. Raises PictureError over the limit, and Pillow's
    exceptions for damaged data.
    """
    tags = tag.directory(data)
    if tags is None or (layout := _layout(data, tags)) is None:
        return None
    check_size(layout.width, layout.height, pixel_limit)
    count = layout.channels if layout.planar else 1
    unpacked = layout.height * layout.row * layout.tiles * count  # tiles may be wider than the picture
    if unpacked > max(pixel_limit, 1 << 20) * _MOST:
        size = f"{layout.width} x {layout.height} pixels of {layout.channels} x {layout.bits} bits"
        raise PictureError(
            f"{size} = {unpacked / 1e6:.6g} MB unpacked, over the limit of {pixel_limit * _MOST / 1e6:.6g}"
        )
    planes = [_plane(data, tags, layout, plane) for plane in range(count)]
    values = planes[0] if len(planes) == 1 else np.concatenate(planes, axis=2)
    return _described(values, tags, layout)


def is_deep(tags: dict[int, Any]) -> bool:
    """Whether Pillow would lose something: more than 8 bits a sample, signed samples, grey multiplied by its alpha."""
    bits, formats = tags.get(tag.BITS, (1,)), tags.get(tag.FORMAT, (1,))
    multiplied = tags.get(tag.CHANNELS) == (2,) and tags.get(tag.EXTRA) == (_ASSOCIATED,)
    return isinstance(bits, tuple) and isinstance(formats, tuple) and (max(bits) > 8 or 2 in formats or multiplied)


def _layout(data: bytes, tags: dict[int, Any]) -> _Layout | None:
    def first(number: int, default: int) -> int:
        return int(tags.get(number, (default,))[0])

    try:
        width, height, channels = first(tag.WIDTH, 0), first(tag.HEIGHT, 0), first(tag.CHANNELS, 1)
        bits, formats = set(tags.get(tag.BITS, (1,))), set(tags.get(tag.FORMAT, (1,)))
        compression, photometric = first(tag.COMPRESSION, 1), first(tag.PHOTOMETRIC, 1)
        predictor, tiled = first(tag.PREDICTOR, 1), tag.TILE_WIDTH in tags
        planar, across = first(tag.PLANAR, 1) == 2 and channels > 1, first(tag.TILE_WIDTH, width)
        offsets, counts = (tags[number] for number in _PLACES[tiled])
    except (TypeError, IndexError, KeyError):
        return None
    usual = len(bits) == len(formats) == 1 and compression in _COMPRESSIONS and photometric in _COLOURS
    if not usual or width < 1 or height < 1 or across < 1 or len(offsets) != len(counts):
        return None
    depth, number = int(bits.pop()), {1: "u", 2: "i", 3: "f", 4: "u"}.get(int(formats.pop()))
    packed = 9 <= depth <= 15 and number == "u" and predictor == 1
    if number is None or not (packed or depth in (8, 16, 32, 64)) or (number == "f" and depth == 8):
        return None
    if not _COLOURS[photometric][1] <= channels <= _CHANNELS:
        return None
    if predictor not in (1, 3 if number == "f" else 2) or (photometric == 8 and (number == "f" or depth > 16)):
        return None
    order = "<" if data[:2] == b"II" else ">"
    kind = np.dtype(f"{order}u2" if packed else f"{order}{number}{depth // 8}")
    return _Layout(width, height, channels, depth, kind, planar, tiled, across, predictor)


def _plane(data: bytes, tags: dict[int, Any], layout: _Layout, plane: int) -> NDArray[Any]:
    """One plane's samples, (H, W, channels stored together), in native byte order."""
    offsets, counts = _PLACES[layout.tiled]
    each = len(tags[offsets]) // (layout.channels if layout.planar else 1)
    here = slice(plane * each, (plane + 1) * each)
    entries = {
        tag.WIDTH: (layout.row * layout.tiles,),
        tag.HEIGHT: (layout.height,),
        tag.BITS: (8,),
        tag.COMPRESSION: tags.get(tag.COMPRESSION, (1,)),
        tag.PHOTOMETRIC: (1,),
        tag.CHANNELS: (1,),
        offsets: tags[offsets][here],
        counts: tags[counts][here],
    }
    if layout.tiled:
        entries |= {tag.TILE_WIDTH: (layout.row,), tag.TILE_HEIGHT: tags[tag.TILE_HEIGHT]}
    else:
        entries |= {tag.ROWS: (min(int(tags.get(tag.ROWS, (layout.height,))[0]), layout.height),)}
    if tag.FILL_ORDER in tags:
        entries |= {tag.FILL_ORDER: tags[tag.FILL_ORDER]}
    _check_length(data, entries, layout)
    tiles = _unpacked(_redirected(data, entries)).reshape(layout.height, layout.tiles, layout.row)
    values = _numbers(tiles, layout).reshape(layout.height, -1, layout.together)
    return np.ascontiguousarray(values[:, : layout.width])


def _check_length(data: bytes, entries: dict[int, tuple[int, ...]], layout: _Layout) -> None:
    """Raise PictureError if pixels lie beyond the end: the added directory is there, and would be read as pixels."""
    offsets, counts = (entries[number] for number in _PLACES[layout.tiled])
    if entries[tag.COMPRESSION] == (1,):  # uncompressed: the counts may be wrong, and Pillow ignores them
        rows = max(1, entries[tag.TILE_HEIGHT if layout.tiled else tag.ROWS][0])
        last = rows if layout.tiled else (layout.height - 1) % rows + 1
        counts = [layout.row * rows] * (len(offsets) - 1) + [layout.row * last]
    if any(offset + count > len(data) for offset, count in zip(offsets, counts, strict=True)):
        raise PictureError(TRUNCATED)


def _unpacked(data: bytes) -> NDArray[np.uint8]:
    """The bytes of a TIFF with one 8-bit channel, (H, W), whose size has been checked."""
    from PIL import TiffImagePlugin  # takes half of the time of a TIFF in a cold command

    class Bytes(TiffImagePlugin.TiffImageFile):
        def load_prepare(self) -> None:
            # without Pillow's limit against bombs, which counts every byte as a pixel
            self.im = Image.core.new(self.mode, self.size)
            ImageFile.ImageFile.load_prepare(self)

    with Bytes(io.BytesIO(data)) as image:
        image.load()
        return np.asarray(image)


def _numbers(tiles: NDArray[np.uint8], layout: _Layout) -> NDArray[Any]:
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
    """The same file with this directory appended, to which its header points; all values have 32 bits."""
    order = "<" if data[:2] == b"II" else ">"
    start = len(data) + len(data) % 2
    behind = start + 2 + 12 * len(entries) + 4
    body, values = struct.pack(order + "H", len(entries)), b""
    for number, numbers in sorted(entries.items()):
        packed = struct.pack(f"{order}{len(numbers)}I", *numbers)
        place = packed if len(numbers) == 1 else struct.pack(order + "I", behind + len(values))
        body += struct.pack(order + "HHI", number, 4, len(numbers)) + place
        values += b"" if len(numbers) == 1 else packed
    header = data[:2] + struct.pack(order + "HI", 42, start)
    return b"".join((header, memoryview(data)[8:], bytes(len(data) % 2), body, bytes(4), values))


def _described(values: NDArray[Any], tags: dict[int, Any], layout: _Layout) -> Samples:
    photometric = int(tags.get(tag.PHOTOMETRIC, (1,))[0])
    colours, count = _COLOURS[photometric]
    if tag.EXTRA in tags:
        meaning = int(tags[tag.EXTRA][0])
    else:  # many writers of RGB omit it
        meaning = _UNASSOCIATED if colours == "rgb" and layout.channels == 4 else 0
    if colours == "grey" and layout.channels >= 3:  # bands: the first three are shown
        colours, count, meaning = "rgb", 3, 0
    alpha = None
    if layout.channels > count and meaning in (_ASSOCIATED, _UNASSOCIATED):
        full = 1.0 if values.dtype.kind == "f" else float(np.iinfo(values.dtype).max)
        alpha = np.clip(values[:, :, count].astype(np.float32) / np.float32(full), 0, 1)
    values = values[:, :, :count]
    packed: Range | None = (0.0, float(2**layout.bits - 1)) if layout.bits % 8 else None
    profile, turned = tags.get(tag.PROFILE), int(tags.get(tag.ORIENTATION, (1,))[0])
    return Samples(
        values,
        colours,
        alpha,
        premultiplied=meaning == _ASSOCIATED,
        white_is_zero=photometric == 0,
        declared=packed or _declared(values, tags),
        nodata=_nodata(tags),
        profile=profile if isinstance(profile, bytes) else None,
        orientation=turned if 1 <= turned <= 8 else 1,
    )


def _declared(values: NDArray[Any], tags: dict[int, Any]) -> Range | None:
    """The range in the tags; None if it is just the smallest and largest value in the file."""
    for low, high in ((tag.SMALLEST, tag.LARGEST), (tag.MINIMUM, tag.MAXIMUM)):
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
    text = tags.get(tag.NODATA)
    try:
        return float(text.rstrip(b"\0 ")) if isinstance(text, bytes) else None
    except ValueError:
        return None
