"""A folder as a ZIP file to download, and a picture as a thumbnail."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from PIL import Image

from pellucid import files
from pellucid.errors import StorageError
from pellucid.pictures.decode import decode, read

LARGEST = 1_000_000_000  # bytes of a download, which is made in memory
SIDE = 128  # pixels of a thumbnail, on a screen that shows half of it


def packed(folder: Path, name: str) -> bytes:
    """All visible files below `folder` as a ZIP file, in a folder `name`. They are stored as they are.

    Raises StorageError if they are too many for a download, or cannot be read.
    """
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and not _hidden(path, folder)]
    with files.storage_errors(folder):
        size = sum(path.stat().st_size for path in paths)
        if size > LARGEST:
            raise StorageError(f"{folder} holds {size / 1e9:,.1f} GB, too much for a download. Copy the folder itself.")
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED, strict_timestamps=False) as archive:
            for path in paths:
                archive.write(path, f"{name}/{path.relative_to(folder).as_posix()}")
    return buffer.getvalue()


def thumbnail(path: Path) -> bytes:
    """The middle square of a picture as a JPEG file of at most SIDE x SIDE pixels. Raises PictureError."""
    image = Image.fromarray(decode(read(path)))
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = image.crop((left, top, left + side, top + side))
    square.thumbnail((SIDE, SIDE))
    buffer = io.BytesIO()
    square.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def _hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)
