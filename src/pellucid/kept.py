"""Which pictures a model was made from, as its split.csv remembers them: those it learned from, those kept from it."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pellucid import files
from pellucid.classifier import store as artefact
from pellucid.errors import ArtefactError, PellucidError

SIDES = {"test": "test", "val": "validation"}
"""That a model is evaluated on, the first of them that there is: as split.csv writes it, and as people do."""


class Kept(NamedTuple):
    """A picture that a model kept for its reported figure, and why it cannot be used any more; None where it can."""

    path: Path
    label: str
    reason: str | None


def evaluated_on(model: str | Path) -> tuple[str, Iterator[Kept]]:
    """("test" or "validation", its pictures, each looked at when it is asked for). Raises ArtefactError."""
    side, root, rows = _side(Path(model))
    return SIDES[side], (Kept(root / row["path"], row["class"], _changed(root / row["path"], row)) for row in rows)


def remembers(model: str | Path) -> bool:
    """Whether a picture that a model kept for its reported figure is still there; not whether it is unchanged."""
    try:
        _, root, rows = _side(Path(model))
    except (PellucidError, OSError):
        return False
    return any((root / row["path"]).exists() for row in rows)


def remembered(model: str | Path) -> Iterator[tuple[Path, str]]:
    """(path, class) of the pictures that a model kept for its reported figure and that are still the same.

    Raises ArtefactError, at once.
    """
    _, kept = evaluated_on(model)
    return ((path, label) for path, label, reason in kept if reason is None)


def trained_on(model: str | Path) -> list[str]:
    """The pictures that a model learned from, as far as they are still there. Raises ArtefactError."""
    root, rows = _split(Path(model), f"The pictures that {model} was trained on", "name others")
    paths = [root / row["path"] for row in rows if row["side"] == "train"]
    return [str(path) for path in paths if path.exists()]


def _side(model: Path) -> tuple[str, Path, list[dict[str, str]]]:
    """(side, folder, rows of split.csv) of the pictures that a model keeps for evaluation, there or not."""
    root, rows = _split(model, f"The pictures that {model} remembers", "give a folder")
    side = next((side for side in SIDES if any(row["side"] == side for row in rows)), None)
    if side is None:
        raise ArtefactError(f"{model} was trained on all its pictures; give a folder of others to evaluate on.")
    return side, root, [row for row in rows if row["side"] == side]


def _split(model: Path, what: str, instead: str) -> tuple[Path, list[dict[str, str]]]:
    """(the folder, all rows of split.csv). Errors say what is gone and what to do instead."""
    config = artefact.read_config(model)
    artefact.check_file(model, artefact.SPLIT, config)
    try:
        root = Path(config["data"]["root"])
    except (KeyError, TypeError) as error:
        raise ArtefactError(f"{model} does not say where its pictures are; {instead}.") from error
    if not root.is_dir():
        raise ArtefactError(f"{what} are gone: {root} does not exist. {instead.capitalize()}.")
    with (model / artefact.SPLIT).open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        return root, list(csv.DictReader(file))


def _changed(path: Path, row: dict[str, str]) -> str | None:
    try:
        return None if files.sha256(path) == row["sha256"] else "changed since the training"
    except OSError as error:
        gone = isinstance(error, FileNotFoundError | NotADirectoryError)
        return "no longer there" if gone else f"cannot be read: {error.strerror}"
