"""The weights in the cache, as safetensors: list and clear them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pellucid import files

FOLDER = "weights"  # in the cache


@dataclass(frozen=True)
class WeightsInfo:
    """A file of weights; `used` is its modification time, seconds since 1970."""

    path: Path
    bytes: int
    used: float


def weights(cache: Path) -> list[WeightsInfo]:
    """The files of weights in `cache`, by name."""
    entries = ((path, path.stat()) for path in _paths(cache) if not files.is_part(path))
    return [WeightsInfo(path, status.st_size, status.st_mtime) for path, status in entries]


def clear(cache: Path) -> int:
    """Remove them, and the remains of killed runs. Returns the bytes freed. Raises StorageError."""
    freed = 0
    with files.storage_errors(cache / FOLDER):
        for path in _paths(cache):
            freed += path.stat().st_size
            path.unlink()
        with suppress(OSError):  # not empty: it holds files of somebody else
            (cache / FOLDER).rmdir()
    return freed


def _paths(cache: Path) -> Iterator[Path]:
    folder = cache / FOLDER
    there = sorted(folder.iterdir()) if folder.is_dir() else []
    return (path for path in there if path.suffix == ".safetensors" or files.is_part(path))
