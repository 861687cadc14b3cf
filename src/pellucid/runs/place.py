"""The place that a training writes to: whether a folder can be used, and what it holds to continue from."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from pellucid import files
from pellucid.classifier import store as artefact
from pellucid.errors import ArtefactError
from pellucid.pictures.places import TABLES, is_address, name_of
from pellucid.training import checkpoint, folds
from pellucid.training.claim import inside
from pellucid.training.folds import FoldPosition

if TYPE_CHECKING:
    from pellucid.pictures.places import Place

CHECKPOINTS = "checkpoint"  # folder


def find_place(out: Path, resume: bool, part: FoldPosition | None) -> checkpoint.Checkpoint | None:
    """Check that `out` can be used; returns the checkpoint to continue from, if there is one.

    Raises ArtefactError, and StorageError if the folder may not be read.
    """
    with files.storage_errors(out):
        if out.exists() and not out.is_dir():
            raise ArtefactError(f"{out} is a file; choose another --out.")
        if resume and (saved := checkpoint.newest(out / CHECKPOINTS)) is not None:
            return saved
        if not out.is_dir() or _untouched(out, folds.FOLDER if resume and part and folds.begun(out) else None):
            return None
    if resume and (out / artefact.CONFIG).exists():
        if artefact.read_config(out).get("training", {}).get("complete"):
            raise ArtefactError(f"The training in {out} is complete; there is nothing to resume.")
        raise ArtefactError(f"{out} has no checkpoint to resume from. Train again with another --out.")
    if resume:
        raise ArtefactError(f"{out} holds other files and no training to resume. Check --out.")
    raise ArtefactError(
        f"{out} is not empty, and nothing of yours is overwritten. Choose another --out"
        + (", or continue with --resume." if (out / CHECKPOINTS).is_dir() or folds.begun(out) else ".")
    )


def is_complete(out: Path) -> bool:
    """Whether `out` holds the model of a complete training."""
    try:
        return bool(artefact.read_config(out).get("training", {}).get("complete"))
    except ArtefactError:
        return False


def _untouched(out: Path, but: str | None) -> bool:
    """Whether a folder is empty except for `but` and the remains of a run killed before its first checkpoint."""
    checkpoints = out / CHECKPOINTS
    begun = list(checkpoints.iterdir()) if checkpoints.is_dir() else []
    rest = [path for path in inside(out) if path != checkpoints and path.name != but]
    return all(map(files.is_part, [*rest, *begun]))


def free_place(directory: Place) -> Path:
    """A free folder name for the model: photos-model, photos-model-2, …; table-model for table.csv."""
    name = name_of(directory)
    if is_address(directory):
        name = files.safe(PurePath(name).stem if name.lower().endswith(TABLES) else name)
    elif directory.is_file():
        name = directory.resolve().stem
    name = f"{name or 'pictures'}-model"
    names = (Path(name if number == 1 else f"{name}-{number}") for number in range(1, 10_000))
    return next(path for path in names if not path.exists())
