"""A folder as a ZIP file to download, and a picture as a thumbnail."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from pellucid import files
from pellucid.pictures.decode import decode
from pellucid.pictures.reading import read

PIECE = 1 << 20  # bytes of a file that are read at a time
SIDE = 128  # pixels of a thumbnail, on a screen that shows half of it


def packed(folder: Path, name: str) -> Iterator[bytes]:
    """All visible files below `folder` as a ZIP file, in a folder `name`, piece by piece. They are stored as they are.

    Raises StorageError if the folder cannot be read, at once, or later OSError if a file is gone by then.
    """
    with files.storage_errors(folder):
        paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and not _hidden(path, folder)]
    return _pieces({path: f"{name}/{path.relative_to(folder).as_posix()}" for path in paths})


def _pieces(places: Mapping[Path, str]) -> Iterator[bytes]:
    """`places`: files -> their names in the archive."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for path, name in places.items():
            entry = zipfile.ZipInfo.from_file(path, name, strict_timestamps=False)
            with path.open("rb") as source, archive.open(entry, "w") as into:
                while piece := source.read(PIECE):
                    into.write(piece)
                    yield sink.taken()
    yield sink.taken()


class _Sink(io.RawIOBase):
    """What an archive writes until it is taken; it cannot go back."""

    def __init__(self) -> None:
        self._written: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._written.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        taken, self._written = b"".join(self._written), []
        return taken


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
