"""What a training tells before its first step: what there is, how it was split, and how it will be trained."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pellucid.pictures import catalog as catalogs
from pellucid.pictures.store import Decoding
from pellucid.training import targets
from pellucid.training.data import Comparing, Data
from pellucid.training.features import Extracting
from pellucid.training.history import Epoch
from pellucid.training.loop import Step
from pellucid.training.recipe import Recipe


@dataclass(frozen=True)
class Found:
    """What the folder holds and how it was split. Comes once, before the first step."""

    directory: Path
    classes: tuple[str, ...]
    pictures: tuple[int, ...]  # for each class
    quarantine: tuple[catalogs.Quarantined, ...]
    ignored: int
    left_out: tuple[catalogs.Quarantined, ...]
    classes_alike: tuple[tuple[str, ...], ...]
    twin_pictures: int
    twin_pairs: int
    twins_across_classes: tuple[tuple[str, str], ...]
    """Copies in two classes: one of the two labels is probably wrong."""
    train: int
    validation: int
    test: int
    alike_across_classes: dict[str, int] = field(default_factory=dict)
    """Of the other twins in two classes, how many are mirror images, differ in a part, were not looked at closely."""
    lacking: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The classes of which a side, "train", "val" or "test", has no picture."""
    folds: int = 0
    """Of a cross-validation: all pictures count as `train`, and as `test`."""
    swallowed: tuple[tuple[str, int, int], ...] = ()
    """Classes of which most pictures are twins of one another: name, how many, of how many."""
    groups: int = 0
    """Groups of a table, such as patients, each of which stands on one side."""
    repeated: int = 0
    """Rows of a table that list a picture once more."""


@dataclass(frozen=True)
class Started:
    """How it will be trained: the recipe with nothing left open, and a sentence for each choice. Comes once."""

    recipe: Recipe
    reasons: tuple[str, ...]
    parameters: int
    epochs: int
    steps: int
    resumed_at: int | None  # step


Event = Decoding | Comparing | Found | Extracting | Started | Step | Epoch


def found(directory: Path, data: Data) -> Found:
    """What `prepare` gave, in words and numbers."""
    return Found(
        directory,
        data.catalog.classes,
        tuple(targets.counts(data.labels[data.sides >= 0], len(data.catalog.classes))),
        data.quarantine,
        data.catalog.ignored,
        data.catalog.left_out,
        data.catalog.alike,
        data.twin_pictures,
        len(data.twins),
        tuple(data.twins_across_classes),
        *(len(data.rows(side)) for side in ("train", "val", "test")),
        alike_across_classes=data.alike_across_classes,
        lacking=data.lacking,
        swallowed=tuple((data.catalog.classes[each.label], each.alike, each.pictures) for each in data.swallowed),
        groups=data.named_groups,
        repeated=data.catalog.repeated,
    )


def choice(data: Data, recipe: Recipe) -> tuple[str, ...]:
    """Why no epoch is chosen, where validation was asked for and could not choose a sound one."""
    if len(data.choosing) or not (len(data.rows("val")) or recipe.validation):
        return ()
    stays = "weights of the last epoch" if recipe.pretrained is None else "the head alone"
    if not len(data.rows("val")):
        few = "the pictures are too few, or too much alike, to leave a validation"
        return (f"{stays}, and temperature 1: {few}",)
    first, *more = data.lacking["val"]
    lacks = f"{first} and {len(more):,} more of the classes" if more else f"class {first}"
    return (f"{stays}, and temperature 1: validation has no picture of {lacks}, and chooses nothing",)
