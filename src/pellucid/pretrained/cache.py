"""The weights in the cache, as safetensors: list and clear them."""

from __future__ import annotations

from pathlib import Path

from pellucid import files

FOLDER = "weights"  # in the cache


class WeightsInfo(files.StoredFile):
    """A file of weights."""


def weights(cache: Path) -> list[WeightsInfo]:
    """The files of weights in `cache`, by name."""
    entries = ((path, path.stat()) for path in files.stored(cache / FOLDER, ".safetensors"))
    return [WeightsInfo(path, status.st_size, status.st_mtime) for path, status in entries]


def clear(cache: Path) -> int:
    """Remove them, and the remains of killed runs. Returns the bytes freed. Raises StorageError."""
    return files.clear(cache / FOLDER, ".safetensors")
