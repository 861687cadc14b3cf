"""The tags of a TIFF's first page, and the numbers of those used here (TIFF 6.0, section 8 and appendix A)."""

from __future__ import annotations

import struct
from typing import Any

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER, OFFSETS, ORIENTATION = 256, 257, 258, 259, 262, 266, 273, 274
CHANNELS, ROWS, COUNTS, MINIMUM, MAXIMUM, PLANAR, PREDICTOR = 277, 278, 279, 280, 281, 284, 317
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS = 322, 323, 324, 325
EXTRA, FORMAT, SMALLEST, LARGEST, PROFILE, NODATA = 338, 339, 340, 341, 34675, 42113  # the last one is GDAL's
SUBFILE, MAKER, SUBDIRECTORIES, DNG_VERSION = 254, 271, 330, 50706
# type of a tag's values -> struct's letter; ASCII and undefined stay bytes
_TYPES = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 11: "f", 12: "d", 13: "I", 16: "Q", 17: "q", 18: "Q"}
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_ENTRIES = 4096  # most in a directory; a page has about twenty


def directory(data: bytes) -> dict[int, Any] | None:
    """The first page's tags: bytes, or a tuple of numbers. None if this is not TIFF or its directory is damaged."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or len(data) < 16:
        return None
    tags: dict[int, Any] = {}
    try:
        (version,) = struct.unpack_from(order + "H", data, 2)
        if version not in (42, 43):
            return None
        big = version == 43  # BigTIFF: 64-bit places and numbers
        place_form, count_form, entry_form = ("Q", "Q", "HHQ") if big else ("I", "H", "HHI")
        inside, entry_size = (8, 20) if big else (4, 12)
        (place,) = struct.unpack_from(order + place_form, data, inside)
        (count,) = struct.unpack_from(order + count_form, data, place)
        first = place + struct.calcsize(count_form)
        for entry in range(first, first + min(count, _ENTRIES) * entry_size, entry_size):
            tag, kind, number = struct.unpack_from(order + entry_form, data, entry)
            value, length = entry + entry_size - inside, _SIZES.get(kind, 0) * number
            if length > inside:
                (value,) = struct.unpack_from(order + place_form, data, value)
            if not length or value + length > len(data):
                continue
            if kind in _TYPES:
                tags[tag] = struct.unpack_from(f"{order}{number}{_TYPES[kind]}", data, value)
            else:
                tags[tag] = data[value : value + length]
    except struct.error:
        return None
    return tags
