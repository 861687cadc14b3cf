"""Names given by a user -> a classifier's classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pellucid.errors import TraceError, did_you_mean
from pellucid.texts import LABELS_BETWEEN, composed, listed


def target(label: str | Sequence[str], classes: Sequence[str], several: bool) -> int | tuple[int, ...]:
    """The target of the loss: a class by number, or all its labels if a picture may have several.

    One text may hold several labels with | between them, as in split.csv. Raises TraceError.
    """
    if several:
        names = label.split(LABELS_BETWEEN) if isinstance(label, str) else label
        return tuple(number(name, classes) for name in names if name)
    labels = [label] if isinstance(label, str) else list(label)
    if len(labels) != 1:
        raise TraceError(f"The labels are {', '.join(labels) or 'none'}; a picture of this model has exactly one.")
    return number(labels[0], classes)


def number(label: str, classes: Sequence[str]) -> int:
    """The number of the class of this name, counted from 0. Raises TraceError with the nearest name."""
    names = [composed(name) for name in classes]
    if composed(label) in names:
        return names.index(composed(label))
    hint = did_you_mean(label, classes, quoted=True)
    raise TraceError(f"{label!r} is not a class of this model.{hint} The classes are {listed(classes, 10)}.")


def of_folder(picture: Path, classes: Sequence[str]) -> int | None:
    """The class of a picture in a labelled folder, CLASS/picture, by number; None if its folder is named otherwise."""
    folder = composed(picture.absolute().parent.name)
    names = [composed(name) for name in classes]
    return names.index(folder) if folder in names else None
