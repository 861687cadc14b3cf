"""A command's output: a new file or a new folder that never replaces anything of the user's; colours for a PNG."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pellucid import files
from pellucid.errors import RecipeError, StorageError
from pellucid.training.claim import Claim, inside


def check_free(place: Path, flag: str = "--out") -> None:
    """Raises StorageError if no file can be created at `place`, the value of `flag`: it exists, or has no folder."""
    if place.is_dir():
        raise StorageError(f"{place} is a folder; {flag} names the file to write.")
    if place.exists():
        raise StorageError(f"{place} already exists, and nothing of yours is overwritten. Choose another {flag}.")
    if not place.parent.exists():
        raise StorageError(f"{place} could not be written: there is no folder {place.parent}. Create it first.")


def check_drawn(out: Path | None, plot: Path | None, endings: Sequence[str] = (".png",)) -> None:
    """Check --out and --plot before the work. Raises StorageError as `check_free`, and RecipeError.

    `endings`: of a picture's name.
    """
    for place, flag in ((out, "--out"), (plot, "--plot")):
        if place is not None:
            check_free(place, flag)
    if out is not None and plot is not None and out.resolve() == plot.resolve():
        raise RecipeError(f"--out and --plot are both {out}; name two different files.")
    if plot is not None and plot.suffix.lower() not in endings:
        raise RecipeError(f"--plot is {plot}; its name must end in {' or '.join(endings)}.")


def create_json(place: Path, content: Any) -> None:
    """Write a new file. A path's bytes that are no text become escapes. Raises StorageError if something is there."""
    text = json.dumps(content, indent=1, ensure_ascii=False)
    files.create(place, text.encode("utf-8", "backslashreplace"))


@contextmanager
def new_folder(place: Path) -> Iterator[None]:
    """Hold the folder `place` for this process while the body fills it.

    Raises StorageError if it is a file or not empty, ArtefactError if another process writes into it.
    """
    if place.exists() and not place.is_dir():
        raise StorageError(f"{place} is a file, and nothing of yours is overwritten. Choose another --out.")
    claim = Claim(place)
    claim.take()
    try:
        if inside(place):
            raise StorageError(f"{place} is not empty, and nothing of yours is overwritten. Choose another --out.")
        yield
    finally:
        claim.release()


def colour(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(H, W, 1) or (H, W, 3) -> (H, W, 3)."""
    return np.broadcast_to(image, (*image.shape[:2], 3)).copy()
