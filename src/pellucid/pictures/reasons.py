"""Why a picture cannot be used: a short phrase, the same for every file with the same fault."""

from __future__ import annotations

import errno
import re

from PIL import Image, UnidentifiedImageError

from pellucid.pictures import formats
from pellucid.pictures.header import TRUNCATED

_SIGNATURES = {
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"GIF8": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
}


def open_reason(error: OSError) -> str:
    match error:
        case FileNotFoundError():
            return "not found"
        case PermissionError():
            return "no permission"
    if error.errno == errno.ENXIO:  # a socket
        return "not a regular file"
    return f"cannot be read: {error.strerror or error}"


def decode_reason(error: Exception, data: bytes, pixel_limit: int) -> str:
    printable = "".join(letter if letter.isprintable() else " " for letter in str(error)[:200])
    text = " ".join(printable.split())[:120] or type(error).__name__
    kind = _kind(data)
    if isinstance(error, Image.DecompressionBombError):
        pixels = re.search(r"\((\d+) pixels\)", text)
        megapixels = f"{int(pixels[1]) / 1e6:.6g} megapixels" if pixels else "more pixels than can be counted"
        return f"{megapixels}, over the limit of {pixel_limit / 1e6:.6g}"
    if isinstance(error, MemoryError):
        return "needs more memory than is available"
    if kind == "JPEG" and (unsupported := formats.unsupported_jpeg(data)) is not None:
        return unsupported
    if isinstance(error, UnidentifiedImageError):
        if kind == "TIFF" and (unsupported := formats.unsupported_tiff(data)) is not None:
            return unsupported
        return f"damaged {kind}: its header cannot be read" if kind else "not a picture"
    if isinstance(error, EOFError) or "truncated" in text.lower():
        return TRUNCATED
    if "MAX_TEXT" in text:
        return "damaged PNG: text in it that unpacks to more than Pillow allows (a bomb)"
    return f"damaged {kind or 'picture'}: {text}"


def _kind(data: bytes) -> str | None:
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WebP"
    if formats.is_heic(data):
        return "HEIC"
    return next((name for signature, name in _SIGNATURES.items() if data.startswith(signature)), None)
