"""Cross-validation: which part of it a training is, and what its folds say together.

Each picture is tested once, by a training on the other folds that has not seen it. docs/why/folds.md says what the
interval is worth, and measures it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pellucid.errors import ArtefactError, CatalogError, RecipeError
from pellucid.pictures import split as splits
from pellucid.training import evaluate
from pellucid.training.evaluate import Metrics

if TYPE_CHECKING:
    from pellucid.pictures.catalog import Catalog
    from pellucid.pictures.store import Store
    from pellucid.training.data import Data
    from pellucid.training.recipe import Recipe

SIDE = "cross-validated"  # of the metrics
FOLDER, PLAN = "folds", "plan.json"  # in the model folder, until all is done
OTHER = 2**32  # added to a recipe's seed, it is no other recipe's
USUAL, FEW = 5, 500  # folds that are suggested, for so many pictures at most
# Student's t, 97.5 %, for 1 to 19 degrees of freedom
T = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622)
T += (2.2281, 2.2010, 2.1788, 2.1604, 2.1448, 2.1314, 2.1199, 2.1098, 2.1009, 2.0930)


@dataclass(frozen=True)
class Part:
    """Which of the trainings of a cross-validation one is. `place` is the model folder that they all end in.

    `number`: the fold that is tested, from 1 to `count`; 0 for the last training, which learns from all pictures.
    `alike`: for all but the first training, "threads", "fused", "kernels" and "class_weights" as that chose
    them, and the "fingerprint" of the pictures that it saw.
    """

    number: int
    count: int
    place: Path
    alike: Mapping[str, Any] = field(default_factory=dict)

    def check(self, catalog: Catalog) -> None:
        """Raises RecipeError where the folders give the sides: then the test side is chosen already."""
        given = sorted(splits.SIDES[side] for side in np.unique(catalog.pictures.sides) if side >= 0)
        if given:
            raise RecipeError(
                f"folds is {self.count}, and {catalog.root} gives sides of its own ({', '.join(given)}): the test "
                "pictures are chosen already. Remove --folds, or name a folder without sides."
            )

    def sides(
        self, store: Store, labels: NDArray[np.int64], groups: NDArray[np.int64], recipe: Recipe
    ) -> NDArray[np.int8]:
        """The sides of the pictures in this training, (N,) as `split` has them: its fold is the test side.

        Of the rest, and in the last training of all, `recipe.validation` is kept to choose by. Raises CatalogError, and
        ArtefactError where the pictures are not those of the first training.
        """
        if self.alike.get("fingerprint", store.fingerprint) != store.fingerprint:
            raise ArtefactError(
                f"The pictures in {store.catalog.root} have changed since the folds in {self.place} were begun, and "
                "all must see the same ones. Put them back, or train again with another --out."
            )
        if whole := splits.indivisible(labels, groups):
            count = int((labels == whole[0]).sum())
            raise CatalogError(
                f"The {count:,} pictures of class {store.catalog.classes[whole[0]]} stay together (near-duplicates, or "
                "one group): no fold can test what another teaches. Add pictures of it, or remove --folds."
            )
        sides = np.full(len(labels), splits.TEST, np.int8)
        rest = np.arange(len(labels))
        if self.number:
            rest = rest[splits.folds(labels, store.digests, groups, self.count, recipe.seed) != self.number - 1]
        digests, free = [store.digests[row] for row in rest.tolist()], np.full(len(rest), -1, np.int8)
        order = recipe.seed + self.number * OTHER  # or all would choose by the same pictures
        sides[rest] = splits.split(labels[rest], digests, groups[rest], free, recipe.validation, 0.0, order)
        return sides


@dataclass(frozen=True)
class Fold:
    """One fold: what its training learned from and chose by, and how it did on the pictures of the fold."""

    number: int  # from 1
    train: int
    validation: int
    pictures: int  # tested
    correct: int
    accuracy: float
    loss: float  # mean cross-entropy in nats, after its own temperature scaling
    temperature: float
    epoch: int  # whose weights were kept
    seconds: float  # its training, evaluated


@dataclass(frozen=True)
class Folds:
    """What all folds say together. `metrics` are pooled over all N pictures, each judged by the model of its fold.

    `accuracy` of `metrics` is the mean over pictures; its `interval` is that of `interval`. `spread`: the standard
    deviation of the folds' accuracies. `units`: as how many independent pictures all of them count. `logits`: float32
    (N, classes), each divided by the temperature of its fold, in the order of the catalog.
    """

    each: tuple[Fold, ...]
    metrics: Metrics
    spread: float
    units: float
    logits: NDArray[np.float32] = field(repr=False)

    def as_json(self) -> dict[str, Any]:
        """The pooled metrics, and `count`, `spread`, `units`, `each`; without the logits."""
        about = {"count": len(self.each), "spread": self.spread, "units": self.units}
        return {**self.metrics.as_json(), **about, "each": [asdict(fold) for fold in self.each]}


def begun(out: Path) -> bool:
    """Whether a cross-validation stands in a folder, and has not ended."""
    return (out / FOLDER / PLAN).is_file()


def pooled(
    each: Sequence[Fold],
    rows: Sequence[NDArray[np.int64]],
    logits: Sequence[NDArray[np.float32]],
    labels: NDArray[np.int64],
    groups: NDArray[np.int64],
    classes: tuple[str, ...],
) -> Folds:
    """The folds' answers put together. For each fold: its rows (n,) and their raw logits (n, classes).

    labels, groups: (N,) of all pictures. Raises CatalogError where the rows are not each picture once.
    """
    order = np.concatenate(list(rows))
    if not np.array_equal(np.sort(order), np.arange(len(labels))):
        raise CatalogError(f"The folds tested {len(order):,} pictures, not each of {len(labels):,} once.")
    raw = np.empty((len(labels), len(classes)), np.float32)
    scaled = np.empty_like(raw)
    for fold, some, outputs in zip(each, rows, logits, strict=True):
        raw[some], scaled[some] = outputs, outputs / np.float32(fold.temperature)
    before = evaluate.measure(SIDE, raw, labels, classes, 1.0)
    after = evaluate.measure(SIDE, scaled, labels, classes, 1.0)
    independent = units(groups)
    metrics = replace(
        after,
        interval=interval(after.accuracy, independent, [fold.accuracy for fold in each]),
        loss_uncalibrated=before.loss,
        calibration_before=before.calibration,
    )
    spread = float(np.std([fold.accuracy for fold in each], ddof=1))
    return Folds(tuple(each), metrics, spread, independent, scaled)


def units(groups: NDArray[np.int64]) -> float:
    """As how many independent pictures N pictures count, of which those of a group are right or wrong together.

    N² over the sum of the squared sizes of the groups (Kish 1965, section 8.2); groups (N,).
    """
    sizes = np.unique(groups, return_counts=True)[1].astype(np.float64)
    return float(sizes.sum() ** 2 / (sizes**2).sum())


def interval(accuracy: float, independent: float, each: Sequence[float]) -> tuple[float, float]:
    """95 % interval of a cross-validated accuracy: whatever lies in Wilson's interval or in Student's over the folds.

    Wilson's for `independent` pictures knows how few pictures were tested; Student's, accuracy +- t * deviation /
    sqrt(folds), how much the models differ, too. Neither covers by itself (docs/why/folds.md): no estimate of the
    variance from one cross-validation is unbiased (Bengio & Grandvalet 2004, theorem 1).
    """
    low, high = evaluate.interval(accuracy * independent, independent)
    half = T[len(each) - 2] * float(np.std(each, ddof=1)) / math.sqrt(len(each))
    return max(0.0, min(low, accuracy - half)), min(1.0, max(high, accuracy + half))


def suggestion(data: Data, recipe: Recipe) -> tuple[str, ...]:
    """A sentence where a cross-validation would say much more than the few test pictures; () where it would not."""
    if data.labels.ndim != 1:  # several labels a picture
        return ()
    count, test, groups = len(data.labels), len(data.rows("test")), data.groups
    if recipe.folds is not None or not test or count > FEW or len(np.unique(groups)) < 2 * USUAL:
        return ()
    if (data.catalog.pictures.sides >= 0).any() or splits.indivisible(data.labels, groups):
        return ()
    pictures = "1 picture" if test == 1 else f"{test} pictures"
    return (f"{pictures} to test on: --folds {USUAL} would test on all {count}",)
