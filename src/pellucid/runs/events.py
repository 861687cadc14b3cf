"""The events of a training: the folder's contents, how it will train, each step, and the evaluation.

Step, Epoch, Extracting and Fitting are in training/, Decoding in pictures/store.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pellucid.pictures import catalog as catalogs
from pellucid.pictures.split import SIDES
from pellucid.pictures.store import Decoding
from pellucid.training import targets
from pellucid.training.data import Comparing, Data
from pellucid.training.features import Extracting
from pellucid.training.folds import Fold
from pellucid.training.head import Fitting
from pellucid.training.history import Epoch
from pellucid.training.loop import Step
from pellucid.training.recipe import Recipe

if TYPE_CHECKING:
    from pellucid.pictures.places import Place


@dataclass(frozen=True)
class DataSummary:
    """The folder's contents and its split. Comes once, before the first step."""

    directory: Place
    classes: tuple[str, ...]
    pictures: tuple[int, ...]  # per class
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
    """The other twins in two classes: how many are mirror images, differ in a part, were not examined."""
    lacking: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """The classes without a picture on a side, "train", "val" or "test"."""
    folds: int = 0
    """In a cross-validation, all pictures count as `train`, and as `test`."""
    swallowed: tuple[tuple[str, int, int], ...] = ()
    """Classes in which most pictures are twins of each other: name, how many, of how many."""
    groups: int = 0
    """Groups of a table, such as patients, each on one side."""
    repeated: int = 0
    """Rows of a table that repeat a picture."""


@dataclass(frozen=True)
class Started:
    """How it will train: the complete recipe, and a sentence for each choice. Comes once."""

    recipe: Recipe
    reasons: tuple[str, ...]
    parameters: int
    epochs: int
    steps: int
    resumed_at: int | None  # step


@dataclass(frozen=True)
class Evaluating:
    """The pictures of a side are being classified."""

    side: str
    done: int
    total: int


@dataclass(frozen=True)
class FoldBegun:
    """A training of the cross-validation begins or continues: pictures to learn from, to choose by, to test on.

    `fold` counts from 1 to `folds`; 0 is the last training, on all pictures, which nothing tests.
    """

    fold: int
    folds: int
    train: int
    validation: int
    test: int
    lacking: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """As in DataSummary."""


@dataclass(frozen=True)
class FoldDone:
    """A fold is tested; also comes once for each fold that was done before a run was resumed."""

    fold: Fold
    folds: int


@dataclass(frozen=True)
class FoldStep(Step):
    """A step of one of the trainings. `seconds_left` is that of all of them, and so are the steps `done` of `total`."""

    fold: int = field(kw_only=True)  # as in FoldBegun
    folds: int = field(kw_only=True)
    done: int = field(kw_only=True)
    total: int = field(kw_only=True)


RunEvent = Decoding | Comparing | DataSummary | Extracting | Fitting | Started | Step | Epoch
"""Of one training."""
Event = RunEvent | FoldBegun | FoldDone
"""Of a training or a cross-validation."""


def summary(directory: Place, data: Data) -> DataSummary:
    """The result of `prepare`, in words and numbers."""
    return DataSummary(
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
        *(len(data.rows(side)) for side in SIDES),
        alike_across_classes=data.alike_across_classes,
        lacking=data.lacking,
        swallowed=tuple((data.catalog.classes[each.label], each.alike, each.pictures) for each in data.swallowed),
        groups=data.named_groups,
        repeated=data.catalog.repeated,
    )
